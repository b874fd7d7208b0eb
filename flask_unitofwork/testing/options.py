"""What a project says in pytest's configuration: which tests are isolated, and where its migrations are."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Final, Literal, cast, get_args

import pytest

__all__ = ["OPTIONS", "Options", "WhichTests", "add_options"]

WhichTests = Literal["auto", "all", "marked", "off"]

ISOLATION: Final = "uow_isolation"
MIGRATIONS: Final = "uow_alembic"


@dataclass(frozen=True, slots=True)
class Options:
    """The project's choices.

    Attributes:
        isolation: which tests are isolated.
        migrations: ``alembic.ini``, or the folder of its scripts; None where tables are made by ``create_all``.
    """

    isolation: WhichTests = "auto"
    migrations: Path | None = None

    @classmethod
    def of(cls, config: pytest.Config) -> Options:
        """The choices in *config*.

        Raises:
            pytest.UsageError: one of them cannot be.
        """
        return cls(_isolation(config.getini(ISOLATION)), _migrations(config.getini(MIGRATIONS), config.rootpath))


OPTIONS: Final = pytest.StashKey[Options]()
"""Where pytest's configuration has them, once they are checked."""


def add_options(parser: pytest.Parser) -> None:
    """Declare them."""
    parser.addini(
        ISOLATION,
        "which tests are rolled back: auto (those that use the app or its databases), all, marked, or off",
        default="auto",
    )
    parser.addini(MIGRATIONS, "alembic.ini, or Alembic's script folder: uow_schema upgrades to its heads", default="")


def _isolation(value: str) -> WhichTests:
    if value not in get_args(WhichTests):
        raise pytest.UsageError(f'{ISOLATION} must be "auto", "all", "marked" or "off"; it is {value!r}.')
    return cast(WhichTests, value)


def _migrations(value: str, root: Path) -> Path | None:
    if not value:
        return None
    path = root / value
    if find_spec("alembic") is None:
        raise pytest.UsageError(
            f'{MIGRATIONS} is set, and Alembic is not installed. Run pip install "flask-unitofwork[alembic]".'
        )
    if not path.exists():
        raise pytest.UsageError(
            f"{MIGRATIONS} names {path}, which does not exist. Name your alembic.ini, or the folder that has env.py,"
            " relative to pytest's rootdir."
        )
    return path
