"""Why a unit was rolled back, in words."""

from __future__ import annotations

from .places import frames_to_user, place_raised

__all__ = ["closed_by_hand", "in_words", "rolled_back_by_hand"]


def in_words(because: BaseException | str) -> str:
    """What made a rollback necessary."""
    if isinstance(because, str):
        return because
    place = place_raised(because)
    message = str(because).partition("\n")[0]
    return (
        f"{type(because).__name__}{': ' if message else ''}{message}{'' if place is None else f' (raised at {place})'}"
    )


def rolled_back_by_hand() -> str:
    """What to say where the code in progress has ended the transaction itself."""
    return f"code rolled it back, or closed its session{_place()}"


def closed_by_hand() -> str:
    """What to say where the code in progress closes the session itself."""
    return f"Code has closed its session{_place()}"


def _place() -> str:
    _, place = frames_to_user()
    return "" if place is None else f", at {place}"
