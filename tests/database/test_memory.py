"""In-memory SQLite databases: one for all threads of an app, with full isolation, gone without a trace."""

from __future__ import annotations

import gc
import os
import stat
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from textwrap import dedent

import pytest
from sqlalchemy import Engine, text
from sqlalchemy.pool import StaticPool

from flask_unitofwork.config import Settings
from flask_unitofwork.database import Engines, memory
from flask_unitofwork.exceptions import ConfigurationError
from tests.conftest import Outside
from tests.database.conftest import MakeEngines

IN_MEMORY = [
    "sqlite://",
    "sqlite:///:memory:",
    "sqlite:///file::memory:?uri=true",
    "sqlite:///file:shop?mode=memory&uri=true",
]


@pytest.fixture
def engine(make_engines: MakeEngines) -> Engine:
    engine = make_engines("sqlite://")["default"]
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE note (name)"))
    return engine


def names(engine: Engine) -> list[str]:
    with engine.connect() as connection:
        return list(connection.scalars(text("SELECT name FROM note ORDER BY name")))


@pytest.mark.parametrize("url", IN_MEMORY)
def test_threads_share_an_in_memory_database(url: str, make_engines: MakeEngines) -> None:
    engine = make_engines(url)["default"]
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE note (name)"))
        connection.execute(text("INSERT INTO note VALUES ('mine')"))

    with ThreadPoolExecutor(1) as thread:
        assert thread.submit(names, engine).result() == ["mine"]


def test_nobody_sees_what_is_not_committed_and_a_reader_does_not_wait_for_a_writer(engine: Engine) -> None:
    with engine.begin() as writer:
        writer.execute(text("INSERT INTO note VALUES ('uncommitted')"))
        assert names(engine) == []
    assert names(engine) == ["uncommitted"]


def test_two_apps_have_two_in_memory_databases(engine: Engine, make_engines: MakeEngines) -> None:
    other = make_engines("sqlite://")["default"]

    with other.begin() as connection:
        connection.execute(text("CREATE TABLE note (name)"))


def test_a_test_can_look_at_it_from_outside(engine: Engine, outside: Outside) -> None:
    with engine.begin() as connection:
        connection.execute(text("INSERT INTO note VALUES ('here')"))

    with outside(engine) as connection:
        assert connection.scalars(text("SELECT name FROM note")).all() == ["here"]


def test_the_backing_file_is_private(engine: Engine) -> None:
    folder = Path(engine.url.database or "").parent

    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_the_backing_file_is_written_without_waiting_for_a_disk(engine: Engine) -> None:
    with engine.connect() as connection:
        assert connection.exec_driver_sql("PRAGMA synchronous").scalar_one() == 0
        assert connection.exec_driver_sql("PRAGMA journal_mode").scalar_one() == "wal"


def test_disposing_empties_it(make_engines: MakeEngines, engine: Engine) -> None:
    engine.dispose()

    assert list(Path(engine.url.database or "").parent.iterdir()) == []
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE note (name)"))
    assert names(engine) == []


def test_the_file_is_gone_with_its_engine() -> None:
    engines = Engines(Settings.from_config({"UNITOFWORK_DATABASES": "sqlite://"}, instance_path="instance"))
    with engines["default"].begin() as connection:
        connection.execute(text("CREATE TABLE note (name)"))
    folder = Path(engines["default"].url.database or "").parent
    assert folder.exists()

    del engines, connection
    gc.collect()

    assert not folder.exists()


def test_the_file_is_gone_with_its_process_but_not_with_a_child_of_it() -> None:
    program = """
        import gc, os, sys
        from pathlib import Path
        from flask_unitofwork.config import Settings
        from flask_unitofwork.database import Engines
        engines = Engines(Settings.from_config({"UNITOFWORK_DATABASES": "sqlite://"}, instance_path="."))
        file = engines["default"].url.database
        with engines["default"].begin() as connection:
            connection.exec_driver_sql("CREATE TABLE note (name)")
        del connection
        child = os.fork()
        if not child:
            engines.dispose()
            del engines
            gc.collect()
            sys.exit()
        os.waitpid(child, 0)
        with engines["default"].connect() as connection:
            connection.exec_driver_sql("SELECT * FROM note")
        print(file)
    """
    ended = subprocess.run(
        [sys.executable, "-W", "error", "-c", dedent(program)],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
    )

    assert ended.stderr == ""
    assert ended.stdout.strip().endswith("memory.db")
    assert not Path(ended.stdout.strip()).parent.exists()


def test_a_machine_without_shared_memory_has_it_in_the_temporary_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, make_engines: MakeEngines
) -> None:
    monkeypatch.setattr(memory, "_SHARED_MEMORY", tmp_path / "missing")
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))

    assert Path(make_engines("sqlite://")["default"].url.database or "").is_relative_to(tmp_path)


def test_arguments_of_the_driver_in_the_url_are_kept(make_engines: MakeEngines) -> None:
    engine = make_engines("sqlite:///file::memory:?uri=true&timeout=2")["default"]

    with engine.connect() as connection:
        assert connection.exec_driver_sql("PRAGMA busy_timeout").scalar_one() == 2000


def test_bad_options_leave_no_file_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, make_engines: MakeEngines
) -> None:
    monkeypatch.setattr(memory, "_SHARED_MEMORY", tmp_path)

    with pytest.raises(ConfigurationError):
        make_engines({"default": {"url": "sqlite://", "pool_siz": 3}})

    assert list(tmp_path.iterdir()) == []


def test_a_pool_class_of_the_users_choice_keeps_sqlites_own_memory(make_engines: MakeEngines) -> None:
    engine = make_engines({"default": {"url": "sqlite://", "poolclass": StaticPool}})["default"]

    assert engine.url.database is None
    with engine.connect() as connection:
        assert connection.exec_driver_sql("PRAGMA database_list").one()[2] == ""


def test_a_shared_cache_that_the_user_asks_for_is_shared_by_threads(make_engines: MakeEngines) -> None:
    url = f"sqlite:///file:{os.getpid()}?mode=memory&cache=shared&uri=true"
    engine = make_engines(url)["default"]
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE note (name)"))
        connection.execute(text("INSERT INTO note VALUES ('shared')"))

    with engine.connect(), ThreadPoolExecutor(1) as thread:
        assert thread.submit(names, engine).result() == ["shared"]
