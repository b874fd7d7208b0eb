from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import text

from flask_unitofwork.config import Settings
from flask_unitofwork.database import Engines

if TYPE_CHECKING:
    from tests.conftest import Outside


def test_a_committed_row_is_seen_by_others_and_a_rolled_back_one_is_not(database_url: str, outside: Outside):
    engines = Engines(Settings.from_config({"UNITOFWORK_DATABASES": database_url}, instance_path="."))
    with engines["default"].begin() as connection:
        connection.execute(text("CREATE TABLE product (name VARCHAR(20))"))
    with engines["default"].begin() as connection:
        connection.execute(text("INSERT INTO product VALUES ('tea')"))
    with engines["default"].connect() as connection:
        connection.execute(text("INSERT INTO product VALUES ('rum')"))
        connection.rollback()
    with outside(engines["default"]) as connection:
        assert connection.scalars(text("SELECT name FROM product")).all() == ["tea"]
    engines.dispose()
