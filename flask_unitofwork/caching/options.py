"""What a statement says of its cache. The names are those of SQLAlchemy's own example."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Any, cast

from sqlalchemy.orm import ORMExecuteState, QueryableAttribute, RelationshipProperty
from sqlalchemy.orm.interfaces import UserDefinedOption

from ..exceptions import CacheError
from .tables import names_of

__all__ = ["FromCache", "RelationshipCache", "option_of"]


class FromCache(UserDefinedOption):
    """Answer a SELECT from a cache region; where it has no valid answer, ask the database and keep what it says.

    Args:
        region: the region's name in ``UNITOFWORK_CACHE_REGIONS``.
        cache_key: tells apart what is otherwise the same statement with the same values: whatever else its rows depend on,
            such as a setting of the connection.
        expiration_time: seconds after which the database is asked in any case; None for the region's own.
        ignore_expiration: what is kept is good as long as nobody writes its tables, however old it is.
        tables: what the statement reads besides what it shows: the tables of a view, or of ``text()``. Mapped classes,
            tables or names.

    Raises:
        CacheError: an argument is wrong.

    Example:
        ::

            uow.session.scalars(select(Product).options(FromCache("default"))).all()
    """

    __slots__ = ("cache_key", "expiration_time", "ignore_expiration", "region", "tables")

    propagate_to_loaders = False

    def __init__(
        self,
        region: str = "default",
        cache_key: str | None = None,
        expiration_time: float | None = None,
        *,
        ignore_expiration: bool = False,
        tables: Iterable[Any] = (),
    ) -> None:
        super().__init__()
        if not isinstance(cast(object, region), str):
            raise CacheError(
                f"A region is named by a str, and this is an object of type {type(region).__name__}. Write"
                ' FromCache("default"), with a name in UNITOFWORK_CACHE_REGIONS.'
            )
        if expiration_time is not None and not expiration_time > 0:
            raise CacheError(
                f"expiration_time must be a number of seconds above 0, or None for the region's own; it is"
                f" {expiration_time!r}."
            )
        if isinstance(tables, str):
            raise CacheError(f'tables must be a list, such as tables=["{tables}"]; it is a str.')
        self.region = region
        self.cache_key = cache_key
        self.expiration_time = expiration_time
        self.ignore_expiration = ignore_expiration
        self.tables = names_of(tables)

    def fits(self, state: ORMExecuteState) -> bool:
        """Whether this is about the statement that is executed in *state*."""
        return not state.is_relationship_load

    def check_tables(self, unreadable: str | None, tables: Collection[str] | None = None) -> None:
        """Refuse a statement that may read tables which nobody can see.

        Args:
            unreadable: the part of it in which they are; None if there is none.
            tables: those that it reads; None as long as that is not known.

        Raises:
            CacheError: nobody can tell when its result is stale.
        """
        if tables is not None and not (tables or unreadable):
            raise CacheError(
                "This statement reads no table, so nobody could tell when its result is stale. Leave FromCache out; or, if"
                f" a function in it reads some, name them: FromCache({self.region!r}, tables=[Product])."
            )
        if unreadable is None or self.tables:
            return
        line = " ".join(unreadable.split())
        raise CacheError(
            "Nobody can tell which tables this statement reads, because a part of it is text, so nobody could tell when its"
            f" result is stale: {line[:120]}. Name all of them: FromCache({self.region!r}, tables=[Product])."
        )


class RelationshipCache(FromCache):
    """Answer the SELECT of a lazy load from a cache region, as :class:`FromCache` does.

    It is given to the statement that loads the objects whose relationship is meant, once for each relationship.

    Args:
        attribute: the relationship, such as ``Order.customer``.
        region: as for `FromCache`, and so are the others.
        cache_key: see `FromCache`.
        expiration_time: see `FromCache`.
        ignore_expiration: see `FromCache`.
        tables: see `FromCache`.

    Raises:
        CacheError: *attribute* is no relationship, or another argument is wrong.

    Example:
        ::

            order = uow.session.scalars(select(Order).options(RelationshipCache(Order.customer, "default"))).first()
            order.customer
    """

    __slots__ = ("_key", "_owner")

    propagate_to_loaders = True

    def __init__(
        self,
        attribute: Any,
        region: str = "default",
        cache_key: str | None = None,
        expiration_time: float | None = None,
        *,
        ignore_expiration: bool = False,
        tables: Iterable[Any] = (),
    ) -> None:
        super().__init__(region, cache_key, expiration_time, ignore_expiration=ignore_expiration, tables=tables)
        prop: Any = attribute.property if isinstance(attribute, QueryableAttribute) else None
        if not isinstance(prop, RelationshipProperty):
            raise CacheError(
                f"RelationshipCache is about a relationship, and this is an object of type {type(attribute).__name__}."
                ' Write RelationshipCache(Order.customer, "default").'
            )
        self._owner: type[Any] = prop.parent.class_
        self._key: str = prop.key

    def fits(self, state: ORMExecuteState) -> bool:
        path = state.loader_strategy_path
        if state.lazy_loaded_from is None or path is None or path.is_root:
            return False
        mapper: Any
        prop: Any
        mapper, prop = path[-2:] if path.is_property else path[-3:-1]
        return prop.key == self._key and issubclass(mapper.class_, self._owner)


def option_of(state: ORMExecuteState) -> FromCache | None:
    """What the statement in *state* says of a cache, if anything. What is said last counts."""
    found: FromCache | None = None
    for option in state.user_defined_options:
        if isinstance(option, FromCache) and (type(option) is FromCache or state.is_select) and option.fits(state):
            found = option
    return found
