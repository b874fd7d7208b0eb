"""Engines for tests of the database layer."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Protocol

import pytest

from flask_unitofwork.config import Settings
from flask_unitofwork.database import Engines


class MakeEngines(Protocol):
    """Makes the engines of an app, as `init_app` would."""

    def __call__(self, databases: str | Mapping[str, Any], **settings: Any) -> Engines:
        """Make them.

        Args:
            databases: the value of ``UNITOFWORK_DATABASES``.
            settings: the other settings, by their names in lower case: ``lock_timeout=1``.
        """
        ...


@pytest.fixture
def instance_path(tmp_path: Path) -> Path:
    """The app's instance folder, which nobody has made."""
    return tmp_path / "instance"


@pytest.fixture
def make_engines(instance_path: Path) -> Iterator[MakeEngines]:
    with ExitStack() as made:

        def make(databases: str | Mapping[str, Any], **settings: Any) -> Engines:
            config = {f"UNITOFWORK_{name.upper()}": value for name, value in settings.items()}
            config["UNITOFWORK_DATABASES"] = databases
            engines = Engines(Settings.from_config(config, instance_path=instance_path))
            made.callback(engines.dispose)
            return engines

        yield make
