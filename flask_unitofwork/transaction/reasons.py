"""Why a unit was rolled back, in words."""

from __future__ import annotations

from .places import frames_to_user, place_raised

__all__ = ["in_words", "rolled_back_by_hand"]


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
    _, place = frames_to_user()
    return f"code rolled it back, or closed its session{'' if place is None else f', at {place}'}"
