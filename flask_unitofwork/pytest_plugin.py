"""What pytest loads (entry point ``flask_unitofwork``). It only registers what `testing` defines."""

from __future__ import annotations

import pytest

from .testing import live_server_fixture
from .testing.app_engines import AppEngines
from .testing.assertion_fixtures import *  # noqa: F403  the fixtures are what its __all__ says
from .testing.fixtures import *  # noqa: F403  likewise
from .testing.options import OPTIONS, Options, add_options
from .testing.other_apps import OTHER_APPS, OtherApps
from .testing.schema import SCHEMAS, Schemas
from .testing.templates import TEMPLATES, Templates
from .testing.treatment import declare_markers, real_commits_last
from .testing.verdicts import judge as pytest_runtest_call
from .testing.watching import WATCHING, Watching, add_watching_options, declare_watching_markers
from .testing.worker_databases import WORKER_DATABASES, WorkerDatabases

__all__ = ["pytest_addoption", "pytest_collection_modifyitems", "pytest_configure", "pytest_runtest_call"]


def pytest_addoption(parser: pytest.Parser) -> None:
    """Declare the ini options."""
    add_options(parser)
    add_watching_options(parser)


def pytest_configure(config: pytest.Config) -> None:
    """Check the ini options, and declare the markers."""
    config.stash[OPTIONS] = Options.of(config)
    config.stash[SCHEMAS] = Schemas()
    config.pluginmanager.register(config.stash[SCHEMAS], Schemas.NAME)
    databases = WorkerDatabases.of(config)
    config.stash[WORKER_DATABASES] = databases
    config.stash[TEMPLATES] = Templates(databases)
    config.stash[WATCHING] = Watching.of(config)
    declare_markers(config)
    declare_watching_markers(config)
    config.pluginmanager.register(AppEngines(), AppEngines.NAME)
    config.stash[OTHER_APPS] = OtherApps()
    config.pluginmanager.register(config.stash[OTHER_APPS], OtherApps.NAME)
    if config.pluginmanager.hasplugin(live_server_fixture.PYTEST_FLASK):
        config.pluginmanager.register(live_server_fixture, live_server_fixture.__name__)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let tests with real commits come last, whatever shuffled them."""
    real_commits_last(items)
