"""Tables are made once in a run, by `create_all` or by the project's migrations."""

from __future__ import annotations

import pytest

from .conftest import Project

ENV = """
import logging
from logging.config import fileConfig
from alembic import context
from sqlalchemy import create_engine

logging.getLogger().setLevel("CRITICAL")
for logger in logging.Logger.manager.loggerDict.values():
    if isinstance(logger, logging.Logger):
        logger.disabled = True

with open("upgrades", "a") as file:
    file.write("once\\n")
engine = create_engine(context.config.get_main_option("sqlalchemy.url"))
with engine.connect() as connection:
    context.configure(connection=connection)
    with context.begin_transaction():
        context.run_migrations()
engine.dispose()
"""

# The table that the models have, and one that only the migrations know.
REVISION = """
import sqlalchemy as sa
from alembic import op

revision, down_revision = "1", None

def upgrade():
    op.create_table(
        "item",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("name", sa.String(50), unique=True, nullable=False),
    )
    op.create_table("made_by_migration", sa.Column("id", sa.Integer, primary_key=True))
"""

TESTS = """
from sqlalchemy import inspect

@pytest.mark.parametrize("time", [1, 2])
def test_the_tables_are_the_migrations(client, uow_session, time):
    assert client.post("/items/tea").status_code == 201
    assert "made_by_migration" in inspect(uow_session.connection()).get_table_names()

def test_logging_is_as_it_was(client, caplog):
    import logging
    logging.getLogger("flask_unitofwork").warning("still heard")
    assert "still heard" in caplog.text

@pytest.mark.uow_real_commits
def test_commits_may_be_real(client):
    client.post("/items/tea")

@pytest.mark.uow_real_commits
def test_the_revision_is_kept_when_tables_are_emptied(client, uow_session):
    assert client.get("/items").json == []
    assert uow_session.scalar(text("SELECT version_num FROM alembic_version")) == "1"

def test_it_ran_once():
    with open("upgrades") as file:
        assert file.read() == "once\\n"
"""


def write_migrations(pytester: pytest.Pytester) -> None:
    versions = pytester.mkdir("migrations").joinpath("versions")
    versions.mkdir()
    versions.joinpath("1_first.py").write_text(REVISION)
    versions.parent.joinpath("env.py").write_text(ENV)


@pytest.mark.parametrize("named", ["migrations", "alembic.ini"])
def test_alembic_upgrades_once(sqlite_project: Project, pytester: pytest.Pytester, named: str) -> None:
    write_migrations(pytester)
    pytester.path.joinpath("alembic.ini").write_text("[alembic]\nscript_location = %(here)s/migrations\n")
    pytester.makeini(f"[pytest]\nuow_alembic = {named}")
    tests = "from sqlalchemy import text\n" + TESTS
    sqlite_project(tests, scope="session", apart=True).assert_outcomes(passed=6)


def test_alembic_upgrades_postgresql_and_mariadb_and_memory(project: Project, pytester: pytest.Pytester) -> None:
    write_migrations(pytester)
    pytester.makeini("[pytest]\nuow_alembic = migrations")
    tests = "from sqlalchemy import text\n" + TESTS
    project(tests, scope="session", apart=True).assert_outcomes(passed=6)


def test_tables_are_looked_for_once_in_a_run_though_each_test_has_an_app(sqlite_project: Project) -> None:
    tests = """
from sqlalchemy import Engine, event

SENT = []
event.listen(Engine, "before_cursor_execute", lambda *args: SENT.append(args[2]))

@pytest.mark.parametrize("time", range(3))
def test_it(client, time):
    about_tables = [one for one in SENT if "table_info" in one or "CREATE TABLE" in one]
    assert bool(about_tables) is (time == 0)
    SENT.clear()
    client.get("/items")
"""
    sqlite_project(tests, apart=True).assert_outcomes(passed=3)
