"""The session of the test in progress, for what is made at import and used in tests: factories."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager

import pytest

from ..exceptions import OutsideScopeError
from ..session import Session
from .treatment import Treatment

__all__ = ["current_test_session", "progress_of_test"]

# A test that runs pytest in its own process has another test inside of it.
_in_progress: list[tuple[pytest.FixtureRequest, Treatment]] = []


@contextmanager
def progress_of_test(request: pytest.FixtureRequest, treatment: Treatment) -> Generator[None]:
    """For the time of the block, the test of *request* is in progress, and treated so."""
    _in_progress.append((request, treatment))
    try:
        yield
    finally:
        _in_progress.pop()


def current_test_session() -> Session:
    """The fixture ``uow_session`` of the test in progress, whether or not the test names it.

    Raises:
        OutsideScopeError: no test is in progress, or nothing keeps it apart from the others.

    Example:
        ::

            class ProductFactory(SQLAlchemyModelFactory):
                class Meta:
                    model = Product
                    sqlalchemy_session_factory = current_test_session
                    sqlalchemy_session_persistence = "commit"
    """
    if not _in_progress:
        raise OutsideScopeError(
            "No test is in progress, so there is no session of a test. Use it in tests and fixtures."
        )
    request, treatment = _in_progress[-1]
    if treatment is Treatment.NONE and "uow_session" not in request.fixturenames:
        raise OutsideScopeError(
            f"{request.node.nodeid} uses no fixture of the app, so it is not rolled back, and what it wrote would stay."
            " Let it use uow_session or client, or mark it: @pytest.mark.uow_isolated"
        )
    session: Session = request.getfixturevalue("uow_session")
    return session
