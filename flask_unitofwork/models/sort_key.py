"""The sort key of a select: the columns of its ORDER BY, and what makes them unique.

Note "as stored": values are taken from rows and compared in SQL without passing through the column's type. What the
driver gave goes back to it, so an order is continued exactly as the database sees it: text for dates on SQLite,
enums and types of the app's own, decimals that are rounded on their way to Python.

Note "unique": rows with equal keys would be lost where a page ends between them. So primary keys are appended to the
order: of all tables in FROM, since a join may repeat the rows of either side; of the entities under DISTINCT. Of
columns under DISTINCT, and under GROUP BY, it is what is selected or grouped by that is unique. They go in the
direction of the last column, which an index can serve.

Note "nulls": each database has NULL at an end of its own, and indexes have it there too. `nulls_first` is resolved
for each column, and only a column that may be NULL, where it is not where an index has it, is ordered by it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import (
    Alias,
    Column,
    ColumnElement,
    Double,
    Enum,
    Float,
    FromClause,
    Join,
    Label,
    Table,
    UnaryExpression,
    case,
    cast,
    literal_column,
    type_coerce,
)
from sqlalchemy.sql import operators, visitors
from sqlalchemy.types import UserDefinedType

from ..exceptions import PaginationError
from .statement import are_all_entities, entities, froms, primary_key

if TYPE_CHECKING:
    from sqlalchemy import Select

    from .statement import Shape

__all__ = ["AsStored", "KeyColumn", "sort_key"]

# Where NULL counts as larger than any value; elsewhere it is smaller than any.
_NULL_IS_LARGEST: Final = frozenset({"cockroachdb", "oracle", "postgresql"})
_MYSQL: Final = frozenset({"mariadb", "mysql"})
_HAS_NULLS_FIRST: Final = frozenset({"cockroachdb", "oracle", "postgresql", "sqlite"})


class AsStored(UserDefinedType[Any]):
    """A value as the driver has it: see the module's note."""

    cache_ok = True


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyColumn:
    """One column of a sort key.

    Attributes:
        expression: what is ordered by, without direction.
        backend: the database's kind.
        descending: its direction.
        nulls_first: whether NULLs come first.
        nullable: whether it may be NULL.
    """

    expression: ColumnElement[Any]
    backend: str
    descending: bool
    nulls_first: bool
    nullable: bool

    @property
    def reversed(self) -> KeyColumn:
        """The column in the opposite order."""
        return KeyColumn(
            expression=self.expression,
            backend=self.backend,
            descending=not self.descending,
            nulls_first=not self.nulls_first,
            nullable=self.nullable,
        )

    @property
    def has_natural_nulls(self) -> bool:
        """Whether NULLs are where this database's indexes have them."""
        return self.nulls_first == _natural_nulls_first(self.backend, descending=self.descending)

    @property
    def compared(self) -> ColumnElement[Any]:
        """What is compared with a bookmark's value."""
        return type_coerce(self._ordered_number if self._is_mysql_enum else self.expression, AsStored())

    @property
    def selected(self) -> ColumnElement[Any]:
        """What is selected to go into a bookmark: the value in full."""
        if not isinstance(self.expression.type, Float):
            return self.compared
        if self.backend in _MYSQL:  # sends six digits of a FLOAT, all of a DOUBLE
            return type_coerce(self.expression + literal_column("0e0"), AsStored())
        # PostgreSQL sends the shortest text that names the REAL, which is another number as a DOUBLE PRECISION.
        widened = cast(self.expression, Double) if self.backend == "postgresql" else self.expression
        return type_coerce(widened, AsStored())

    def order_by(self, *, confined: bool) -> list[ColumnElement[Any]]:
        """The clauses of ORDER BY.

        Args:
            confined: whether all rows have NULL here, or none has, so that the place of NULLs does not matter.
        """
        directed = self.expression.desc() if self.descending else self.expression.asc()
        if confined or not self.nullable or self.has_natural_nulls:
            return [directed]
        if self.backend in _HAS_NULLS_FIRST:
            return [directed.nulls_first() if self.nulls_first else directed.nulls_last()]
        return [case((self.expression.is_(None), 0 if self.nulls_first else 1), else_=int(self.nulls_first)), directed]

    def __str__(self) -> str:
        direction = "desc" if self.descending else "asc"
        nulls = "first" if self.nulls_first else "last"
        return f"{self.expression} {type(self.expression.type).__name__} {direction} nulls {nulls}"

    @property
    def _is_mysql_enum(self) -> bool:
        return self.backend in _MYSQL and isinstance(self.expression.type, Enum) and self.expression.type.native_enum

    @property
    def _ordered_number(self) -> ColumnElement[Any]:
        # MySQL orders an ENUM by its number and compares it by its text.
        return type_coerce(self.expression, AsStored()) + literal_column("0")


def sort_key(statement: Select[*tuple[Any, ...]], shape: Shape, backend: str) -> list[KeyColumn]:
    """Read *statement*'s order and append to it what makes it unique.

    Args:
        statement: the select.
        shape: its shape.
        backend: the database's kind, such as ``"postgresql"``.

    Raises:
        PaginationError: the order is by text, or there is none and nothing to make one of.
    """
    sources = froms(statement)
    outer = {table for one in sources for table in _nullable_side(one)}
    columns: list[KeyColumn] = []

    def append(expression: ColumnElement[Any], *, descending: bool, nulls_first: bool | None) -> None:
        if any(_are_same(expression, column.expression) for column in columns):
            return
        natural = _natural_nulls_first(backend, descending=descending)
        columns.append(
            KeyColumn(
                expression=expression,
                backend=backend,
                descending=descending,
                nulls_first=natural if nulls_first is None else nulls_first,
                nullable=_may_be_null(expression, outer),
            )
        )

    for clause in shape.order_by:
        expression, descending, nulls_first = _taken_apart(clause)
        append(expression, descending=descending, nulls_first=nulls_first)
    if not (len(sources) == 1 and isinstance(sources[0], Table) and any(_is_unique(column) for column in columns)):
        descending = columns[-1].descending if columns else False
        for expression in _unique_columns(statement, shape, sources):
            append(expression, descending=descending, nulls_first=None)
    if not columns:
        raise PaginationError("This select has no order that could be continued. Write .order_by(…) with columns.")
    return columns


def _taken_apart(clause: Any) -> tuple[ColumnElement[Any], bool, bool | None]:
    """The expression of a clause of ORDER BY, whether it is descending, and whether NULLs come first if it says so."""
    descending, nulls_first = False, None
    inner = clause
    while not isinstance(inner, str):
        if isinstance(inner, UnaryExpression) and inner.modifier is not None:
            if inner.modifier is operators.desc_op:
                descending = True
            elif inner.modifier is operators.nulls_first_op:
                nulls_first = True
            elif inner.modifier is operators.nulls_last_op:
                nulls_first = False
            inner = inner.element
        elif isinstance(inner, Label) or inner.__visit_name__ in {"label_reference", "textual_label_reference"}:
            inner = inner.element
        elif isinstance(inner, ColumnElement):
            return inner, descending, nulls_first
        else:
            break
    raise PaginationError(
        f"The order is by the text {str(inner)!r}, which cannot be compared with a row's value."
        " Write .order_by(Model.column) or .order_by(Model.column.desc())."
    )


def _unique_columns(
    statement: Select[*tuple[Any, ...]], shape: Shape, sources: Sequence[FromClause]
) -> Iterator[ColumnElement[Any]]:
    if shape.group_by:
        yield from (_taken_apart(clause)[0] for clause in shape.group_by)
    elif shape.distinct and are_all_entities(statement):
        for entity in entities(statement):
            yield from (attribute.expression for attribute in primary_key(entity))
    elif shape.distinct:
        yield from (_taken_apart(column)[0] for column in statement.selected_columns)
    else:
        for one in sources:
            yield from one.primary_key


def _may_be_null(expression: ColumnElement[Any], outer: set[FromClause]) -> bool:
    if not isinstance(expression, Column) or expression.nullable:
        return True
    table = expression.table
    return table in outer or not isinstance(table.element if isinstance(table, Alias) else table, Table)


def _nullable_side(selectable: FromClause) -> Iterator[FromClause]:
    """The tables whose columns are NULL where an outer join found no row."""
    for part in visitors.iterate(selectable):
        if isinstance(part, Join) and (part.isouter or part.full):
            yield from _parts(part.right)
            if part.full:
                yield from _parts(part.left)


def _parts(selectable: FromClause) -> Iterator[FromClause]:
    # Not by left and right alone: a join on the right side of another stands in parentheses.
    return (part for part in visitors.iterate(selectable) if isinstance(part, FromClause))


def _is_unique(column: KeyColumn) -> bool:
    return isinstance(column.expression, Column) and bool(column.expression.unique) and not column.nullable


def _are_same(one: ColumnElement[Any], other: ColumnElement[Any]) -> bool:
    # Not compare(): to it, columns of two aliases of one table are the same. Anything else may well come twice.
    if isinstance(one, Column) and isinstance(other, Column):
        return one.key == other.key and one.table == other.table
    return one is other


def _natural_nulls_first(backend: str, *, descending: bool) -> bool:
    return descending == (backend in _NULL_IS_LARGEST)
