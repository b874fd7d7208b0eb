"""Two phases: what is committed, prepared and rolled back where all goes well, and where something fails."""

from __future__ import annotations

from typing import Any

import pytest
from flask import Flask
from sqlalchemy import func, insert, select, text
from sqlalchemy.exc import DBAPIError, IntegrityError, InvalidRequestError

from flask_unitofwork import ConfigurationError, DemarcationError, State, Unit, UnitOfWork
from tests.two_phase.ledger import Booking, Ledger, Trace


def book(ledger: Ledger, name: str) -> None:
    with ledger.uow.scope(ledger.app):
        ledger.book(name)


class TestCommit:
    def test_commits_in_both_databases_and_leaves_nothing_prepared(self, ledger: Ledger) -> None:
        book(ledger, "rent")
        book(ledger, "tax")
        assert ledger.bookings() == ledger.traces() == ["rent", "tax"]
        assert ledger.prepared() == []
        assert ledger.records() == 2

    def test_is_what_the_success_of_a_request_does(self, ledger: Ledger) -> None:
        said: list[str] = []

        @ledger.app.post("/book/<name>/<int:fails>")
        def book(name: str, fails: int) -> str:
            ledger.uow.on_commit(lambda: said.append("committed"))
            ledger.uow.on_rollback(lambda: said.append("rolled back"))
            ledger.book(name)
            return str(1 / (1 - fails))

        client = ledger.app.test_client()
        assert [client.post("/book/rent/1").status_code, client.post("/book/tax/0").status_code] == [500, 200]
        assert ledger.bookings() == ledger.traces() == ["tax"]
        assert said == ["rolled back", "committed"]
        assert ledger.prepared() == []

    def test_in_one_database_has_one_phase(self, ledger: Ledger) -> None:
        sent = ledger.sent()
        with ledger.uow.scope(ledger.app) as session:
            session.add(Booking(name="rent"))
        assert ledger.bookings() == ["rent"]
        assert ledger.records() == 0
        assert not any("PREPARE" in statement for statement in sent)

    def test_of_what_was_only_read_has_one_phase(self, ledger: Ledger) -> None:
        with ledger.uow.scope(ledger.app) as session:
            assert session.scalar(select(func.count()).select_from(Trace)) == 0
            session.add(Booking(name="rent"))
        assert ledger.bookings() == ["rent"]
        assert ledger.records() == 0

    def test_of_a_read_only_unit_has_one_phase(self, ledger: Ledger) -> None:
        with ledger.app.app_context(), ledger.uow.read_only():
            assert ledger.uow.session.scalar(select(func.count()).select_from(Booking)) == 0
            assert ledger.uow.session.scalar(select(func.count()).select_from(Trace)) == 0
        assert ledger.records() == 0

    def test_works_with_savepoints_and_an_isolation_level(self, ledger: Ledger) -> None:
        with ledger.app.app_context(), ledger.uow.transaction(isolation_level="SERIALIZABLE"):
            ledger.book("rent")
            with pytest.raises(IntegrityError), ledger.uow.savepoint():
                ledger.uow.session.execute(insert(Trace).values(name="rent"))
            ledger.book("tax")
        assert ledger.bookings() == ledger.traces() == ["rent", "tax"]

    def test_may_follow_another_in_the_same_session(self, ledger: Ledger) -> None:
        with ledger.app.app_context():
            for name in ("rent", "tax"):
                ledger.book(name)
                ledger.uow.session.commit()
            assert ledger.uow.current.state is State.COMMITTED
        assert ledger.bookings() == ledger.traces() == ["rent", "tax"]
        assert ledger.records() == 2

    def test_of_an_inner_unit_is_its_own(self, ledger: Ledger) -> None:
        with pytest.raises(LookupError), ledger.uow.scope(ledger.app):
            ledger.book("rent")
            with ledger.uow.independent_transaction():
                ledger.book("tax")
            raise LookupError
        assert ledger.bookings() == ledger.traces() == ["tax"]
        assert ledger.prepared() == []

    def test_joins_a_connection_that_the_code_asks_for(self, ledger: Ledger) -> None:
        with ledger.uow.scope(ledger.app) as session:
            session.add(Booking(name="rent"))
            session.flush()
            audit = session.connection(bind_arguments={"bind": ledger.uow.get_engine("audit")})
            audit.execute(insert(Trace).values(name="rent"))
            assert audit.in_transaction()
        assert ledger.bookings() == ledger.traces() == ["rent"]
        assert ledger.records() == 1

    def test_leaves_the_two_phases_of_somebody_else_alone(self, ledger: Ledger) -> None:
        with ledger.uow.scope(ledger.app):
            ledger.book("rent")
            ledger.uow.session.scalar(select(func.count()).select_from(Trace))
            with ledger.uow.get_engine("audit").connect() as connection:
                transaction = connection.begin_twophase("mine")
                connection.execute(insert(Trace).values(name="mine"))
                transaction.prepare()
                transaction.commit()
        assert sorted(ledger.traces()) == ["mine", "rent"]


class TestRollback:
    def test_in_both_databases(self, ledger: Ledger) -> None:
        with pytest.raises(LookupError), ledger.uow.scope(ledger.app):
            ledger.book("rent")
            raise LookupError
        assert ledger.bookings() == ledger.traces() == ledger.prepared() == []

    def test_where_a_database_cannot_prepare(self, ledger: Ledger) -> None:
        said: list[str] = []
        units: list[Unit] = []
        with pytest.raises(DBAPIError), ledger.uow.scope(ledger.app) as session:
            ledger.uow.on_rollback(lambda: said.append("rolled back"))
            ledger.book("rent")
            units.append(ledger.uow.current)
            session.connection({"mapper": Trace}).connection.driver_connection.close()  # type: ignore[union-attr]
        assert [unit.state for unit in units] == [State.ROLLED_BACK]
        assert said == ["rolled back"]
        assert ledger.bookings() == ledger.traces() == ledger.prepared() == []
        book(ledger, "tax")
        assert ledger.bookings() == ledger.traces() == ["tax"]

    def test_where_a_constraint_fails_that_is_looked_at_when_it_is_prepared(self, ledger: Ledger) -> None:
        if "mysql" in ledger.urls["audit"]:
            return  # it looks at each statement
        with ledger.app.app_context(), ledger.uow.get_engine("audit").begin() as connection:
            connection.execute(text("ALTER TABLE trace DROP CONSTRAINT trace_name_key"))
            connection.execute(text("ALTER TABLE trace ADD UNIQUE (name) DEFERRABLE INITIALLY DEFERRED"))
        units: list[Unit] = []
        with pytest.raises(IntegrityError), ledger.uow.scope(ledger.app) as session:
            ledger.book("rent")
            session.execute(insert(Trace).values(name="rent"))
            units.append(ledger.uow.current)
        assert [unit.state for unit in units] == [State.ROLLED_BACK]
        assert ledger.bookings() == ledger.traces() == ledger.prepared() == []
        book(ledger, "tax")
        assert ledger.bookings() == ledger.traces() == ["tax"]

    def test_where_the_table_of_commits_is_missing(self, ledger: Ledger) -> None:
        with ledger.app.app_context(), ledger.uow.engine.begin() as connection:
            connection.execute(text("DROP TABLE unitofwork_commits"))
        with pytest.raises(
            ConfigurationError, match=r"The table unitofwork_commits is missing .* Run `flask uow create`"
        ):
            book(ledger, "rent")
        assert ledger.bookings() == ledger.traces() == ledger.prepared() == []


class TestPrepare:
    def test_prepares_in_both_databases_and_a_commit_follows(self, ledger: Ledger) -> None:
        with ledger.app.app_context():
            ledger.book("rent")
            ledger.uow.session.prepare()
            assert len(ledger.prepared()) == 2
            assert ledger.bookings() == ledger.traces() == []
            ledger.uow.session.commit()
        assert ledger.bookings() == ledger.traces() == ["rent"]
        assert ledger.prepared() == []

    def test_may_be_followed_by_a_rollback(self, ledger: Ledger) -> None:
        with ledger.app.app_context():
            ledger.book("rent")
            ledger.uow.session.prepare()
            ledger.uow.session.rollback()
            assert ledger.prepared() == []
            ledger.book("tax")
            ledger.uow.session.commit()
        assert ledger.bookings() == ledger.traces() == ["tax"]

    def test_prepares_a_single_database_too(self, ledger: Ledger) -> None:
        with ledger.app.app_context():
            ledger.uow.session.add(Booking(name="rent"))
            ledger.uow.session.prepare()
            assert len(ledger.prepared()) == 1
            ledger.uow.session.commit()
        assert ledger.bookings() == ["rent"]

    def test_in_a_view_is_settled_by_the_request(self, ledger: Ledger) -> None:
        @ledger.app.post("/<name>/<int:fails>")
        def view(name: str, fails: int) -> str:
            ledger.book(name)
            ledger.uow.session.prepare()
            return str(1 / (1 - fails))

        client = ledger.app.test_client()
        assert [client.post("/rent/1").status_code, client.post("/tax/0").status_code] == [500, 200]
        assert ledger.bookings() == ledger.traces() == ["tax"]
        assert ledger.prepared() == []

    def test_runs_before_commit_hooks_and_nothing_after(self, ledger: Ledger) -> None:
        with ledger.app.app_context():
            ledger.uow.before_commit(lambda: ledger.book("from the hook"))
            ledger.book("rent")
            ledger.uow.session.prepare()
            with pytest.raises(InvalidRequestError, match="'prepared' state"):
                ledger.uow.session.scalar(text("SELECT 1"))
            ledger.uow.session.commit()
        assert ledger.bookings() == ledger.traces() == ["rent", "from the hook"]

    def test_inside_a_block_is_refused(self, ledger: Ledger) -> None:
        message = r"session.prepare\(\) inside a transaction\(\) block: .* leave the block: it prepares what needs it when it commits"
        with pytest.raises(DemarcationError, match=message), ledger.app.app_context(), ledger.uow.transaction():
            ledger.book("rent")
            ledger.uow.session.prepare()
        assert ledger.bookings() == ledger.prepared() == []


class TestConfiguration:
    @pytest.mark.parametrize("url", ["sqlite://", "sqlite:///shop.db"])
    def test_refuses_sqlite(self, url: str) -> None:
        app = Flask("ledger")
        app.config.update(
            UNITOFWORK_DATABASES={"default": "postgresql+psycopg://localhost/shop", "audit": url},
            UNITOFWORK_TWO_PHASE=True,
        )
        message = (
            "UNITOFWORK_TWO_PHASE needs databases that can prepare a transaction, and 'audit' is a sqlite database."
            " Move it to PostgreSQL, MySQL or MariaDB; or leave UNITOFWORK_TWO_PHASE out, and the databases are committed"
            " one after the other."
        )
        with pytest.raises(ConfigurationError) as caught:
            UnitOfWork(app)
        assert str(caught.value) == message
        assert "unitofwork" not in app.extensions

    def test_drops_the_table_of_commits_with_the_others(self, ledger: Ledger) -> None:
        with ledger.app.app_context():
            ledger.uow.drop_all()
            engines: dict[str, Any] = dict(ledger.uow.engines)
            for engine in engines.values():
                with engine.connect() as connection:
                    assert not engine.dialect.has_table(connection, "unitofwork_commits")
