"""What is judged when a test's own code has ended well: whether the faults happened, for instance.

In the test's own phase, so that a test that fails for it has failed, and is not one that passed with an error after it.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import Final

import pytest

__all__ = ["judge", "judge_after"]

_VERDICTS: Final = pytest.StashKey[list[Callable[[], None]]]()


def judge_after(request: pytest.FixtureRequest, verdict: Callable[[], None]) -> None:
    """Call *verdict* when the test of *request* has passed; it raises where the test has failed nevertheless."""
    node: pytest.Item = request.node
    node.stash.setdefault(_VERDICTS, []).append(verdict)


@pytest.hookimpl(wrapper=True)
def judge(item: pytest.Item) -> Generator[None]:
    """Run the test, and the verdicts after it."""
    yield
    for verdict in item.stash.get(_VERDICTS, []):
        problem = _problem(verdict)
        if problem is not None:
            pytest.fail(problem, pytrace=False)  # no line of the test's is where it failed


def _problem(verdict: Callable[[], None]) -> str | None:
    try:
        verdict()
    except AssertionError as error:
        return str(error)
    return None
