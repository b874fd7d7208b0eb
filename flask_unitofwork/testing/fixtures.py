"""The fixtures that the pytest plugin registers. Each may be replaced by a project's own of the same name."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest
from flask import Flask
from sqlalchemy import URL

from ..extension import UnitOfWork
from ..session import Session
from .apps import checked_app, has_unit_of_work, unit_of_work
from .current_test import progress_of_test
from .isolation import isolated
from .migrations import upgrade
from .options import OPTIONS
from .other_apps import OTHER_APPS
from .own_session import session_for_test
from .schema import SCHEMAS, make_tables
from .templates import TEMPLATES
from .treatment import Treatment, asks_by_name, treatment_of
from .truncation import empty_tables, finish_prepared, tables_to_empty
from .worker_databases import WORKER_DATABASES

__all__ = ["uow", "uow_app", "uow_isolation", "uow_schema", "uow_seed", "uow_session", "uow_worker_url"]


@pytest.fixture
# This is shown where there is no `app`: write a fixture of that name in conftest.py that returns your Flask app.
def uow_app(app: object) -> object:
    """The app whose databases the test works on: the fixture ``app``. Replace it where yours has another name."""
    return app


@pytest.fixture(scope="session")
def uow_seed() -> Callable[[Flask], None] | None:
    """Rows that every test finds: nothing, unless a project's own fixture returns a function that commits them."""
    return None


@pytest.fixture
def uow_schema(uow_app: object, uow_seed: Callable[[Flask], None] | None, pytestconfig: pytest.Config) -> None:
    """The tables are there: made by ``create_all`` or by Alembic, once in a run for each database, then seeded."""
    migrations = pytestconfig.stash[OPTIONS].migrations

    def make(app: Flask) -> None:
        if migrations is None:
            make_tables(app)
        else:
            upgrade(app, migrations)
        if uow_seed is not None:
            uow_seed(app)

    templates = pytestconfig.stash[TEMPLATES]
    pytestconfig.stash[SCHEMAS].set_up(checked_app(uow_app), lambda app: templates.set_up(app, make))


@pytest.fixture(scope="session")
def uow_worker_url(
    pytestconfig: pytest.Config, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[[str | URL], str]]:
    """A function that takes a database's URL and gives that of one which is this worker's own, made for the run.

    Example:
        ::

            @pytest.fixture(scope="session")
            def app(uow_worker_url):
                return create_app(UNITOFWORK_DATABASES=uow_worker_url("postgresql+psycopg://localhost/shop_test"))
    """
    databases = pytestconfig.stash[WORKER_DATABASES]
    databases.folder = tmp_path_factory.mktemp("databases")
    yield databases.url
    pytestconfig.stash[TEMPLATES].drop()
    databases.drop()


@pytest.fixture(autouse=True)
def uow_isolation(request: pytest.FixtureRequest) -> Iterator[Treatment]:
    """Keeps the test apart from the others: what it writes is rolled back, or deleted where its commits are real.

    Raises:
        pytest.UsageError: the test asks for two things that exclude each other.
        ConfigurationError: the test needs an app, and the fixture gives something else.
        NotInitializedError: the app has no UnitOfWork.
    """
    treatment = treatment_of(request)
    with ExitStack() as end:
        if treatment is not Treatment.NONE:
            app = _app_of(request)
            if app is None:
                treatment = Treatment.NONE
            else:
                _keep_apart(app, treatment, request, end)
        with progress_of_test(request, treatment):
            yield treatment


@pytest.fixture
def uow(uow_app: object) -> UnitOfWork:
    """The app's UnitOfWork."""
    return unit_of_work(checked_app(uow_app))


@pytest.fixture
def uow_session(uow_app: object, uow_schema: None, uow_isolation: Treatment) -> Iterator[Session]:  # noqa: ARG001
    """A session of the test's own. It needs no app context, and sees what the app commits."""
    with session_for_test(checked_app(uow_app)) as session:
        yield session


def _app_of(request: pytest.FixtureRequest) -> Flask | None:
    """The test's app; None where there is none with a UnitOfWork, and the test does not ask for one by name."""
    if asks_by_name(request):
        return checked_app(request.getfixturevalue("uow_app"))
    try:
        app: object = request.getfixturevalue("uow_app")
    except pytest.FixtureLookupError:
        return None
    return app if has_unit_of_work(app) else None


def _keep_apart(app: Flask, treatment: Treatment, request: pytest.FixtureRequest, end: ExitStack) -> None:
    tables = tables_to_empty(app) if treatment is Treatment.REAL_COMMITS else {}
    _make_tables(app, request)
    if treatment is Treatment.ISOLATED:
        end.enter_context(isolated(app))
        end.enter_context(request.config.stash[OTHER_APPS].isolated_with(app))
        return
    seed: Callable[[Flask], None] | None = request.getfixturevalue("uow_seed")

    def clean_up() -> None:
        # pytest-flask's context may still be there, with a session in a transaction that holds locks.
        unit_of_work(app).registry.remove()
        finish_prepared(app)
        empty_tables(app, tables)
        if seed is not None:
            seed(app)

    end.callback(clean_up)


def _make_tables(app: Flask, request: pytest.FixtureRequest) -> None:
    """Let the fixture ``uow_schema`` do what it does.

    Where it is the plugin's own, and the app's tables are made, it has nothing to do and is not asked again: for pytest, a
    fixture is as much work as a statement is for SQLAlchemy.
    """
    schemas, collector = request.config.stash[SCHEMAS], request.node.parent
    if schemas.are_made(app, collector):
        return
    if schemas.module_of_fixture(lambda: request.getfixturevalue("uow_schema")) == __name__:
        schemas.note_made(app, collector)
