"""What a SELECT says of its own order and limits.

Private attributes: SQLAlchemy has methods that set ORDER BY, LIMIT and options, and none that tell what was set.
Pagination has to know, or it would order twice, look past a LIMIT, or count other rows than it shows. All that is
read from underscored attributes is read here; a test holds each of them to what the public methods set.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

from sqlalchemy import BindParameter, CompoundSelect, Select, inspect, literal
from sqlalchemy.orm import LoaderCriteriaOption, Mapper, Query, UserDefinedOption

from ..exceptions import PaginationError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import ColumnElement, FromClause, Result
    from sqlalchemy.sql.base import ExecutableOption

__all__ = [
    "AnySelect",
    "Shape",
    "are_all_entities",
    "entities",
    "needs_unique",
    "primary_key",
    "shape_of",
    "sole_entity",
]

AnySelect: TypeAlias = Select[*tuple[Any, ...]] | CompoundSelect[*tuple[Any, ...]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """The parts of a SELECT that matter to whoever cuts it into pages.

    Attributes:
        order_by: the clauses of ORDER BY.
        group_by: the clauses of GROUP BY.
        limit: rows at most; None without a limit.
        offset: rows skipped.
        fetch: whether it has FETCH FIRST.
        distinct: whether it has DISTINCT.
        distinct_on: whether it has DISTINCT ON.
        criteria: options that choose rows, as :func:`~sqlalchemy.orm.with_loader_criteria` does, or may choose them.
    """

    order_by: tuple[ColumnElement[Any], ...]
    group_by: tuple[ColumnElement[Any], ...]
    limit: int | None
    offset: int
    fetch: bool
    distinct: bool
    distinct_on: bool
    criteria: tuple[ExecutableOption, ...]

    @property
    def is_cut(self) -> bool:
        """Whether it gives some of its rows only."""
        return self.limit is not None or self.offset > 0 or self.fetch


def shape_of(statement: object) -> Shape:
    """Read *statement*'s order, limits and criteria.

    Raises:
        PaginationError: it is no ``select()`` or ``union()`` of them, or its LIMIT or OFFSET is an SQL expression.
    """
    if not isinstance(statement, (Select, CompoundSelect, Query)):
        raise PaginationError(
            f"Only a select() can be cut into pages, not a {type(statement).__name__}: write paginate(select(Model))."
        )
    return Shape(
        order_by=statement._order_by_clauses,
        group_by=statement._group_by_clauses,
        limit=_number(statement._limit_clause, "LIMIT"),
        offset=_number(statement._offset_clause, "OFFSET") or 0,
        fetch=getattr(statement, "_fetch_clause", None) is not None,
        distinct=getattr(statement, "_distinct", False),
        distinct_on=bool(getattr(statement, "_distinct_on", ())),
        criteria=tuple(
            option
            for option in statement._with_options
            if isinstance(option, (LoaderCriteriaOption, UserDefinedOption))
        ),
    )


def needs_unique(result: Result[*tuple[Any, ...]]) -> bool:
    """Whether *result* repeats entities because it loads their collections in the same rows.

    Calling ``unique()`` on every result would be wrong: equal rows of plain columns are rows of their own.
    """
    return result._unique_filter_state is not None


def froms(statement: Select[*tuple[Any, ...]]) -> Sequence[FromClause]:
    """What *statement* selects from, joins included: what it was told, without what eager loading will add."""
    return statement.with_only_columns(literal(1), maintain_column_froms=True).get_final_froms()


def entities(statement: AnySelect | Query[Any]) -> list[Any]:
    """The mapped classes and aliases that *statement* selects from, each once, in their order."""
    described = (entry.get("entity") for entry in _descriptions(statement))
    return list(dict.fromkeys(entity for entity in described if entity is not None))


def are_all_entities(statement: AnySelect | Query[Any]) -> bool:
    """Whether *statement* selects mapped classes and aliases, all of each, and nothing else."""
    return all(_is_entity(entry) for entry in _descriptions(statement))


def sole_entity(statement: AnySelect | Query[Any]) -> Any | None:
    """The mapped class or alias that *statement* selects, if it selects just that and all of it."""
    described = _descriptions(statement)
    return described[0]["entity"] if len(described) == 1 and _is_entity(described[0]) else None


def primary_key(entity: Any) -> list[Any]:
    """The attributes of *entity*, a mapped class or an alias of one, that are its primary key."""
    mapper = inspect(entity).mapper
    return [getattr(entity, mapper.get_property_by_column(column).key) for column in mapper.primary_key]


def _descriptions(statement: AnySelect | Query[Any]) -> list[Any]:
    # A union has no descriptions: its rows are columns, whatever it was made of.
    return [] if isinstance(statement, CompoundSelect) else list(statement.column_descriptions)


def _is_entity(entry: dict[str, Any]) -> bool:
    entity = entry.get("entity")
    return entity is not None and (entry["expr"] is entity or isinstance(entry["expr"], Mapper))


def _number(clause: ColumnElement[Any] | None, keyword: str) -> int | None:
    if clause is None:
        return None
    if isinstance(clause, BindParameter) and isinstance(clause.effective_value, int):
        return clause.effective_value
    raise PaginationError(
        f"The select's {keyword} is an SQL expression, so its pages cannot be told beforehand."
        f" Give a number, or select from it: select(aliased(Model, statement.subquery()))."
    )
