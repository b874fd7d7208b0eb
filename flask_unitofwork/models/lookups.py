"""Look something up, and answer 404 where it is not there.

The 404 is werkzeug's :class:`~werkzeug.exceptions.NotFound`, raised through :func:`flask.abort`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, TypeVar, TypeVarTuple

from flask import abort
from sqlalchemy import CompoundSelect, Join, Select
from sqlalchemy.exc import MultipleResultsFound, NoResultFound

from .identity import possible_identity
from .results import sole, unrepeated
from .statement import froms

if TYPE_CHECKING:
    from sqlalchemy import Executable
    from sqlalchemy.orm import Session
    from sqlalchemy.orm.interfaces import ORMOption
    from sqlalchemy.sql.selectable import ForUpdateParameter

__all__ = ["first_or_404", "get_or_404", "one_or_404"]

T = TypeVar("T")
T2 = TypeVar("T2")
Ts = TypeVarTuple("Ts")

_NOTHING: Final[Mapping[str, Any]] = MappingProxyType({})


def get_or_404(
    session: Session,
    model: type[T],
    ident: Any,
    *,
    description: str | None = None,
    options: Sequence[ORMOption] | None = None,
    populate_existing: bool | None = None,
    with_for_update: ForUpdateParameter = None,
    identity_token: Any | None = None,
    execution_options: Mapping[str, Any] = _NOTHING,
    bind_arguments: Mapping[str, Any] = _NOTHING,
) -> T:
    """Give the object with the primary key *ident*.

    A key that no row can have is a 404 like any other that no row has: None, ``"abc"`` for a number or a UUID, a
    number that the database cannot hold. Text that is a number or a UUID is read as one.

    Args:
        session: where to look.
        model: the mapped class.
        ident: the key; a tuple or a dict by attribute for a composite one.
        description: text for the error page.
        options: as for :meth:`sqlalchemy.orm.Session.get`, like the arguments that follow.
        populate_existing: see there.
        with_for_update: see there.
        identity_token: see there.
        execution_options: see there.
        bind_arguments: see there.

    Raises:
        NotFound: there is none.
    """
    identity = possible_identity(session, model, ident, bind_arguments)
    if identity is None:
        abort(404, description=description)
    found = session.get(
        model,
        identity,
        options=options,
        populate_existing=populate_existing,
        with_for_update=with_for_update,
        identity_token=identity_token,
        execution_options=execution_options,
        bind_arguments=dict(bind_arguments),
    )
    if found is None:
        abort(404, description=description)
    return found


def first_or_404(session: Session, statement: Executable, *, description: str | None = None) -> Any:
    """Give the first of *statement*'s rows: what was selected if that is one thing, else the row.

    Args:
        session: where to look.
        statement: a select, or any other statement that returns rows.
        description: text for the error page.

    Raises:
        NotFound: there is no row.
    """
    row = unrepeated(session.execute(_first_only(statement))).first()
    if row is None:
        abort(404, description=description)
    return sole(row)


def one_or_404(session: Session, statement: Executable, *, description: str | None = None) -> Any:
    """Give *statement*'s only row: what was selected if that is one thing, else the row.

    Several rows are a 404 too, as Flask-SQLAlchemy's users know it: what the URL names is not one thing. Where they
    would be a fault of the data, use ``session.execute(…).one()`` instead.

    Args:
        session: where to look.
        statement: a select, or any other statement that returns rows.
        description: text for the error page.

    Raises:
        NotFound: there is no row, or more than one.
    """
    try:
        return sole(unrepeated(session.execute(statement)).one())
    except (NoResultFound, MultipleResultsFound):
        abort(404, description=description)


def _first_only(statement: Executable) -> Executable:
    """*statement*, limited to its first row where that changes nothing else.

    With a join it may: the rows that follow may be of the first object's collection (``contains_eager``).
    """
    if isinstance(statement, CompoundSelect):
        return statement.limit(1)
    if isinstance(statement, Select):
        sources = froms(statement)
        if len(sources) <= 1 and not any(isinstance(one, Join) for one in sources):
            return statement.limit(1)
    return statement
