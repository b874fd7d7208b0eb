"""What ``flask uow recover`` says and does."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from sqlalchemy import Engine
from sqlalchemy.exc import DBAPIError

from ..database.commit_records import Decision
from ..transaction import Recovery, UnfinishedUnit
from .address import without_secrets

__all__ = ["recover"]

_PLANS: Final = {Decision.COMMITTED: "would be committed", Decision.ROLLED_BACK: "would be rolled back"}
_UNITS: Final = ((86400, "d"), (3600, "h"), (60, "min"))


def recover(
    engines: Mapping[str, Engine],
    application_name: str,
    say: Callable[[str], None],
    *,
    older_than: float,
    dry_run: bool,
) -> bool:
    """Finish what an app has left prepared, and tell about each unit of work.

    Args:
        engines: the app's databases, by name.
        application_name: the app's name.
        say: is given each line.
        older_than: seconds; what was prepared later is left to its process.
        dry_run: tell only.

    Returns:
        Whether all went well. What cannot be finished now is left for the next time.
    """
    recovery = Recovery(engines, application_name)
    units = recovery.look()
    for bind, error in recovery.unreachable.items():
        say(f"{bind}: FAILED: {_reason(error, engines)}")
    well = not recovery.unreachable
    for unit in units:
        say(f"{unit.name}: prepared {_time(unit.age)} ago {_places(unit)}")
        outcome, fine = _outcome(recovery, unit, engines, older_than=older_than, dry_run=dry_run)
        say(f"  {outcome}")
        well = well and fine
    if not units:
        say("Nothing is left prepared.")
    forgotten = 0 if dry_run else recovery.forget(units)
    if forgotten:
        say(f"Deleted {forgotten} old decisions that nobody needs any more.")
    return well


def _outcome(
    recovery: Recovery, unit: UnfinishedUnit, engines: Mapping[str, Engine], *, older_than: float, dry_run: bool
) -> tuple[str, bool]:
    """What becomes of *unit*, and whether that is well."""
    if unit.age < older_than:
        return f"left to its process: younger than {_time(older_than)} (--older-than)", True
    if unit.decision is None:
        return f"left as it is: {unit.obstacle}", False
    if dry_run:
        return _PLANS[unit.decision], True
    try:
        return recovery.finish(unit).value, True
    except Exception as error:  # noqa: BLE001  the others are finished nevertheless
        return f"FAILED: {_reason(error, engines)}", False


def _places(unit: UnfinishedUnit) -> str:
    return "in " + ", ".join(
        bind if branch.role is None else f"{bind} (by {branch.role})" for bind, branch in sorted(unit.branches.items())
    )


def _time(seconds: float) -> str:
    for length, name in _UNITS:
        if seconds >= 2 * length:
            return f"{seconds / length:.0f} {name}"
    return f"{seconds:.0f} s"


def _reason(error: Exception, engines: Mapping[str, Engine]) -> str:
    message = str(error.orig if isinstance(error, DBAPIError) else error) or type(error).__name__
    for engine in engines.values():
        message = without_secrets(message, engine.url)
    return message
