"""The fixtures that ask what an app did: each is the function of the same name, for the app of the test."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import partial
from typing import Final

import pytest

from . import assertions, captured, lazy_loads
from .apps import checked_app, has_unit_of_work
from .assertions import AssertStatements
from .captured import CapturedHooks
from .faults import Faults
from .lazy_loads import AssertNoLazyLoads
from .outcomes import Outcomes, watched_outcomes
from .rehearsal import Rehearsal
from .repeated import Repetitions
from .statements import recorder_for
from .verdicts import judge_after
from .watching import WATCHING, when_repeated

__all__ = [
    "assert_committed",
    "assert_max_statements",
    "assert_no_lazy_loads",
    "assert_rolled_back",
    "assert_statements",
    "captured_hooks",
    "rehearse_retries",
    "uow_faults",
    "uow_outcomes",
    "uow_watching",
]

# Who asks for one of these has an app.
_APPS: Final = frozenset({"app", "client", "uow_app"})


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


@pytest.fixture
def uow_faults(uow_app: object, request: pytest.FixtureRequest) -> Iterator[Faults]:
    """Lets the app's databases fail as the test asks. The test fails if a fault that it asked for never happened."""
    faults = Faults(checked_app(uow_app))
    judge_after(request, faults.assert_used)
    with faults.listening():
        yield faults


@pytest.fixture
def rehearse_retries(uow_app: object, request: pytest.FixtureRequest) -> Iterator[Rehearsal]:
    """Runs what may run again twice. The test fails if a second run does something else than the first."""
    rehearsal = Rehearsal(checked_app(uow_app))
    judge_after(request, rehearsal.assert_same)
    with rehearsal.listening():
        yield rehearsal


@pytest.fixture(autouse=True)
def uow_watching(request: pytest.FixtureRequest) -> Iterator[None]:
    """Looks for repeated statements, and rehearses retries, in tests of a project that wants that of all."""
    what, watching = when_repeated(request.node), request.config.stash[WATCHING]
    if (what == "off" and not watching.rehearses) or _APPS.isdisjoint(request.fixturenames):
        yield
        return
    app: object = request.getfixturevalue("uow_app")
    with ExitStack() as end:
        if has_unit_of_work(app) and what != "off":
            repetitions = Repetitions(watching.threshold)
            judge_after(request, repetitions.fail if what == "error" else repetitions.warn)
            end.enter_context(recorder_for(app, repetitions.count))
        if has_unit_of_work(app) and watching.rehearses:
            request.getfixturevalue("rehearse_retries")
        yield
