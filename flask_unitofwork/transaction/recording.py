"""Recording of statements, each with the line of the user's code that sent it. Nothing is recorded unless asked for.

Note: what is recorded
    What reads or writes. Not what begins or ends a transaction or a savepoint, and not what sets something: such
    statements come and go with isolation, with pools and with drivers, and no line of code sends them by itself.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from threading import Lock
from types import CodeType, TracebackType
from typing import Any, Final, Self
from weakref import WeakKeyDictionary

from sqlalchemy import Connection, Engine, event, orm
from sqlalchemy.engine.interfaces import ExecutionContext

from ..database.statements import Effect, effect_of
from ..session import Session
from .places import Place, frames_to_user
from .unit import Unit

__all__ = ["Recorder", "SentStatement", "Work"]

# An execution option: what was read by touching an attribute.
_ATTRIBUTE: Final = "unitofwork_attribute"

_NOT_RECORDED: Final = frozenset({Effect.CONTROL, Effect.SAVEPOINT})


@dataclass(frozen=True, slots=True)
class Work:
    """What a statement is part of.

    Attributes:
        unit: the number of its unit of work, which no other of this recorder has.
        attempt: which run of the work this is, from 1.
    """

    unit: int
    attempt: int


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class SentStatement:
    """A statement that was given to a database's driver.

    Attributes:
        text: the SQL.
        parameters: by name, one mapping for each row; empty where the statement was written for the driver.
        effect: what it does to the database.
        bind: the name of the database.
        place: the line of the user's code that was in progress; None where there was none.
        at_end: the package sent it at the end of a unit, when it wrote what was pending: no line did.
        attribute: the attribute whose first use made SQLAlchemy load it, such as ``Order.lines``; None where it is
            not a lazy load.
        work: the unit of work it belongs to; None outside any.
    """

    text: str
    parameters: tuple[Mapping[str, Any], ...]
    effect: Effect
    bind: str
    place: Place | None
    at_end: bool
    attribute: str | None
    work: Work | None

    @property
    def origin(self) -> str:
        """What sent it, in words."""
        place = "outside your code" if self.place is None else str(self.place)
        if self.attribute is not None:
            return f"{place}: lazy load of {self.attribute}"
        return f"{place}: written by the closing commit" if self.at_end else place


class Recorder:
    """Records what is sent to an app's databases while its ``with`` block is open.

    Args:
        engines: the app's, by name.
        unit_here: the unit of work that is current where a statement is sent, if any.
        own: the top-level names of the user's packages.
        tell: is given each statement right before it is sent.

    Attributes:
        statements: what was recorded, in the order in which it was sent, by whichever thread.
    """

    def __init__(
        self,
        engines: Mapping[str, Engine],
        *,
        unit_here: Callable[[], Unit | None] = lambda: None,
        own: Collection[str] = (),
        tell: Callable[[SentStatement], None] | None = None,
    ) -> None:
        self._engines = engines
        self._unit_here = unit_here
        self._own = own
        self._tell = tell
        self._units: WeakKeyDictionary[Unit, int] = WeakKeyDictionary()
        self._numbering = Lock()
        self._number = 0
        self._end = ExitStack()
        self.statements: list[SentStatement] = []

    def __enter__(self) -> Self:
        for name, engine in self._engines.items():
            self._listen(engine, "before_cursor_execute", self._listener(name), insert=True)
        self._listen(Session, "do_orm_execute", self._note_attribute)
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None
    ) -> None:
        self._end.close()

    def work_here(self) -> Work | None:
        """The unit of work that is current here."""
        unit = self._unit_here()
        if unit is None:
            return None
        with self._numbering:
            if unit not in self._units:
                self._number += 1
                self._units[unit] = self._number
            return Work(self._units[unit], unit.attempt)

    def _listen(self, target: Any, name: str, listener: Callable[..., None], **options: bool) -> None:
        event.listen(target, name, listener, **options)
        self._end.callback(event.remove, target, name, listener)

    def _listener(self, bind: str) -> Callable[..., None]:
        def record(
            _connection: Connection, _cursor: object, statement: str, _parameters: object, context: Any, _many: bool
        ) -> None:
            # No context: SQLAlchemy runs a default or a sequence of its own, which is part of what is recorded anyway.
            if context is None or (effect := effect_of(statement, context)) in _NOT_RECORDED:
                return
            between, place = frames_to_user(self._own)
            sent = SentStatement(
                text=statement,
                parameters=_named_parameters(context),
                effect=effect,
                bind=bind,
                place=place,
                at_end=Unit.commit.__code__ in between,
                attribute=context.execution_options.get(_ATTRIBUTE),
                work=self.work_here(),
            )
            self.statements.append(sent)
            if self._tell is not None:
                self._tell(sent)

        return record

    def _note_attribute(self, state: orm.ORMExecuteState) -> None:
        """Note on the statement which attribute it loads, where it is the use of an attribute that loads it."""
        if not state.is_select or not (state.is_relationship_load or state.is_column_load):
            return
        if any(code in _READING_ATTRIBUTES for code in frames_to_user(self._own)[0]):
            state.update_execution_options(**{_ATTRIBUTE: _name_of_attribute(state)})


def _named_parameters(context: ExecutionContext) -> tuple[Mapping[str, Any], ...]:
    rows: Iterable[Mapping[str, Any]] = getattr(context, "compiled_parameters", None) or ()
    return tuple(dict(row) for row in rows)


def _name_of_attribute(state: orm.ORMExecuteState) -> str:
    path = state.loader_strategy_path
    if state.is_relationship_load and path is not None:
        return str(path.path[-1])
    mapper = state.bind_mapper
    return "a column" if mapper is None else f"columns of {mapper.class_.__name__} that were expired or deferred"


# What runs where code reads an attribute of an object.
_READING_ATTRIBUTES: Final[frozenset[CodeType]] = frozenset({orm.InstrumentedAttribute.__get__.__code__})
