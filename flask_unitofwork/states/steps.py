"""The parts that a flush is done in."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Any

from sqlalchemy.orm import Mapper

from .related import Relationship, State

__all__ = ["Edge", "Kind", "Step"]


class Kind(Enum):
    """What a step does. The values are what steps that need not wait for one another are ordered by."""

    DELETE = "DeleteAll"
    POST_UPDATE = "PostUpdateAll"
    RELATE = "ProcessAll"
    SAVE = "SaveUpdateAll"


@dataclass(frozen=True, slots=True)
class Step:
    """A part of the flush: of all objects of a class, or of one object.

    Attributes:
        kind: what is done.
        about: a base mapper; for `Kind.RELATE` the relationship whose foreign keys or association rows are set.
        deleted: of steps that there are two of, this is that for deleted objects.
        state: the one object, where classes depend on one another in a circle.
    """

    kind: Kind
    about: Mapper[Any] | Relationship
    deleted: bool = False
    state: State | None = None

    @property
    def sort_key(self) -> tuple[str, str, bool]:
        """Among steps that need not wait for one another, the order."""
        about = self.about
        name = _name(about) if isinstance(about, Mapper) else f"{_name(about.parent)}_{about.key}"
        if self.state is None:
            return self.kind.value, name, self.deleted
        # SQLAlchemy's own names: that of a save is the one of a relationship's step.
        return "DeleteState" if self.kind is Kind.DELETE else "ProcessState", name, False


Edge = tuple[Step, Step]
"""The second waits for the first."""


def _name(mapper: Mapper[Any]) -> str:
    return f"{mapper.class_.__module__}.{mapper.class_.__name__}"
