"""Finishing what a process left prepared that ended between the two phases of a commit.

Note: how it is decided
    Each name tells which database decides. Its row in ``unitofwork_commits`` says that the unit is committed, or that it is
    rolled back. Where there is no row, nobody has committed; and before anything is rolled back, it is made sure that
    nobody will: the deciding branch is rolled back, and a row written that stands in the way of a commit. So a process that
    was only slow, and not dead, gets an error and rolls back, too.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from sqlalchemy import Connection, Engine, inspect
from sqlalchemy.exc import IntegrityError

from ..database.branch_names import BranchName, application_token, database_token
from ..database.commit_records import (
    COMMIT_RECORDS,
    Decision,
    decision_on,
    forget_decisions,
    known_decisions,
    record_rollback,
)
from ..database.prepared import CAN_PREPARE, PreparedBranch, beside, finish_prepared, prepared_branches

__all__ = ["Recovery", "UnfinishedUnit"]

KEPT_FOR: Final = timedelta(days=1)
"""How long decisions are kept at least: a process may still want to know what became of its unit."""

_LOCK_TIMEOUT: Final[Mapping[str, str]] = {
    "postgresql": "SET lock_timeout = '1s'",
    "mysql": "SET SESSION innodb_lock_wait_timeout = 1",
    "mariadb": "SET SESSION innodb_lock_wait_timeout = 1",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class UnfinishedUnit:
    """A unit of work that has prepared transactions.

    Attributes:
        name: its token.
        decider: the bind of the database that decides; None if the app has no such database.
        branches: what is prepared, by bind.
        decision: how it would be finished now; None where that cannot be told.
        obstacle: why it cannot be told.
    """

    name: str
    decider: str | None
    branches: Mapping[str, PreparedBranch]
    decision: Decision | None
    obstacle: str = ""

    @property
    def age(self) -> float:
        """Seconds since the last of them was prepared."""
        return min(branch.age for branch in self.branches.values())

    @property
    def record(self) -> str:
        """Under which its decision is recorded."""
        return next(iter(self.branches.values())).name.record


class Recovery:
    """Finds and finishes what was left prepared by an app. What others have prepared is none of its business.

    Args:
        engines: the app's databases, by name. Those that cannot prepare are left out.
        application_name: the app's name.
    """

    def __init__(self, engines: Mapping[str, Engine], application_name: str) -> None:
        self._engines = {name: engine for name, engine in engines.items() if engine.dialect.name in CAN_PREPARE}
        self._application = application_token(application_name)
        self._binds = {database_token(name, engine.url): name for name, engine in self._engines.items()}
        self._decisions: dict[str, dict[str, tuple[Decision, list[str]]]] = {}
        self.unreachable: dict[str, Exception] = {}
        """The databases that could not be looked at, by name, each with the reason."""

    def look(self) -> list[UnfinishedUnit]:
        """What is prepared in all databases now, oldest first."""
        found: dict[str, dict[str, PreparedBranch]] = {}
        self._decisions, self.unreachable = {}, {}
        for token, bind in self._binds.items():
            try:
                branches = self._look_at(token, bind)
            except Exception as error:  # noqa: BLE001  whatever is wrong with one database, the others are looked at
                self.unreachable[bind] = error
                continue
            for branch in branches:
                found.setdefault(branch.name.unit, {})[bind] = branch
        units = [self._described(name, branches) for name, branches in found.items()]
        return sorted(units, key=lambda unit: unit.age, reverse=True)

    def _look_at(self, token: str, bind: str) -> list[PreparedBranch]:
        with beside(self._engines[bind]) as connection:
            # In this order: whatever is committed by now was prepared before, and is still seen or was finished.
            recorded = inspect(connection).has_table(COMMIT_RECORDS.name)
            self._decisions[bind] = known_decisions(connection, self._application) if recorded else {}
            return prepared_branches(connection, self._application, token)

    def _described(self, name: str, branches: Mapping[str, PreparedBranch]) -> UnfinishedUnit:
        first = next(iter(branches.values())).name
        decider = self._binds.get(first.decider)
        if decider is None:
            obstacle = f"the app has no database {first.decider}, which decides"
            return UnfinishedUnit(name=name, decider=None, branches=branches, decision=None, obstacle=obstacle)
        if decider in self.unreachable:
            obstacle = f"the database {decider!r}, which decides, cannot be reached"
            return UnfinishedUnit(name=name, decider=decider, branches=branches, decision=None, obstacle=obstacle)
        decision, _ = self._decisions[decider].get(first.record, (Decision.ROLLED_BACK, []))
        return UnfinishedUnit(name=name, decider=decider, branches=branches, decision=decision)

    def finish(self, unit: UnfinishedUnit) -> Decision:
        """Commit what *unit* has prepared if it is committed anywhere, else roll it back.

        Returns:
            Which of the two.

        Raises:
            Exception: SQLAlchemy's or the driver's: a database cannot be reached, or its process is still at work.
        """
        assert unit.decider is not None, "it cannot be told how this one is finished"
        with beside(self._engines[unit.decider]) as connection:
            decision = _decide(connection, unit.record, unit.branches.get(unit.decider))
        for bind, branch in unit.branches.items():
            if bind != unit.decider:
                self._finish(bind, branch.name, decision)
        return decision

    def _finish(self, bind: str, name: BranchName, decision: Decision) -> None:
        with beside(self._engines[bind]) as connection:
            try:
                finish_prepared(connection, name, decision)
            except Exception:
                if _is_prepared(connection, name):
                    raise
                # Somebody else has finished it meanwhile, the same way.

    def forget(self, unfinished: Iterable[UnfinishedUnit]) -> int:
        """Delete the decisions that nobody needs any more: older ones than `KEPT_FOR`, of units that are finished.

        Args:
            unfinished: what `look` has found.

        Returns:
            How many. None where a database that took part could not be looked at.
        """
        needed = {unit.record for unit in unfinished}
        looked_at = {token for token, bind in self._binds.items() if bind not in self.unreachable}
        forgotten = 0
        for bind, decisions in self._decisions.items():
            units = [
                record
                for record, (_, branches) in decisions.items()
                if record not in needed and looked_at.issuperset(branches) and _is_old(record)
            ]
            if units:
                with beside(self._engines[bind]) as connection:
                    forget_decisions(connection, units)
            forgotten += len(units)
        return forgotten


def _decide(connection: Connection, record: str, branch: PreparedBranch | None) -> Decision:
    """The decision on a unit, on a *connection* to the database that decides, where *branch* is prepared."""
    COMMIT_RECORDS.create(connection, checkfirst=True)
    decision = decision_on(connection, record)
    if decision is None and branch is not None:
        try:
            finish_prepared(connection, branch.name, Decision.ROLLED_BACK)
        except Exception:
            decision = decision_on(connection, record)
            if decision is None and _is_prepared(connection, branch.name):
                raise
    if decision is None:
        connection.exec_driver_sql(_LOCK_TIMEOUT[connection.dialect.name])
        try:
            record_rollback(connection, record)
        except IntegrityError:
            decision = decision_on(connection, record)
    return decision or Decision.ROLLED_BACK


def _is_prepared(connection: Connection, name: BranchName) -> bool:
    branches = prepared_branches(connection, name.application, name.database)
    return any(branch.name == name for branch in branches)


def _is_old(record: str) -> bool:
    application, _, unit = record.partition(":")
    return datetime.now(UTC) - BranchName(application, unit, "", "").began > KEPT_FOR
