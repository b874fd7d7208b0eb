"""What a project has watched in every test, as pytest's configuration says: repeated statements, and retries."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, cast, get_args

import pytest

from .repeated import WhenRepeated

__all__ = ["WATCHING", "Watching", "add_watching_options", "declare_watching_markers", "when_repeated"]

REPEATED: Final = "uow_repeated_statements"
THRESHOLD: Final = "uow_repeated_statements_threshold"
REHEARSE: Final = "uow_rehearse_retries"

_LEAST: Final = 2


@dataclass(frozen=True, slots=True)
class Watching:
    """The project's choices.

    Attributes:
        repeated: what a test does about repeated statements.
        threshold: how often a query is sent where it counts as repeated.
        rehearses: whether what may run again is run twice.
    """

    repeated: WhenRepeated
    threshold: int
    rehearses: bool

    @classmethod
    def of(cls, config: pytest.Config) -> Watching:
        """The choices in *config*.

        Raises:
            pytest.UsageError: one of them cannot be.
        """
        return cls(
            _checked(config.getini(REPEATED), REPEATED), _threshold(config.getini(THRESHOLD)), config.getini(REHEARSE)
        )


WATCHING: Final = pytest.StashKey[Watching]()
"""Where pytest's configuration has them, once they are checked."""


def add_watching_options(parser: pytest.Parser) -> None:
    """Declare them."""
    parser.addini(
        REPEATED, "what a test does about queries that a loop repeats (N+1): off, warn, or error", default="off"
    )
    parser.addini(THRESHOLD, "how often a query is sent in one unit of work where it counts as repeated", default="3")
    parser.addini(REHEARSE, "run what may run again (attempts) twice in every test, and compare", "bool", default=False)


def declare_watching_markers(config: pytest.Config) -> None:
    """Declare the marker by which one test differs from the others."""
    config.addinivalue_line("markers", f'{REPEATED}(what): for this test, "off", "warn" or "error"')


def when_repeated(node: pytest.Item) -> WhenRepeated:
    """What the test of *node* does about repeated statements: what its nearest marker says, or else the ini option.

    Raises:
        pytest.UsageError: the marker says something else.
    """
    marker = node.get_closest_marker(REPEATED)
    if marker is None:
        return node.config.stash[WATCHING].repeated
    return _checked(marker.args[0] if len(marker.args) == 1 else None, f"the marker {REPEATED} of {node.nodeid}")


def _checked(value: object, where: str) -> WhenRepeated:
    if value not in get_args(WhenRepeated):
        raise pytest.UsageError(f'{where} must be "off", "warn" or "error"; it is {value!r}.')
    return cast(WhenRepeated, value)


def _threshold(value: str) -> int:
    if not value.isdecimal() or int(value) < _LEAST:
        raise pytest.UsageError(f"{THRESHOLD} must be a number from {_LEAST} on; it is {value!r}.")
    return int(value)
