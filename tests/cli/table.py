"""Apps with routes, and the table that ``flask uow routes`` shows of them."""

from __future__ import annotations

import re
from typing import Any

from flask import Flask

from flask_unitofwork import UnitOfWork

__all__ = ["app_with", "output_of", "row_of", "rows_of", "uow"]

uow = UnitOfWork()


def app_with(url: Any = "sqlite://", *, static_folder: str | None = None, **config: Any) -> Flask:
    server = Flask("shop", static_folder=static_folder)
    server.config.update(UNITOFWORK_DATABASES=url, PROPAGATE_EXCEPTIONS=False, **config)
    uow.init_app(server)
    return server


def output_of(server: Flask) -> str:
    result = server.test_cli_runner().invoke(args=["uow", "routes"])
    assert result.exit_code == 0, result.output
    return result.output


def rows_of(server: Flask) -> dict[str, dict[str, str]]:
    """What the table says, by endpoint and column. The dashes tell where its columns are."""
    head, dashes, *lines = output_of(server).partition("\n\n")[0].splitlines()
    columns = [slice(*match.span()) for match in re.finditer("-+", dashes)]
    rows = [{head[column].strip(): line[column].strip() for column in columns} for line in lines]
    return {row["Endpoint"]: row for row in rows}


def row_of(server: Flask, endpoint: str = "view") -> dict[str, str]:
    return rows_of(server)[endpoint]
