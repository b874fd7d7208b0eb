"""Databases that fail when a test asks for it, as they do by themselves."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Literal

import pytest
from sqlalchemy import exc, select, text
from werkzeug.test import TestResponse

from flask_unitofwork import ConfigurationError, UnknownBindError
from flask_unitofwork.testing import Faults, provoked_faults
from tests.servers.postgresql import PostgreSQL

from .shop import Line, Order, Shop, ShopAt, Visit, made_shop

# What SQLAlchemy makes of it, and the driver's own code: SQLSTATE, error number or SQLite's.
KINDS = {
    "serialization_failure": (exc.OperationalError, {"40001", 1213, 517}),
    "deadlock": (exc.OperationalError, {"40P01", 1213, 5}),
    "lock_timeout": (exc.OperationalError, {"55P03", 1205, 5}),
    "statement_timeout": (exc.OperationalError, {"57014", 1969, 9}),
    "unique_violation": (exc.IntegrityError, {"23505", 1062, 2067}),
    "foreign_key_violation": (exc.IntegrityError, {"23503", 1452, 787}),
    "not_null_violation": (exc.IntegrityError, {"23502", 1048, 1299}),
    "check_violation": (exc.DBAPIError, {"23514", 4025, 275}),
}


def code_of(error: exc.DBAPIError) -> object:
    origin: Any = error.orig
    if isinstance(origin.args[0], int):
        return origin.args[0]  # MySQL's number
    return getattr(origin, "sqlstate", None) or origin.sqlite_errorcode


@pytest.fixture
def faults(shop: Shop) -> Iterator[Faults]:
    with provoked_faults(app=shop.app) as provoked:
        yield provoked


@pytest.fixture
def failures(shop: Shop) -> list[exc.DBAPIError]:
    """What error handlers were given."""
    given: list[exc.DBAPIError] = []

    @shop.app.errorhandler(exc.DBAPIError)
    def handle(error: exc.DBAPIError) -> tuple[str, int]:
        given.append(error)
        return "failed", 503

    return given


@pytest.mark.parametrize("name", KINDS)
def test_a_commit_fails_with_the_driver_s_own_error(
    shop: Shop, faults: Faults, failures: list[exc.DBAPIError], name: str
) -> None:
    faults.commit(name)  # type: ignore[arg-type]
    assert shop.client.post("/orders/Ada").status_code == 503
    (error,) = failures
    kind, codes = KINDS[name]
    assert isinstance(error, kind)
    assert code_of(error) in codes
    assert isinstance(error.orig, shop.uow_engine.dialect.loaded_dbapi.Error)
    # A deadlock on MariaDB ends the transaction, so the connection counts as lost.
    assert error.connection_invalidated == (code_of(error) == 1213)
    assert shop.client.post("/orders/Grace").status_code == 201
    assert shop.customers() == ["Grace"]


@pytest.mark.parametrize("name", ["serialization_failure", "unique_violation"])
def test_a_commit_fails_also_where_it_is_one_statement(
    shop: Shop, faults: Faults, failures: list[exc.DBAPIError], name: str
) -> None:
    @shop.app.post("/order")
    def order() -> tuple[str, int]:
        shop.uow.session.add(Order(customer="Ada"))
        return "ordered", 201

    faults.commit(name)  # type: ignore[arg-type]
    assert shop.client.post("/order").status_code == 503
    assert len(failures) == 1
    assert shop.customers() == []
    assert shop.client.post("/order").status_code == 201
    assert shop.customers() == ["Ada"]


@pytest.mark.parametrize("name", KINDS)
def test_a_statement_fails_with_the_driver_s_own_error(shop: Shop, faults: Faults, name: str) -> None:
    shop.place("Ada")
    faults.statement(name, containing="FROM shop_line")  # type: ignore[arg-type]
    assert shop.client.get("/orders").json == ["Ada"]
    with pytest.raises(exc.DBAPIError) as caught, shop.uow.scope(shop.app) as session:
        session.execute(select(Line.id))
    assert code_of(caught.value) in KINDS[name][1]
    assert "FROM shop_line" in str(caught.value.statement)
    assert shop.client.get("/lines").json == [2]


def test_a_flush_fails_and_no_read_does(shop: Shop, faults: Faults, failures: list[exc.DBAPIError]) -> None:
    faults.flush("unique_violation")
    assert shop.client.get("/orders").json == []
    assert shop.client.post("/orders/Ada").status_code == 503
    (error,) = failures
    assert isinstance(error, exc.IntegrityError)
    assert "INSERT INTO shop_order" in str(error.statement)
    assert shop.customers() == []


def test_a_savepoint_around_the_flush_survives_its_failure(shop: Shop, faults: Faults) -> None:
    faults.flush("unique_violation")
    with shop.uow.scope(shop.app) as session:
        with pytest.raises(exc.IntegrityError), shop.uow.savepoint():
            session.add(Order(customer="Ada"))
        session.add(Order(customer="Grace"))
    assert shop.customers() == ["Grace"]


def test_postgresql_runs_nothing_more_in_a_transaction_in_which_a_fault_happened(
    postgresql_url: str, shop_at: ShopAt, treatment: str
) -> None:
    shop = shop_at(postgresql_url, treatment)
    with provoked_faults(app=shop.app) as faults, shop.uow.scope(shop.app) as session:
        faults.statement("deadlock")
        with pytest.raises(exc.OperationalError):
            session.execute(select(Order))
        with pytest.raises(exc.InternalError, match="current transaction is aborted"):
            session.execute(select(Order))
        session.rollback()
        assert session.scalars(select(Order)).all() == []


@pytest.mark.parametrize("moment", ["commit", "flush", "statement"])
def test_a_lost_connection_is_told_as_such(
    shop: Shop, faults: Faults, failures: list[exc.DBAPIError], moment: str
) -> None:
    shop.place("Ada")
    getattr(faults, moment)("disconnect")
    response = shop.client.post("/orders/Grace")
    assert response.status_code in (500, 503)
    if response.status_code == 503:
        (error,) = failures
        assert error.connection_invalidated
    assert shop.customers() == ["Ada"]
    assert shop.client.post("/orders/Lin").status_code == 201


def test_a_read_that_finds_its_connection_lost_is_sent_again(shop: Shop, faults: Faults) -> None:
    shop.place("Ada")
    lost = faults.statement("disconnect")
    response = shop.client.get("/orders")
    assert lost.happened == 1
    assert response.json == ["Ada"]


def test_a_checkout_fails(shop: Shop, faults: Faults, failures: list[exc.DBAPIError]) -> None:
    shop.place("Ada")
    for name in ("disconnect", "too_many_connections"):
        faults.checkout(name)
        assert shop.client.get("/orders").status_code == 503
    assert all(isinstance(error, exc.OperationalError) for error in failures)
    faults.checkout("pool_exhausted")
    refused: TestResponse = shop.client.get("/orders")
    assert (refused.status_code, "Retry-After" in refused.headers) == (503, True)
    assert len(failures) == 2
    assert shop.client.get("/orders").json == ["Ada"]


def test_a_fault_happens_as_often_as_it_is_asked_for(shop: Shop, faults: Faults) -> None:
    fault = faults.commit("deadlock", times=2)
    answers = [shop.client.post("/orders/Ada").status_code for _ in range(3)]
    assert (answers, fault.happened) == ([500, 500, 201], 2)


def test_a_retry_deals_with_it(shop: Shop, faults: Faults) -> None:
    runs: list[int] = []

    @shop.app.post("/again")
    @shop.uow.transaction(attempts=3)
    def again() -> str:
        runs.append(shop.uow.current.attempt)
        shop.uow.session.add(Order(customer="Ada"))
        return "done"

    faults.commit("serialization_failure")
    faults.flush("deadlock")
    assert shop.client.post("/again").status_code == 200
    assert runs == [1, 2, 3]
    assert shop.customers() == ["Ada"]


def test_a_fault_is_of_one_database(shop: Shop, faults: Faults) -> None:
    faults.commit("deadlock", bind="visits")
    assert shop.client.post("/orders/Ada").status_code == 201
    with pytest.raises(exc.OperationalError), shop.uow.scope(shop.app) as session:
        session.execute(text("SELECT 1"), bind_arguments={"bind": session.get_bind(Visit)})
    with pytest.raises(UnknownBindError):
        faults.commit("deadlock", bind="orders")


@pytest.mark.parametrize("name", ["serialization_failure", "disconnect"])
def test_the_first_of_two_phases_fails(
    postgresql_server: PostgreSQL, treatment: str, name: Literal["serialization_failure", "disconnect"]
) -> None:
    borrowed = postgresql_server.borrow(), postgresql_server.borrow()
    orders, visits = (url.render_as_string(hide_password=False) for url in borrowed)
    with (
        made_shop(orders, visits, treatment, UNITOFWORK_TWO_PHASE=True) as shop,
        provoked_faults(app=shop.app) as faults,
    ):
        faults.commit(name, bind="visits")
        with pytest.raises(exc.OperationalError), shop.uow.scope(shop.app) as session:
            session.add_all([Order(customer="Ada"), Visit(path="/")])
        assert shop.customers() == []
        with shop.uow.scope(shop.app) as session:
            session.add_all([Order(customer="Ada"), Visit(path="/")])
        assert shop.customers() == ["Ada"]
    for url in borrowed:
        postgresql_server.give_back(url)


def test_the_exception_itself_may_be_given(shop: Shop, faults: Faults, failures: list[exc.DBAPIError]) -> None:
    driver = shop.uow_engine.dialect.loaded_dbapi
    faults.flush(driver.DataError("too long"))
    assert shop.client.post("/orders/Ada").status_code == 503
    (error,) = failures
    assert isinstance(error, exc.DataError)
    assert error.orig is not None
    assert error.orig.args == ("too long",)
    faults.statement(ZeroDivisionError("a test's own"))
    with pytest.raises(ZeroDivisionError), shop.uow.scope(shop.app) as session:
        session.execute(select(Order))


def test_a_fault_says_who_asked_for_it(sqlite_shop: Shop) -> None:
    with provoked_faults(app=sqlite_shop.app) as faults, pytest.raises(exc.OperationalError) as caught:
        faults.statement("deadlock")
        with sqlite_shop.uow.scope(sqlite_shop.app) as session:
            session.execute(select(Order))
    assert caught.value.orig is not None
    assert re.search(r"test_faults\.py:\d+, in test_a_fault_says_who_asked_for_it", caught.value.orig.__notes__[0])


def test_a_fault_that_never_happens_fails_the_test(sqlite_shop: Shop) -> None:
    with pytest.raises(AssertionError) as caught, provoked_faults(app=sqlite_shop.app) as faults:
        faults.commit("deadlock", times=2)
        faults.flush("unique_violation", bind="visits")
        sqlite_shop.client.post("/orders/Ada")
    message = str(caught.value)
    assert re.search(r"- commit: deadlock, 1 of 2, asked for at .*test_faults\.py:\d+, in ", message)
    assert "- flush on 'visits': unique_violation, 0 of 1" in message


def test_after_the_block_nothing_fails(sqlite_shop: Shop) -> None:
    with pytest.raises(AssertionError), provoked_faults(app=sqlite_shop.app) as faults:
        faults.commit("deadlock", times=5)
    assert sqlite_shop.client.post("/orders/Ada").status_code == 201


def test_bad_use_is_told_what_to_write(sqlite_shop: Shop) -> None:
    with provoked_faults(app=sqlite_shop.app) as faults:
        with pytest.raises(ConfigurationError, match=r"A commit cannot fail with 'bad luck'\. Write one of 'serializ"):
            faults.commit("bad luck")  # type: ignore[arg-type]
        with pytest.raises(ConfigurationError, match="A checkout cannot fail with 'deadlock'"):
            faults.checkout("deadlock")  # type: ignore[arg-type]
        with pytest.raises(ConfigurationError, match="at least once; times is 0"):
            faults.commit("deadlock", times=0)
