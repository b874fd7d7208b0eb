"""The fixtures that ask what an app did: each is the function of the same name, for the app of the test."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

import pytest

from . import assertions, captured, lazy_loads
from .apps import checked_app
from .assertions import AssertStatements
from .captured import CapturedHooks
from .lazy_loads import AssertNoLazyLoads
from .outcomes import Outcomes, watched_outcomes

__all__ = [
    "assert_committed",
    "assert_max_statements",
    "assert_no_lazy_loads",
    "assert_rolled_back",
    "assert_statements",
    "captured_hooks",
    "uow_outcomes",
]


@pytest.fixture
def assert_statements(uow_app: object) -> AssertStatements:
    """Fails unless a block sends exactly so many statements."""
    return partial(assertions.assert_statements, app=checked_app(uow_app))


@pytest.fixture
def assert_max_statements(uow_app: object) -> AssertStatements:
    """Fails if a block sends more statements than that."""
    return partial(assertions.assert_max_statements, app=checked_app(uow_app))


@pytest.fixture
def assert_no_lazy_loads(uow_app: object) -> AssertNoLazyLoads:
    """Fails if a block reads attributes that are not loaded."""
    return partial(lazy_loads.assert_no_lazy_loads, app=checked_app(uow_app))


@pytest.fixture
def uow_outcomes(uow_app: object) -> Iterator[Outcomes]:
    """Knows what became of the last request's unit of work."""
    with watched_outcomes(checked_app(uow_app)) as outcomes:
        yield outcomes


@pytest.fixture
def assert_committed(uow_outcomes: Outcomes) -> Callable[[], None]:
    """Fails unless the last request was committed."""
    return uow_outcomes.assert_committed


@pytest.fixture
def assert_rolled_back(uow_outcomes: Outcomes) -> Callable[[], None]:
    """Fails unless the last request was rolled back."""
    return uow_outcomes.assert_rolled_back


@pytest.fixture
def captured_hooks(uow_app: object) -> Iterator[CapturedHooks]:
    """The test's after-commit hooks, which are kept instead of being run."""
    with captured.captured_hooks(app=checked_app(uow_app)) as hooks:
        yield hooks
