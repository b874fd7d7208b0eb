"""A COMMIT of which nobody knows what became: the server cannot be asked, or its answer would not be about it."""

from __future__ import annotations

import signal
from collections.abc import Iterator

import pytest
from sqlalchemy import Engine, make_url
from sqlalchemy.exc import OperationalError

from flask_unitofwork import UnknownCommitError
from flask_unitofwork.database import postgresql_outcome
from flask_unitofwork.database.commits import has_committed, outcome_is_unknown
from flask_unitofwork.database.postgresql_outcome import Fate, fate_of, mark_of
from tests.conftest import Outside
from tests.database.committing import (
    Names,
    assert_pool_is_whole,
    begin_unit,
    engine,
    in_haste,
    names,
    no_errors_are_logged,
    unit,
    wire,
    write,
)
from tests.database.conftest import MakeEngines
from tests.servers.wire import Cut, Wire

__all__ = ["engine", "in_haste", "names", "no_errors_are_logged", "wire"]


@pytest.fixture
def url(postgresql_url: str) -> str:
    return postgresql_url


@pytest.mark.usefixtures("in_haste")
@pytest.mark.parametrize(("cut", "left"), [(Cut.AFTER, ["tea"]), (Cut.BEFORE, [])])
def test_nobody_knows_what_an_unreachable_server_has_done(
    engine: Engine, wire: Wire, names: Names, cut: Cut, left: list[str]
) -> None:
    wire.when_sent("COMMIT", cut, then=wire.refuse)

    with unit(engine) as connection:
        write(connection)
        with pytest.raises(UnknownCommitError) as caught:
            connection.commit()

        assert isinstance(caught.value.__cause__, engine.dialect.loaded_dbapi.Error)
        assert outcome_is_unknown(connection)
        assert not has_committed(connection)
        connection.rollback()
    assert names() == left
    wire.allow()
    assert_pool_is_whole(engine)


@pytest.mark.usefixtures("in_haste")
def test_the_error_says_what_to_do_and_no_secret(wire: Wire, make_engines: MakeEngines, engine: Engine) -> None:
    url = make_url(wire.url).set(password="open sesame")
    wire.when_sent("COMMIT", Cut.AFTER, then=wire.refuse)

    with unit(make_engines({"default": "sqlite://", "orders": {"url": url}})["orders"]) as connection:
        write(connection)
        with pytest.raises(UnknownCommitError) as caught:
            connection.commit()

    assert str(caught.value) == (
        "The connection to the database 'orders' was lost after COMMIT was sent and before its answer came, so nobody"
        " knows whether the work was committed: to repeat it may do it twice, to give it up may lose it. PostgreSQL"
        " could not be asked in time what became of it, or has crashed since. Before you repeat the work, look in the"
        " database whether it is there, and give it something to look for, such as a unique key that the client chooses."
    )
    assert "sesame" not in str(caught.value.__cause__)


@pytest.mark.usefixtures("in_haste")
def test_the_next_unit_on_a_connection_that_outlives_them_starts_afresh(engine: Engine, wire: Wire) -> None:
    wire.when_sent("COMMIT", Cut.AFTER, then=wire.refuse)
    with unit(engine) as connection:
        write(connection)
        with pytest.raises(UnknownCommitError):
            connection.commit()
        connection.rollback()

        wire.allow()
        begin_unit(connection)
        write(connection)
        connection.commit()

        assert has_committed(connection)
        assert not outcome_is_unknown(connection)


def test_what_was_committed_before_says_nothing_of_a_commit_that_is_lost(engine: Engine, wire: Wire) -> None:
    with unit(engine) as connection:
        write(connection)
        connection.commit()
        begin_unit(connection)
        write(connection)
        wire.when_sent("COMMIT", Cut.BEFORE)
        with pytest.raises(OperationalError):
            connection.commit()

        assert not has_committed(connection)


def test_who_has_got_the_backend_from_a_pooler_is_left_alone(
    engine: Engine, url: str, outside: Outside, in_haste: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgresql_outcome, "GRACE_SECONDS", 0)
    with outside(url) as ours, outside(url) as other:
        write(ours, "ours")
        write(other, "other's")
        mark, others = mark_of(ours.connection), mark_of(other.connection)
        assert mark is not None
        assert others is not None

        assert fate_of(mark._replace(backend=others.backend), engine) is Fate.UNKNOWN

        other.commit()  # it was not ended
        ours.commit()
        assert fate_of(mark, engine) is Fate.COMMITTED


@pytest.fixture
def ctrl_c() -> Iterator[None]:
    """Let Ctrl-C be what it is for a program in the foreground; a shell ignores it for those in the background."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("ctrl_c")
def test_ctrl_c_during_commit_leaves_it_unknown(engine: Engine, wire: Wire, names: Names) -> None:
    def interrupt() -> None:
        signal.raise_signal(signal.SIGINT)

    wire.when_sent("COMMIT", then=interrupt)
    with unit(engine) as connection:
        write(connection)
        with pytest.raises(KeyboardInterrupt):
            connection.commit()
        assert outcome_is_unknown(connection)
        connection.rollback()
    assert_pool_is_whole(engine)
