"""``flask uow``, as it is typed."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from textwrap import dedent
from typing import Any
from urllib.parse import quote

import pytest
from click.testing import Result
from flask import Flask
from sqlalchemy import MetaData, String, create_engine, event, inspect, make_url, text
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from flask_unitofwork import UnitOfWork


class Base(DeclarativeBase):
    metadata = MetaData()


class Product(Base):
    __tablename__ = "products"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(20))


class Visit(Base):
    __tablename__ = "visits"
    __bind_key__ = "traffic"

    id: Mapped[int] = mapped_column(primary_key=True)


def shop(databases: Any, *, metadata: MetaData | None = Base.metadata) -> Flask:
    server = Flask("shop")
    server.config["UNITOFWORK_DATABASES"] = databases
    UnitOfWork(server, metadata=metadata)
    return server


def run(server: Flask, *arguments: str, answer: str | None = None) -> Result:
    return server.test_cli_runner().invoke(args=["uow", *arguments], input=answer)


@pytest.fixture
def two_databases(database_url: str, another_url: Callable[[], str]) -> Flask:
    return shop({"default": database_url, "traffic": another_url()})


def tables(server: Flask) -> dict[str, list[str]]:
    with server.app_context():
        engines = server.extensions["unitofwork"].engines
        return {name: inspect(engine).get_table_names() for name, engine in engines.items()}


class TestCreate:
    def test_makes_the_tables_each_in_its_database(self, two_databases: Flask) -> None:
        result = run(two_databases, "create")

        assert result.exit_code == 0, result.output
        assert tables(two_databases) == {"default": ["products"], "traffic": ["visits"]}
        assert re.search(r"^default: created products in \w+", result.output, re.MULTILINE)
        assert re.search(r"^traffic: created visits in \w+", result.output, re.MULTILINE)

    def test_leaves_what_is_there(self, two_databases: Flask) -> None:
        run(two_databases, "create")
        with two_databases.app_context():
            uow = two_databases.extensions["unitofwork"]
            with uow.engine.begin() as connection:
                connection.execute(text("INSERT INTO products (id, name) VALUES (1, 'tea')"))

        assert "default: created no tables in" in run(two_databases, "create").output
        with two_databases.app_context(), uow.engine.connect() as connection:
            assert connection.scalar(text("SELECT name FROM products")) == "tea"

    def test_without_metadata_says_what_to_write(self, sqlite_url: str) -> None:
        result = run(shop(sqlite_url, metadata=None), "create")

        assert (result.exit_code, type(result.exception)) == (1, SystemExit)
        assert "Error: This UnitOfWork has no metadata" in result.output
        assert "UnitOfWork(metadata=Base.metadata)" in result.output

    def test_for_an_unknown_bind_key_makes_nothing(self, sqlite_url: str) -> None:
        server = shop(sqlite_url)
        result = run(server, "create")

        assert result.exit_code == 1
        assert "Error: There is no database 'traffic'" in result.output
        assert tables(server) == {"default": []}

    def test_of_a_database_that_is_away_fails_in_one_line(self, tmp_path: Path, sqlite_url: str) -> None:
        server = shop({"default": sqlite_url, "traffic": f"sqlite:///{tmp_path}/no/such/folder/traffic.db"})
        result = run(server, "create")

        assert result.exit_code == 1
        assert result.output.startswith("Error: unable to open database file (flask uow check tells")


class TestDrop:
    def test_asks_and_names_the_databases(self, two_databases: Flask) -> None:
        run(two_databases, "create")
        result = run(two_databases, "drop", answer="n\n")

        assert result.exit_code == 1
        assert re.search(
            r"all their rows, will be dropped in:\n  default: \w.*\n  traffic: \w.*\nDrop them\?", result.output
        )
        assert tables(two_databases) == {"default": ["products"], "traffic": ["visits"]}

    def test_takes_silence_for_a_no(self, two_databases: Flask) -> None:
        run(two_databases, "create")

        assert run(two_databases, "drop", answer="").exit_code == 1
        assert run(two_databases, "drop", answer="\n").exit_code == 1
        assert tables(two_databases) == {"default": ["products"], "traffic": ["visits"]}

    def test_drops_when_told_yes(self, two_databases: Flask) -> None:
        run(two_databases, "create")
        result = run(two_databases, "drop", answer="y\n")

        assert result.exit_code == 0, result.output
        assert "default: dropped products in" in result.output
        assert tables(two_databases) == {"default": [], "traffic": []}

    def test_does_not_ask_where_the_answer_was_given(self, two_databases: Flask) -> None:
        run(two_databases, "create")
        result = run(two_databases, "drop", "--yes")

        assert (result.exit_code, "?" in result.output) == (0, False)
        assert tables(two_databases) == {"default": [], "traffic": []}

    def test_leaves_tables_that_no_model_has(self, two_databases: Flask) -> None:
        with two_databases.app_context():
            engine = two_databases.extensions["unitofwork"].engine
            with engine.begin() as connection:
                connection.execute(text("CREATE TABLE others (id INTEGER)"))
        run(two_databases, "drop", "--yes")

        assert tables(two_databases)["default"] == ["others"]
        with engine.begin() as connection:
            connection.execute(text("DROP TABLE others"))


class TestCheck:
    def test_tells_of_every_database(self, two_databases: Flask) -> None:
        result = run(two_databases, "check")

        assert result.exit_code == 0, result.output
        found = re.findall(
            r"^(\w+): ok: \S+\n  (sqlite|postgresql|mariadb) [\d.]+, driver (\w+), \w+.*, \d+\.\d ms$",
            result.output,
            re.MULTILINE,
        )
        assert [name for name, _, _ in found] == ["default", "traffic"]

    def test_tells_how_much_of_the_pool_is_in_use(self, postgresql_url: str) -> None:
        server = shop({"default": {"url": postgresql_url, "pool_size": 3}})
        with server.app_context():
            engine = server.extensions["unitofwork"].engine
            with engine.connect():
                assert "QueuePool with 1 of 3 in use" in run(server, "check").output

    def test_goes_on_where_one_fails_and_exits_with_1(self, sqlite_url: str, tmp_path: Path) -> None:
        result = run(shop({"gone": f"sqlite:///{tmp_path}/no/such/folder/x.db", "default": sqlite_url}), "check")

        assert result.exit_code == 1
        assert re.search(r"^gone: FAILED: sqlite:///\S+\n  unable to open database file$", result.output, re.MULTILINE)
        assert re.search(r"^default: ok: ", result.output, re.MULTILINE)

    def test_goes_on_whatever_went_wrong(self, sqlite_url: str) -> None:
        server = shop(sqlite_url)
        with server.app_context():

            @event.listens_for(server.extensions["unitofwork"].engine, "connect")
            def refuse(*_: object) -> None:
                raise ArithmeticError

        result = run(server, "check")
        assert (result.exit_code, result.output.splitlines()[1]) == (1, "  ArithmeticError")

    def test_never_shows_a_password(self, postgresql_url: str) -> None:
        secret = "s3cr3t/ %&"
        here = make_url(postgresql_url).set(password=secret)
        by_query = here.update_query_dict({"password": "hidden-in-query"})
        server = shop({"default": here, "by_query": by_query, "away": here})
        with server.app_context():

            @event.listens_for(server.extensions["unitofwork"].get_engine("away"), "do_connect")
            def refuse(*_: object) -> None:
                message = f"nobody has the password {secret}, or {quote(secret)}"
                raise RuntimeError(message)

        result = run(server, "check")
        assert result.output.count(": ok: ") == 2
        assert "  nobody has the password ***, or ***\n" in result.output
        assert "s3cr3t" not in result.output
        assert "hidden-in-query" not in result.output


def test_the_commands_explain_themselves(sqlite_url: str) -> None:
    text_of_help = run(shop(sqlite_url), "--help").output

    assert re.findall(r"^  (check|create|drop) +\S", text_of_help, re.MULTILINE) == ["check", "create", "drop"]


def flask(folder: Path, *arguments: str, typed: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "flask", "--app", "library", *arguments],
        cwd=folder,
        input=typed,
        env={**os.environ, "FLASK_DEBUG": "0"},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


@pytest.fixture
def library(tmp_path: Path) -> Path:
    """A folder with an app as somebody writes it."""
    (tmp_path / "library.py").write_text(
        dedent(
            """
            from flask import Flask
            from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column
            from flask_unitofwork import UnitOfWork

            class Base(DeclarativeBase):
                pass

            uow = UnitOfWork(metadata=Base.metadata)

            class Book(Base):
                __tablename__ = "books"
                id: Mapped[int] = mapped_column(primary_key=True)

            def create_app():
                app = Flask(__name__, instance_path=PATH)
                app.config["UNITOFWORK_DATABASES"] = "sqlite:///library.db"
                uow.init_app(app)
                return app
            """
        ).replace("PATH", repr(str(tmp_path)))
    )
    return tmp_path


def test_a_real_flask_command_creates_checks_and_drops(library: Path) -> None:
    created = flask(library, "uow", "create")
    assert (created.returncode, created.stdout) == (
        0,
        f"default: created books in sqlite:///{library}/library.db\n",
    ), created.stderr
    assert flask(library, "uow", "check").returncode == 0
    assert flask(library, "uow", "drop").returncode == 1
    engine = create_engine(f"sqlite:///{library}/library.db")
    assert inspect(engine).get_table_names() == ["books"]
    assert flask(library, "uow", "drop", "--yes").returncode == 0
    assert inspect(engine).get_table_names() == []
    engine.dispose()


def test_flask_shell_knows_the_uow_and_the_models(library: Path) -> None:
    shell = flask(library, "shell", typed="print(uow.metadata is Book.metadata, Book.__tablename__)\n")

    assert "True books" in shell.stdout, shell.stderr
