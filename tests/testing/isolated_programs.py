"""What apps and their tests do, and what somebody observes of it: the same, whether or not it is isolated.

A program is given an app on an empty database, and yields its observations. It says nothing of ids: a database gives none
out twice.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from functools import partial
from typing import Any, Final

from flask import stream_with_context
from sqlalchemy import ForeignKeyConstraint, String, delete, func, insert, inspect, select, text, update
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

from flask_unitofwork import UnitOfWorkError, unit_committed, unit_rolled_back
from tests.stage import Stage

__all__ = ["PROGRAMS", "Base", "Program"]

Program = Callable[[Stage], Iterable[object]]

PROGRAMS: Final[dict[str, Program]] = {}


class Base(DeclarativeBase):
    pass


class Item(Base):
    __tablename__ = "program_item"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(50), unique=True)


class Setting(Base):
    """It gives its rows no numbers."""

    __tablename__ = "program_setting"

    name: Mapped[str] = mapped_column(String(50), primary_key=True)


class Owner(Base):
    """Refers to an item; where the database can, that is looked at when the transaction is committed."""

    __tablename__ = "program_owner"
    __table_args__ = (
        ForeignKeyConstraint(["item_id"], ["program_item.id"], deferrable=True, initially="DEFERRED").ddl_if(
            callable_=lambda *_, dialect, **__: dialect.name != "mysql"
        ),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    item_id: Mapped[int]


def program(function: Program) -> Program:
    PROGRAMS[function.__name__] = function
    return function


def names(session: Session) -> list[str]:
    return list(session.scalars(select(Item.name).order_by(Item.name)))


def seen(stage: Stage) -> list[str]:
    """What somebody sees who comes now."""
    with stage.engine.connect() as connection:
        return list(connection.scalars(select(Item.name).order_by(Item.name)))


def kind(error: BaseException) -> str:
    return type(getattr(error, "orig", None) or error).__name__


# -- requests --------------------------------------------------------------------------------------------------------


@program
def requests_are_committed_by_their_success(stage: Stage) -> Iterator[object]:
    session, client = stage.uow.registry, stage.client

    @stage.app.post("/<name>/<int:status>")
    def add(name: str, status: int) -> tuple[str, int]:
        session.add(Item(name=name))
        session.flush()
        return "", status

    stage.app.register_error_handler(IntegrityError, lambda error: (kind(error), 409))
    stage.app.add_url_rule("/", "names", lambda: names(session()))
    for name, status in (("tea", 201), ("tea", 201), ("coffee", 400), ("milk", 302), ("sugar", 500)):
        response = client.post(f"/{name}/{status}")
        yield response.status_code, response.text, client.get("/").json
        yield stage.checked_out()


@program
def hooks_and_signals_come_in_their_order(stage: Stage) -> Iterator[object]:
    uow, log = stage.uow, list[object]()

    def note(what: str) -> None:
        log.append((what, uow.current.state.value, names(uow.session)))

    def write() -> None:
        uow.session.add(Item(name="by a hook"))

    def fail() -> None:
        uow.session.add(Item(name="lost"))
        uow.session.flush()
        raise KeyError

    @stage.app.post("/<name>")
    def add(name: str) -> tuple[str, int]:
        uow.before_commit(partial(note, "before"))
        uow.on_commit(partial(note, "first"))
        uow.on_commit(fail)
        uow.on_commit(write)
        uow.on_commit(partial(note, "last"))
        uow.on_rollback(partial(note, "rolled back"))
        uow.session.add(Item(name=name))
        return "", 201 if name == "tea" else 400

    def signal(_app: object, **_: Any) -> None:
        log.append("signal")

    with unit_committed.connected_to(signal, stage.app), unit_rolled_back.connected_to(signal, stage.app):
        for name in ("tea", "coffee"):
            stage.client.post(f"/{name}")
    yield from log
    yield seen(stage)


@program
def readers_keep_no_connection_and_may_write(stage: Stage) -> Iterator[object]:
    uow, log = stage.uow, list[object]()

    @stage.app.get("/")
    def read() -> str:
        log.append(names(uow.session))
        log.append(uow.session.in_transaction())
        uow.session.add(Item(name="written by a reader"))
        uow.session.flush()
        log.append(names(uow.session))
        return ""

    @stage.app.get("/stream")
    def stream() -> Any:
        def rows() -> Iterator[str]:
            for name in uow.session.scalars(select(Item.name).execution_options(yield_per=1)):
                yield f"{name};"
            try:
                uow.session.execute(insert(Item).values(name="written by a stream"))
            except UnitOfWorkError as error:
                yield kind(error)

        return stream_with_context(rows())

    stage.client.get("/")
    yield from log
    yield stage.client.get("/stream").text
    yield seen(stage), stage.checked_out()


@program
def a_view_runs_again_when_the_database_asks(stage: Stage) -> Iterator[object]:
    uow, log = stage.uow, list[object]()

    @stage.app.post("/")
    @uow.transaction(attempts=3)
    def add() -> str:
        uow.session.add(Item(name=f"attempt {uow.current.attempt}"))
        uow.session.flush()
        log.append(names(uow.session))
        if uow.current.attempt < 3:
            raise DBAPIError.instance("COMMIT", {}, _transient(stage), Exception)
        return ""

    yield stage.client.post("/").status_code
    yield log, seen(stage)


def _transient(stage: Stage) -> Exception:
    """What the driver raises where the transaction is to be run again."""
    driver: Any = stage.engine.dialect.loaded_dbapi
    if stage.engine.dialect.name == "postgresql":
        error: Exception = driver.errors.SerializationFailure()
    else:
        error = driver.OperationalError(1213, "deadlock")
        error.sqlite_errorcode = 5  # type: ignore[attr-defined]
    return error


# -- units and blocks ------------------------------------------------------------------------------------------------


@program
def commits_and_rollbacks_by_hand(stage: Stage) -> Iterator[object]:
    with stage.app.app_context():
        session = stage.uow.session
        session.add(Item(name="tea"))
        session.commit()
        tea = session.scalars(select(Item)).one()
        session.commit()
        yield sorted(inspect(tea).expired_attributes), seen(stage)
        tea.name = "coffee"
        session.flush()
        session.rollback()
        yield tea.name, names(session)
        session.add(Item(name="tea"))
        try:
            session.flush()
        except IntegrityError as error:
            yield kind(error)
        session.rollback()
        yield names(session)
        session.add(Item(name="never committed"))
        session.flush()
    yield seen(stage), stage.checked_out()


@program
def savepoints_fail_alone(stage: Stage) -> Iterator[object]:
    with stage.uow.scope(stage.app) as session:
        session.add(Item(name="tea"))
        for name in ("tea", "milk", "tea"):
            try:
                with stage.uow.savepoint():
                    session.add(Item(name=f"beside {name}"))
                    session.add(Item(name=name))
            except IntegrityError as error:
                yield kind(error), names(session)
        with session.begin_nested():
            with session.begin_nested() as inner:
                session.add(Item(name="inner"))
                session.flush()
                inner.rollback()
            session.add(Item(name="outer"))
    yield seen(stage)


@program
def what_is_independent_is_kept(stage: Stage) -> Iterator[object]:
    uow = stage.uow

    @stage.app.post("/<outcome>")
    def add(outcome: str) -> str:
        uow.session.add(Item(name=f"before {outcome}"))
        uow.session.flush()
        with uow.independent_transaction() as independent:
            independent.add_all([Item(name=f"first audit of {outcome}"), Item(name=f"second audit of {outcome}")])
        uow.session.add(Item(name=f"after {outcome}"))
        try:
            with uow.independent_transaction() as independent:
                independent.add(Item(name=f"lost of {outcome}"))
                independent.flush()
                raise KeyError
        except KeyError:
            pass
        with uow.savepoint():
            uow.session.add(Item(name=f"savepoint of {outcome}"))
        if outcome == "failure":
            raise KeyError
        return ""

    for outcome in ("success", "failure"):
        yield stage.client.post(f"/{outcome}").status_code
        yield seen(stage)


@program
def independent_rows_keep_their_numbers(stage: Stage) -> Iterator[object]:
    if stage.engine.dialect.name == "sqlite":
        return  # one writer at a time
    uow, made = stage.uow, list[Item]()
    with stage.app.app_context():
        uow.session.add(Item(name="rolled back"))
        uow.session.flush()
        for name in ("tea", "milk"):
            with uow.independent_transaction() as independent:
                independent.add(item := Item(name=name))
                independent.flush()
                independent.expunge(item)
                made.append(item)
            uow.session.add(Item(name=f"rolled back with {name}"))
            uow.session.flush()
        uow.session.rollback()
        yield [uow.session.get_one(Item, item.id).name for item in made]
        uow.session.add(Item(name="next"))
        uow.session.commit()
        yield names(uow.session)


@program
def independent_rows_without_numbers_take_none(stage: Stage) -> Iterator[object]:
    if stage.engine.dialect.name == "sqlite":
        return  # one writer at a time
    uow = stage.uow
    with stage.app.app_context():
        uow.session.add(Item(name="rolled back"))
        uow.session.flush()
        with uow.independent_transaction() as independent:
            independent.add(Item(name="kept"))
            independent.flush()
            independent.add(Setting(name="kept"))
        uow.session.rollback()
        uow.session.add(Item(name="next"))
        uow.session.commit()
        yield names(uow.session), uow.session.scalars(select(Setting.name)).all()


@program
def the_database_refuses_what_is_read_only(stage: Stage) -> Iterator[object]:
    # Whether the server knows that it only reads is asked beneath what refuses it before.
    with stage.uow.scope(stage.app) as session:
        session.add(Item(name="tea"))
    with stage.app.app_context(), suppress(UnitOfWorkError), stage.uow.read_only() as session:
        yield names(session)
        driver = session.connection().connection
        with closing(driver.cursor()) as cursor:
            try:
                cursor.execute("INSERT INTO program_item (name) VALUES ('tea')")
            except Exception as error:  # noqa: BLE001  the driver's
                yield kind(error)
    with stage.uow.scope(stage.app) as session:
        session.add(Item(name="milk"))
    yield seen(stage)


@program
def a_statement_that_fails_and_nobody_minds(stage: Stage) -> Iterator[object]:
    with stage.uow.scope(stage.app) as session:
        session.add(Item(name="tea"))
    with stage.app.app_context():
        session = stage.uow.session
        for statement in ("SELECT no_such_column FROM program_item", "INSERT INTO program_item (name) VALUES ('tea')"):
            session.execute(insert(Item).values(name="milk"))
            try:
                session.execute(text(statement))
            except DBAPIError as error:
                yield kind(error)
            try:
                yield names(session)
                session.commit()
            except (DBAPIError, UnitOfWorkError) as error:
                yield kind(error)
            session.rollback()
            yield names(session)
            session.execute(update(Item).where(Item.name == "milk").values(name=f"kept {len(statement)}"))
            session.commit()
            yield names(session)


@program
def what_is_deferred_fails_at_the_commit(stage: Stage) -> Iterator[object]:
    uow = stage.uow
    for missing in (False, True, False):
        with stage.app.app_context():
            item = Item(name=f"tea {missing}")
            uow.session.add(Owner(item_id=4711))
            uow.session.flush()
            uow.session.merge(Item(id=4711, name="tea"))
            uow.on_commit(lambda: None)
            uow.session.add(item)
            if missing:
                uow.session.add(Owner(item_id=4712))
            try:
                uow.session.flush()
                yield "flushed"
                uow.session.commit()
                yield "committed"
            except IntegrityError as error:
                uow.session.rollback()
                yield kind(error)
                uow.session.commit()
                yield names(uow.session)
            with uow.scope() as session:
                session.execute(delete(Owner))
                session.execute(delete(Item))


# -- beside the sessions ---------------------------------------------------------------------------------------------


@program
def the_engine_is_used_directly(stage: Stage) -> Iterator[object]:
    engine = stage.engine
    with engine.connect() as connection:
        connection.execute(insert(Item).values(name="rolled back"))
        connection.rollback()
        connection.execute(insert(Item).values(name="committed"))
        connection.commit()
        connection.execute(insert(Item).values(name="never committed"))
    with engine.begin() as connection:
        with connection.begin_nested() as savepoint:
            connection.execute(insert(Item).values(name="in a savepoint"))
            savepoint.rollback()
        connection.execute(insert(Item).values(name="begun"))
    with closing(engine.raw_connection()) as raw, closing(raw.cursor()) as cursor:
        cursor.execute("INSERT INTO program_item (name) VALUES ('raw')")
        raw.commit()
        cursor.execute("INSERT INTO program_item (name) VALUES ('raw, never committed')")
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(insert(Item).values(name="in autocommit"))
        connection.rollback()
    with engine.connect() as connection:
        connection.execute(insert(Item).values(name="by a statement"))
        connection.exec_driver_sql("COMMIT")
        connection.rollback()
    yield seen(stage), stage.checked_out()


@program
def two_connections_take_turns(stage: Stage) -> Iterator[object]:
    with stage.engine.connect() as first, stage.engine.connect() as second:
        yield first.scalar(select(func.count()).select_from(Item))
        for name in ("tea", "milk"):
            second.execute(insert(Item).values(name=name))
            second.commit()
            yield first.scalar(select(func.count()).select_from(Item)) if stage.engine.name != "mysql" else None
        first.rollback()
        with first.begin_nested() as one:
            first.execute(insert(Item).values(name="first"))
            one.commit()
        first.commit()
        with second.begin_nested() as one:
            second.execute(insert(Item).values(name="second"))
            one.rollback()
        second.rollback()
    yield seen(stage)


@program
def threads_see_what_was_committed(stage: Stage) -> Iterator[object]:
    uow, app = stage.uow, stage.app

    def work(name: str) -> list[str]:
        with uow.scope(app) as session:
            before = [one for one in names(session) if one == "by the view"]
            session.add(Item(name=name))
        return before

    @app.post("/")
    def view() -> list[list[str]]:
        uow.session.add(Item(name="by the view"))
        uow.session.commit()
        with ThreadPoolExecutor(3) as threads:
            return list(threads.map(work, ("a", "b", "c", "d")))

    yield stage.client.post("/").json
    yield seen(stage)


@program
def settings_end_with_their_transaction(stage: Stage) -> Iterator[object]:
    if stage.engine.dialect.name != "postgresql":
        return
    with stage.app.app_context():
        session = stage.uow.session
        for _ in range(2):
            yield session.scalar(text("SELECT current_setting('app.tenant', true)")) or ""
            session.execute(select(func.set_config("app.tenant", "7", True)))
            session.execute(text("SET LOCAL statement_timeout = 4711"))
            yield session.scalar(text("SELECT current_setting('app.tenant')"))
            session.add(Item(name=f"in {_}"))
            session.commit()
            yield session.scalar(text("SHOW statement_timeout"))
    yield seen(stage)
