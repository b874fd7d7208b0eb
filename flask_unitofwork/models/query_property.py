"""``Model.query``: a query of the class it is read from, in the current session."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Generic, TypeVar, overload

from sqlalchemy.orm import class_mapper
from sqlalchemy.orm.exc import UnmappedClassError

from .query import Query

if TYPE_CHECKING:
    import sqlalchemy.orm
    from sqlalchemy.orm import Session

__all__ = ["NotMappedError", "QueryProperty"]

T = TypeVar("T")
# The class of the queries; None for Query, of the class that the property is read from.
Q = TypeVar("Q", bound="sqlalchemy.orm.Query[Any] | None")


class NotMappedError(UnmappedClassError, AttributeError):
    """The query of a class that is not mapped, such as the base itself.

    An AttributeError too, since there is no such attribute: ``hasattr()``, the making of dataclasses and whatever
    else looks at all attributes of a class then pass it over.
    """


class QueryProperty(Generic[Q]):
    """A class attribute that gives a new query each time it is read.

    It has no annotation and is no mapped attribute, so mappings of any style leave it alone. One on a base class
    serves all classes below.

    Args:
        session: gives the current session; called at each reading, and what it raises is raised there.
        query_cls: the class of the queries, if it is not :class:`Query`.

    Raises:
        NotMappedError: on reading, from a class that is not mapped, such as the base itself.

    Example:
        >>> from sqlalchemy import Column, Integer
        >>> from sqlalchemy.orm import DeclarativeBase, Session
        >>> class Base(DeclarativeBase):
        ...     query = QueryProperty(Session)
        >>> class Author(Base):
        ...     __tablename__ = "authors"
        ...     id = Column(Integer, primary_key=True)
        >>> str(Author.query.filter_by(id=1)).split()[-4:]
        ['WHERE', 'authors.id', '=', ':id_1']
    """

    @overload
    def __init__(self: QueryProperty[None], session: Callable[[], Session], query_cls: None = None) -> None: ...

    @overload
    def __init__(self, session: Callable[[], Session], query_cls: type[Q]) -> None: ...

    def __init__(self, session: Callable[[], Session], query_cls: type[Any] | None = None) -> None:
        self._session = session
        self._query_cls: type[Any] = query_cls or Query

    @overload
    def __get__(self: QueryProperty[None], instance: object, owner: type[T]) -> Query[T]: ...

    @overload
    def __get__(self, instance: object, owner: type[Any]) -> Q: ...

    def __get__(self, instance: object, owner: type[Any]) -> Any:
        try:
            class_mapper(owner)
        except UnmappedClassError:
            raise NotMappedError(owner) from None
        return self._query_cls(owner, session=self._session())
