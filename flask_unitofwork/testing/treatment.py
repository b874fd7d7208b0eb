"""How a test is kept apart from the others: rolled back, cleaned up after, or not at all."""

from __future__ import annotations

from enum import Enum
from typing import Final

import pytest

from .options import OPTIONS

__all__ = [
    "ISOLATED",
    "REAL_COMMITS",
    "Treatment",
    "asks_by_name",
    "declare_markers",
    "real_commits_last",
    "treatment_of",
]

ISOLATED: Final = "uow_isolated"
REAL_COMMITS: Final = "uow_real_commits"

# Whoever uses this means the app's databases, and must be told if they are not there. The plugin's other fixtures use it,
# so that it is among the names of their tests, too; a project's own fixture `uow` need not.
_BY_NAME: Final = frozenset({"uow_app"})
# These may also be another plugin's, or an app's that has no UnitOfWork.
_PERHAPS: Final = frozenset({"app", "client"})


class Treatment(Enum):
    """What is done with a test's work."""

    ISOLATED = "rolled back"
    REAL_COMMITS = "committed, and deleted after the test"
    NONE = "left alone"


def declare_markers(config: pytest.Config) -> None:
    """Declare the markers that choose one."""
    config.addinivalue_line("markers", f"{ISOLATED}: the test is rolled back, whatever fixtures it uses")
    config.addinivalue_line(
        "markers", f"{REAL_COMMITS}: the test's commits are real; all tables are emptied after it, and it runs last"
    )


def treatment_of(request: pytest.FixtureRequest) -> Treatment:
    """What the test of *request* gets. The marker nearest to it decides; without one, the ini option does.

    Raises:
        pytest.UsageError: the test asks for two things that exclude each other.
    """
    node: pytest.Item = request.node
    which = node.config.stash[OPTIONS].isolation
    marker = _nearest_marker(node)
    if marker == REAL_COMMITS:
        return Treatment.REAL_COMMITS
    if marker == ISOLATED:
        if which == "off":
            raise pytest.UsageError(
                f"{node.nodeid} is marked {ISOLATED}, and uow_isolation = off turns isolation off."
                " Write uow_isolation = marked, so that only marked tests are isolated."
            )
        return Treatment.ISOLATED
    if which == "all" or (which == "auto" and not (_BY_NAME | _PERHAPS).isdisjoint(request.fixturenames)):
        return Treatment.ISOLATED
    return Treatment.NONE


def asks_by_name(request: pytest.FixtureRequest) -> bool:
    """Whether the test cannot mean anything but an app with a UnitOfWork."""
    node: pytest.Item = request.node
    return (
        node.config.stash[OPTIONS].isolation == "all"
        or not _BY_NAME.isdisjoint(request.fixturenames)
        or _nearest_marker(node) is not None
    )


def real_commits_last(items: list[pytest.Item]) -> None:
    """Put the tests that empty all tables behind those that count on what they found in them."""
    items.sort(key=lambda item: _nearest_marker(item) == REAL_COMMITS)


def _nearest_marker(item: pytest.Item) -> str | None:
    """The marker that is nearest to the test: its own, or else its class's, or else its module's.

    Raises:
        pytest.UsageError: both are equally near.
    """
    found = [
        (node, marker.name) for node, marker in item.iter_markers_with_node() if marker.name in {ISOLATED, REAL_COMMITS}
    ]
    if not found:
        return None
    nearest, name = found[0]
    if len(found) > 1 and any(node is nearest and other != name for node, other in found):
        raise pytest.UsageError(
            f"{nearest.nodeid} is marked {ISOLATED} and {REAL_COMMITS}: its work is either rolled back or committed."
            " Leave one of them out."
        )
    return name
