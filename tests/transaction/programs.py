"""Programs that use units of work in every way that can be written down.

A program is a nesting of steps. It is performed twice: by the package on a database (``performing.py``) and by a model
in plain Python (``model.py``). Both are a `Machine`, so the Python around the steps (``with``, ``try``, ``raise``) is
the same for both, and what remains to compare is what the package promises: rows, hooks, errors.

Each step has a name, which says where in the program it stands: ``1.0`` is the first step in the body of the second.
Rows are named after the step that writes them, so each can be found, and none is written twice.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Literal, Protocol

from sqlalchemy.exc import IntegrityError, SQLAlchemyError
from werkzeug.exceptions import HTTPException

__all__ = [
    "Add",
    "Block",
    "Body",
    "Call",
    "Catch",
    "Clash",
    "Clashing",
    "Commit",
    "Doom",
    "FailureError",
    "Flush",
    "Hook",
    "Insert",
    "Look",
    "Machine",
    "Moment",
    "Raise",
    "Redirect",
    "Request",
    "Rollback",
    "Step",
    "UnusableError",
    "kind_of",
    "play",
]


class FailureError(Exception):
    """What goes wrong in a program."""


class Redirect(HTTPException):
    """An answer that is raised: no failure."""

    code = 302


class UnusableError(Exception):
    """The model's word for SQLAlchemy's and the drivers' errors about a transaction in which something has failed."""


def kind_of(error: BaseException) -> str:
    """What *error* is, in the words of the model."""
    if isinstance(error, SQLAlchemyError) and not isinstance(error, IntegrityError):
        return UnusableError.__name__
    return type(error).__name__


class Machine(Protocol):
    """What performs a program: the package, or the model.

    Attributes:
        log: what a user could observe, in order.
    """

    log: list[tuple[str, ...]]

    def block(self, kind: str) -> AbstractContextManager[object]: ...
    def call(self, kind: str, function: Callable[[], None]) -> None: ...
    def add(self, name: str) -> None: ...
    def insert(self, name: str) -> None: ...
    def flush(self) -> None: ...
    def clash(self, how: Clashing) -> None: ...
    def names(self) -> list[str]: ...
    def doom(self) -> None: ...
    def commit(self) -> None: ...
    def rollback(self) -> None: ...
    def hook(self, moment: Moment, function: Callable[[], None], *, robust: bool) -> None: ...
    def state(self) -> str: ...


class Step(Protocol):
    """One step of a program."""

    def play(self, machine: Machine, name: str) -> None: ...


Body = tuple[Step, ...]
Clashing = Literal["flush", "statement"]
Moment = Literal["before_commit", "on_commit", "on_rollback"]


def play(body: Body, machine: Machine, name: str) -> None:
    """Perform *body*, which is part of the step *name*."""
    for number, step in enumerate(body):
        step.play(machine, f"{name}.{number}")


# -- steps that work ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Add:
    """Put a row into the session."""

    def play(self, machine: Machine, name: str) -> None:
        machine.add(name)


@dataclass(frozen=True)
class Insert:
    """Send a row past the session: Core DML leaves no dirty objects."""

    def play(self, machine: Machine, name: str) -> None:
        machine.insert(name)


@dataclass(frozen=True)
class Flush:
    """Send what is in the session."""

    def play(self, machine: Machine, name: str) -> None:
        machine.flush()


@dataclass(frozen=True)
class Clash:
    """Write a row that is there already: in a flush, which ends SQLAlchemy's transaction, or in a statement, which
    ends PostgreSQL's.
    """

    how: Clashing

    def play(self, machine: Machine, name: str) -> None:
        machine.clash(self.how)


@dataclass(frozen=True)
class Look:
    """Note which rows the session sees."""

    def play(self, machine: Machine, name: str) -> None:
        machine.log.append(("sees", *machine.names()))


# -- steps that decide -------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Doom:
    """``uow.doom()``."""

    def play(self, machine: Machine, name: str) -> None:
        machine.doom()


@dataclass(frozen=True)
class Commit:
    """``session.commit()``, wherever it stands."""

    def play(self, machine: Machine, name: str) -> None:
        machine.commit()
        machine.log.append(("after commit()", machine.state()))


@dataclass(frozen=True)
class Rollback:
    """``session.rollback()``, wherever it stands."""

    def play(self, machine: Machine, name: str) -> None:
        machine.rollback()
        machine.log.append(("after rollback()", machine.state()))


@dataclass(frozen=True)
class Raise:
    """An exception: a failure or an answer."""

    error: type[FailureError | Redirect]

    def play(self, machine: Machine, name: str) -> None:
        raise self.error


@dataclass(frozen=True)
class Catch:
    """``try: … except Exception: pass``."""

    body: Body

    def play(self, machine: Machine, name: str) -> None:
        try:
            play(self.body, machine, name)
        except Exception as error:  # noqa: BLE001  programs do that
            machine.log.append(("caught", name, kind_of(error), machine.state()))


@dataclass(frozen=True)
class Block:
    """A ``with`` statement."""

    kind: str
    body: Body

    def play(self, machine: Machine, name: str) -> None:
        with machine.block(self.kind):
            play(self.body, machine, name)
        machine.log.append(("after", self.kind, name, machine.state()))


@dataclass(frozen=True)
class Call:
    """A call of a decorated function."""

    kind: str
    body: Body

    def play(self, machine: Machine, name: str) -> None:
        machine.call(self.kind, lambda: play(self.body, machine, name))
        machine.log.append(("after", self.kind, name, machine.state()))


@dataclass(frozen=True)
class Hook:
    """A function that runs when the unit's fate is decided. It is a program of its own."""

    moment: Moment
    robust: bool
    body: Body

    def play(self, machine: Machine, name: str) -> None:
        def function() -> None:
            machine.log.append((self.moment, name))
            try:
                play(self.body, machine, name)
            except Redirect:
                if self.moment == "before_commit":
                    raise FailureError from None  # there, nobody is left to give an answer
                raise

        machine.hook(self.moment, function, robust=self.robust)


@dataclass(frozen=True)
class Request:
    """A request: what its view does and answers, and what the app's error handler does and answers, if there is one."""

    body: Body
    status: int
    explicit: bool
    handler: Body | None
    handler_status: int
