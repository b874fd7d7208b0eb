"""What is known of one object: its state, what has changed in it, and what brought it into its session."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Any

from sqlalchemy import inspect
from sqlalchemy.exc import NoInspectionAvailable
from sqlalchemy.orm import InstanceState, Session
from sqlalchemy.orm.exc import UnmappedInstanceError

from .attributes import AttributeChange, attribute_changes
from .cascades import Cascade, cascades_to

__all__ = ["Inspection", "ObjectState", "inspect_object"]


class ObjectState(Enum):
    """How an object stands to its session and to the database."""

    TRANSIENT = "transient"
    """It is in no session, and has no row that SQLAlchemy knows of."""
    PENDING = "pending"
    """It is in a session, and the next flush inserts its row."""
    PERSISTENT = "persistent"
    """It is in a session, and has a row."""
    DELETED = "deleted"
    """Its row was deleted by a flush; the transaction goes on."""
    DETACHED = "detached"
    """It has, or had, a row, and is in no session."""


@dataclass(frozen=True, slots=True, repr=False)
class Inspection:
    """What is known of an object, without asking the database.

    Its ``repr`` has names and the primary key, and no other values, so that it can be written to a log.

    Attributes:
        obj: the object.
        state: how it stands to its session and to the database.
        session: the session that it is in, if any.
        identity_key: what the session's identity map has it under: its class, its primary key and its identity token.
            None for an object that has no row yet.
        changes: what has changed in it since it was loaded or last flushed.
        expired: the names of the attributes that are loaded again when they are next read.
        unloaded: the names of all attributes without a value, the expired ones among them.
        cascades: for a pending object, the relationships of other objects in the session along which it came, or would
            have come, without being added itself. Nobody notes that while objects are added: it is found out now.
    """

    obj: object
    state: ObjectState
    session: Session | None
    identity_key: tuple[type[Any], tuple[Any, ...], Any] | None
    changes: tuple[AttributeChange, ...]
    expired: tuple[str, ...]
    unloaded: tuple[str, ...]
    cascades: tuple[Cascade, ...]

    def __repr__(self) -> str:
        key = "" if self.identity_key is None else f" {self.identity_key[1]!r}"
        facts = {
            "changed": [change.name for change in self.changes],
            "expired": self.expired,
            "unloaded": [name for name in self.unloaded if name not in self.expired],
            "by": [cascade.relationship for cascade in self.cascades],
        }
        told = "".join(f", {word} {' '.join(names)}" for word, names in facts.items() if names)
        return f"<{type(self.obj).__name__}{key}: {self.state.value}{told}>"


def inspect_object(obj: object) -> Inspection:
    """Look at *obj*. Nothing is loaded or flushed, and nothing in its session changes.

    Raises:
        sqlalchemy.orm.exc.UnmappedInstanceError: it is no mapped object.
    """
    state = _state_of(obj)
    return Inspection(
        obj=obj,
        state=_object_state(state),
        session=state.session,
        identity_key=state.identity_key,
        changes=attribute_changes(state),
        expired=tuple(sorted(state.expired_attributes)),
        unloaded=tuple(sorted(state.unloaded)),
        cascades=cascades_to(state) if state.pending else (),
    )


def _state_of(obj: object) -> InstanceState[Any]:
    try:
        state: object = inspect(obj)
    except NoInspectionAvailable:
        state = None
    if not isinstance(state, InstanceState):
        what = f"the class {obj.__name__}" if isinstance(obj, type) else f"an object of type {type(obj).__name__}"
        raise UnmappedInstanceError(
            obj,
            f"inspect() takes an object of a mapped class, and was given {what}."
            " Of classes, mappers and engines, sqlalchemy.inspect() tells more.",
        )
    return state


def _object_state(state: InstanceState[Any]) -> ObjectState:
    return next(one for one in ObjectState if getattr(state, one.value))
