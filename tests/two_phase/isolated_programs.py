"""What apps that commit in two phases do, and what somebody observes of it: the same, whether or not it is isolated.

A program is given an app on two empty databases, and yields its observations.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from functools import partial
from typing import Any, Final
from zlib import crc32

from sqlalchemy import Connection, Engine, delete, func, insert, select, text
from sqlalchemy.exc import DBAPIError, IntegrityError

from flask_unitofwork import unit_committed, unit_rolled_back
from flask_unitofwork.database.branch_names import BranchName, database_token
from flask_unitofwork.testing import provoked_faults
from tests.two_phase.ledger import Booking, Ledger, Trace

__all__ = ["PROGRAMS", "Program"]

Program = Callable[[Ledger], Iterable[object]]

PROGRAMS: Final[dict[str, Program]] = {}


def program(function: Program) -> Program:
    PROGRAMS[function.__name__] = function
    return function


def engine_of(ledger: Ledger, bind: str) -> Engine:
    with ledger.app.app_context():
        return ledger.uow.get_engine(bind)


def prepared(connection: Connection, bind: str) -> int:
    """How many transactions of the app's are prepared in the database *bind*, to which *connection* is."""
    token = database_token(bind, connection.engine.url)
    names = [BranchName.parse(_text(name)) for name in connection.engine.dialect.do_recover_twophase(connection)]
    return sum(name is not None and name.database == token for name in names)


def _text(name: Any) -> str:
    return name.decode() if isinstance(name, bytes) else str(name)


def seen(ledger: Ledger) -> list[object]:
    """What somebody sees who comes now: the rows, what is recorded, and how much is prepared."""
    found: list[object] = []
    for bind, model in (("default", Booking), ("audit", Trace)):
        with engine_of(ledger, bind).connect() as connection:
            found.append(sorted(connection.scalars(select(model.name))))
            found.append(prepared(connection, bind))
    with engine_of(ledger, "default").connect() as connection:
        found.append(connection.scalar(text("SELECT count(*) FROM unitofwork_commits")))
    found.append([engine_of(ledger, bind).pool.checkedout() for bind in ledger.urls])  # type: ignore[attr-defined]
    return found


def pending(ledger: Ledger) -> list[object]:
    """How much is prepared. (A test sees what is not yet committed; so nobody looks at the rows meanwhile.)"""
    found = list[object]()
    for bind in ledger.urls:
        with engine_of(ledger, bind).connect() as connection:
            found.append(prepared(connection, bind))
    return found


def kind(error: BaseException) -> str:
    return type(getattr(error, "orig", None) or error).__name__


# -- units of work ---------------------------------------------------------------------------------------------------


@program
def requests_are_committed_in_both_databases_or_in_none(ledger: Ledger) -> Iterator[object]:
    uow, client, log = ledger.uow, ledger.app.test_client(), list[object]()

    @ledger.app.post("/<name>/<int:status>")
    def book(name: str, status: int) -> tuple[str, int]:
        uow.before_commit(lambda: log.append("before"))
        uow.on_commit(lambda: log.append(("committed", seen(ledger))))
        uow.on_rollback(lambda: log.append("rolled back"))
        ledger.book(name)
        return "", status

    def signal(_app: object, *, unit: Any, **_: Any) -> None:
        log.append((unit.state.value, unit.reason))

    ledger.app.register_error_handler(IntegrityError, lambda error: (kind(error), 409))
    with unit_committed.connected_to(signal, ledger.app), unit_rolled_back.connected_to(signal, ledger.app):
        for name, status in (("rent", 201), ("rent", 201), ("tax", 400), ("fee", 302), ("toll", 500)):
            response = client.post(f"/{name}/{status}")
            yield response.status_code, response.text, seen(ledger), list(log)
            log.clear()


@program
def a_view_that_raises_leaves_nothing(ledger: Ledger) -> Iterator[object]:
    @ledger.app.post("/<int:prepares>")
    def view(prepares: int) -> str:
        ledger.book("rent")
        if prepares:
            ledger.uow.session.prepare()
        raise LookupError

    for prepares in (0, 1):
        yield ledger.app.test_client().post(f"/{prepares}").status_code, seen(ledger)


@program
def one_database_alone_has_one_phase(ledger: Ledger) -> Iterator[object]:
    with ledger.uow.scope(ledger.app) as session:
        session.scalar(select(func.count()).select_from(Trace))
        session.add(Booking(name="rent"))
    yield seen(ledger)
    with suppress(LookupError), ledger.uow.scope(ledger.app) as session:
        session.add(Booking(name="tax"))
        session.flush()
        raise LookupError
    yield seen(ledger)


@program
def it_is_prepared_by_hand(ledger: Ledger) -> Iterator[object]:
    with ledger.app.app_context():
        session = ledger.uow.session
        for name, ending in (("rent", session.commit), ("tax", session.rollback), ("fee", session.commit)):
            ledger.book(name)
            session.prepare()
            yield pending(ledger)
            ending()
            yield seen(ledger), sorted(session.scalars(select(Booking.name)))
            session.rollback()
        session.add(Booking(name="alone"))
        session.prepare()
        yield pending(ledger)
        session.commit()
        ledger.book("prepared and left")
        session.prepare()
    yield seen(ledger)


@program
def savepoints_and_units_of_their_own(ledger: Ledger) -> Iterator[object]:
    uow = ledger.uow
    with suppress(LookupError), uow.scope(ledger.app) as session:
        ledger.book("rent")
        with uow.independent_transaction():
            ledger.book("audit trail")
        with suppress(IntegrityError), uow.savepoint():
            session.execute(insert(Trace).values(name="rent"))
        raise LookupError
    yield seen(ledger)
    with uow.scope(ledger.app) as session:
        ledger.book("tax")
        with suppress(IntegrityError), uow.savepoint():
            session.execute(insert(Trace).values(name="tax"))
        ledger.book("fee")
    yield seen(ledger)


@program
def a_unit_runs_again_when_the_database_asks(ledger: Ledger) -> Iterator[object]:
    uow, log = ledger.uow, list[object]()

    @ledger.app.post("/")
    @uow.transaction(attempts=3)
    def book() -> str:
        log.append(uow.current.attempt)
        ledger.book(f"attempt {uow.current.attempt}")
        return ""

    for bind in ("default", "audit"):
        with provoked_faults(app=ledger.app) as faults:
            faults.commit("deadlock", bind=bind)
            yield ledger.app.test_client().post("/").status_code, list(log), seen(ledger)
        with uow.scope(ledger.app) as session:
            session.execute(delete(Booking))
            session.execute(delete(Trace))


@program
def a_database_is_lost_when_it_is_told_to_prepare(ledger: Ledger) -> Iterator[object]:
    for bind in ("default", "audit"):
        with provoked_faults(app=ledger.app) as faults:
            faults.commit("disconnect", bind=bind)
            try:
                with ledger.uow.scope(ledger.app):
                    ledger.book("rent")
            except DBAPIError as error:
                yield error.connection_invalidated
        yield seen(ledger)
    with ledger.uow.scope(ledger.app):
        ledger.book("tax")
    yield seen(ledger)


@program
def what_is_deferred_fails_when_it_is_prepared(ledger: Ledger) -> Iterator[object]:
    engine = engine_of(ledger, "audit")
    if engine.dialect.name != "postgresql":
        return  # it looks at each statement
    with engine.begin() as connection:
        connection.execute(text("ALTER TABLE trace DROP CONSTRAINT IF EXISTS trace_name_key"))
        connection.execute(text("ALTER TABLE trace DROP CONSTRAINT IF EXISTS late"))
        connection.execute(text("ALTER TABLE trace ADD CONSTRAINT late UNIQUE (name) DEFERRABLE INITIALLY DEFERRED"))
    for again in (True, False):
        try:
            with ledger.uow.scope(ledger.app) as session:
                ledger.book("rent")
                if again:
                    session.execute(insert(Trace).values(name="rent"))
        except IntegrityError as error:
            yield kind(error)
        yield seen(ledger)


# -- beside units of work --------------------------------------------------------------------------------------------


@program
def somebody_uses_an_engine_in_two_phases(ledger: Ledger) -> Iterator[object]:
    audit = engine_of(ledger, "audit")
    name = f"mine {crc32(str(audit.url).encode())}"

    def names() -> list[str]:
        with audit.connect() as connection:
            return [one for one in map(_text, connection.recover_twophase()) if one == name]

    with audit.connect() as connection:
        for ending in ("commit", "rollback"):
            transaction = connection.begin_twophase(name)
            connection.execute(insert(Trace).values(name=f"by {ending}"))
            transaction.prepare()
            yield names(), pending(ledger)
            with audit.connect() as other:
                other.begin_twophase(f"{name} too").rollback()
                yield _tried(lambda: other.begin_twophase(name).prepare())
                other.invalidate()
            getattr(transaction, ending)()
            yield names(), seen(ledger)
    with audit.connect() as connection:
        transaction = connection.begin_twophase(name)
        connection.execute(insert(Trace).values(name="without a first phase"))
        transaction.commit()
    yield seen(ledger)
    with audit.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        for finish in (connection.commit_prepared, connection.rollback_prepared):
            yield _tried(partial(finish, "nobody's", recover=True))


def _tried(act: Callable[[], object]) -> str:
    try:
        act()
    except Exception as error:  # noqa: BLE001  the driver's, or SQLAlchemy's
        return kind(error)
    return "done"


@program
def somebody_writes_sql_in_two_phases(ledger: Ledger) -> Iterator[object]:
    audit = engine_of(ledger, "audit")
    name = f"sql {crc32(str(audit.url).encode())}"
    is_postgresql = audit.dialect.name == "postgresql"
    begin, end, prepare, commit, rollback = (
        (
            "BEGIN",
            "SELECT 1",
            f"PREPARE TRANSACTION '{name}'",
            f"COMMIT PREPARED '{name}'",
            f"ROLLBACK PREPARED '{name}'",
        )
        if is_postgresql
        else (
            f"XA START '{name}'",
            f"XA END '{name}'",
            f"XA PREPARE '{name}'",
            f"XA COMMIT '{name}'",
            f"XA ROLLBACK '{name}'",
        )
    )
    with audit.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        run = connection.exec_driver_sql
        for finish in (commit, rollback):
            run(begin)
            run(f"INSERT INTO trace (name) VALUES ('{finish.partition(' ')[0]} {finish.split()[1]}')")
            if not is_postgresql:
                yield _tried(partial(run, "COMMIT")), _tried(partial(run, prepare)), _tried(partial(run, begin))
                yield _tried(partial(run, f"{commit} ONE PHASE"))
            run(end)
            run(prepare)
            yield pending(ledger)
            if not is_postgresql:
                yield _tried(partial(run, "INSERT INTO trace (name) VALUES ('too late')")), run("SELECT 1").scalar()
                yield _tried(partial(run, "ROLLBACK"))
            run(finish)
            yield seen(ledger), _tried(partial(run, finish))
    with audit.connect() as connection:
        connection.execute(insert(Trace).values(name="lost"))
        yield _tried(partial(connection.exec_driver_sql, commit))
    yield seen(ledger)
