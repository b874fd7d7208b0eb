"""Which tables a session's transaction has written: what is not to be cached before it ends, and is invalidated after it.

Note: stamps of a transaction
    One that sees the database as it was when it read for the first time goes on to see it so. What it reads is kept with the
    stamps that were read before that, by the first of its statements that was cached. If that was not its first one, nobody
    knows the stamps, and nothing is kept.

Note: how writes are seen
    Each statement is looked at right before the driver gets it: whatever the session was asked to do, an INSERT, UPDATE or
    DELETE comes by there. A statement that fails counts; that costs a query at most.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, MutableMapping
from typing import Any, Final

from sqlalchemy import Connection, Engine, orm
from sqlalchemy.engine.interfaces import ExecutionContext
from sqlalchemy.sql.compiler import SQLCompiler

from ..database.commits import has_committed, outcome_is_unknown
from ..database.executions import OWN_STATEMENT, before_each_execution
from ..database.statements import Effect, effect_of, is_change_of_rows
from .observed import Observed
from .tables import EVERYTHING, INVALIDATES, written_by

__all__ = ["OBSERVED", "WrittenTables", "note_statements"]

WRITTEN: Final = "unitofwork_written_tables"
"""Where a connection has what its session's transaction has written, while it is in use."""

OBSERVED: Final = "unitofwork_observed_tables"
"""Where a connection has what notes the tables that it reads from, while results for a cache are loaded."""

# UPDATE may name several tables there, and change all of them.
_UPDATES_SEVERAL: Final = frozenset({"mariadb", "mysql"})

_EVERYTHING: Final = frozenset({EVERYTHING})


class WrittenTables:
    """The tables that the transaction of one session has written, savepoint by savepoint.

    Args:
        renew: is told the names of tables once what was written is committed, or may be.

    Attributes:
        connections: those of the transaction.
    """

    __slots__ = ("_infos", "_is_kept_in_any_case", "_levels", "_renew", "_stamps", "connections")

    def __init__(self, renew: Callable[[Collection[str]], None]) -> None:
        self._renew = renew
        self._levels: list[tuple[orm.SessionTransaction | None, set[str]]] = [(None, set())]
        self._infos: list[MutableMapping[str, Any]] = []
        self._is_kept_in_any_case = False
        self._stamps: dict[tuple[str, Connection], Mapping[str, str]] = {}
        self.connections: list[Connection] = []

    def concern(self, names: Collection[str]) -> bool:
        """Whether one of the tables *names* may have been written."""
        return any(EVERYTHING in written or not written.isdisjoint(names) for _, written in self._levels)

    def add(self, names: Iterable[str]) -> None:
        """The tables *names* have been written."""
        self._levels[-1][1].update(names)

    # -- what becomes of them ------------------------------------------------------------------------------------

    def join(self, connection: Connection) -> None:
        """*connection* is used by the transaction, or by a savepoint in it."""
        if connection not in self.connections:
            self.connections.append(connection)
            self._infos.append(connection.info)
            connection.info[WRITTEN] = self

    def begin_savepoint(self, savepoint: orm.SessionTransaction) -> None:
        """What comes now is undone if *savepoint* is rolled back."""
        self._levels.append((savepoint, set()))

    def release(self, savepoint: orm.SessionTransaction | None) -> None:
        """*savepoint* was released: what was written in it is the transaction's."""
        for written in self._take(savepoint):
            self.add(written)

    def roll_back(self, savepoint: orm.SessionTransaction) -> None:
        """*savepoint* is over, and unless it was released, what was written in it is undone."""
        self._take(savepoint)

    def _take(self, savepoint: orm.SessionTransaction | None) -> list[set[str]]:
        for place, (one, _) in enumerate(self._levels):
            if one is savepoint and one is not None:
                taken = [written for _, written in self._levels[place:]]
                del self._levels[place:]
                return taken
        return []

    def commit(self) -> None:
        """The transaction is committed."""
        names: set[str] = set()
        for _, written in self._levels:
            names |= written
        self._levels = [(None, set())]
        if names:
            self._renew(names)

    def end(self) -> None:
        """The transaction is over. If its commit failed, or was never tried, a part of it may be committed nevertheless."""
        if self._is_kept_in_any_case or any(
            has_committed(connection) or outcome_is_unknown(connection) for connection in self.connections
        ):
            self.commit()
        for info in self._infos:
            if info.get(WRITTEN) is self:
                del info[WRITTEN]
        self.connections, self._infos, self._stamps = [], [], {}
        self._levels = [(None, set())]
        self._is_kept_in_any_case = False

    # -- what it reads -------------------------------------------------------------------------------------------

    def note_stamps(self, region: str, connection: Connection, stamps: Mapping[str, str]) -> None:
        """These *stamps* were read from *region* before anything that *connection* sees from now on."""
        self._stamps.pop((region, connection), None)
        self._stamps[region, connection] = stamps

    def stamps_before(self, region: str, connections: Collection[Connection]) -> Mapping[str, str] | None:
        """Stamps that were read from *region* before anything that *connections* see; None if there are none."""
        keys = {(region, connection) for connection in connections}
        # Those that were noted first are the oldest.
        return next(
            (stamps for key, stamps in self._stamps.items() if key in keys and keys <= self._stamps.keys()), None
        )

    # -- statements ----------------------------------------------------------------------------------------------

    def note(self, statement: str, context: ExecutionContext) -> None:
        """*statement* is about to be executed in *context*."""
        options = context.execution_options
        if OWN_STATEMENT in options:
            return
        several = context.dialect.name in _UPDATES_SEVERAL
        compiled = context.compiled
        if isinstance(compiled, SQLCompiler) and (compiled.isinsert or compiled.isupdate or compiled.isdelete):
            self.add(written_by(compiled.statement, several=several))
        elif effect_of(statement, context) >= Effect.MAINTENANCE:
            hidden = None if compiled is None else written_by(compiled.statement, several=several)
            self.add(hidden or (() if INVALIDATES in options else _EVERYTHING))
            if several and not is_change_of_rows(statement, context):
                self._is_kept_in_any_case = True  # MySQL and MariaDB commit before a change of schema, and after it
        self.add(options.get(INVALIDATES, ()))


def note_statements(engine: Engine) -> None:
    """From now on note what statements on *engine* read and write, for whoever wants to know."""
    before_each_execution(engine, _note)


def _note(info: MutableMapping[str, Any], _cursor: object, statement: str, context: ExecutionContext) -> None:
    written: WrittenTables | None = info.get(WRITTEN)
    if written is not None:
        written.note(statement, context)
    observed: Observed | None = info.get(OBSERVED)
    if observed is not None:
        observed.note(context)
