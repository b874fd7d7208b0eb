"""A COMMIT whose answer is lost on PostgreSQL, with the wire cut in each position around it.

The server is asked what became of it: what is committed is a success, what is not is a lost connection, and only what
nobody can know is an `UnknownCommitError`.
"""

from __future__ import annotations

import pytest
from sqlalchemy import Engine, text
from sqlalchemy.exc import OperationalError

from flask_unitofwork.database.commits import has_committed, outcome_is_unknown
from tests.database.committing import (
    Names,
    assert_pool_is_whole,
    engine,
    names,
    no_errors_are_logged,
    unit,
    wire,
    write,
)
from tests.servers.wire import Cut, Wire

__all__ = ["engine", "names", "no_errors_are_logged", "wire"]

QUESTION = "pg_current_xact_id_if_assigned"
INQUIRY = "pg_xact_status"


@pytest.fixture
def url(postgresql_url: str) -> str:
    return postgresql_url


# -- where the answer can be found -----------------------------------------------------------------------------------


def test_a_commit_whose_answer_is_lost_has_happened(
    engine: Engine, wire: Wire, names: Names, caplog: pytest.LogCaptureFixture
) -> None:
    wire.when_sent("COMMIT", Cut.AFTER)

    with unit(engine) as connection:
        write(connection)
        connection.commit()

        assert wire.all_happened
        assert has_committed(connection)
        assert not outcome_is_unknown(connection)
    assert names() == ["tea"]
    assert_pool_is_whole(engine)
    assert caplog.messages == ["The answer to COMMIT on 'default' was lost; the database says that it was committed."]


def test_the_same_connection_goes_on_after_it(engine: Engine, wire: Wire, names: Names) -> None:
    wire.when_sent("COMMIT", Cut.AFTER)

    with unit(engine) as connection:
        write(connection, "first")
        connection.commit()
        write(connection, "second")
        connection.commit()

    assert names() == ["first", "second"]
    assert_pool_is_whole(engine)


def test_a_commit_that_never_arrived_is_a_lost_connection(engine: Engine, wire: Wire, names: Names) -> None:
    wire.when_sent("COMMIT", Cut.BEFORE)

    with unit(engine) as connection:
        write(connection)
        with pytest.raises(OperationalError) as caught:
            connection.commit()

        assert wire.all_happened
        assert caught.value.connection_invalidated
        assert not has_committed(connection)
        assert not outcome_is_unknown(connection)
    assert names() == []
    assert_pool_is_whole(engine)


def test_a_server_that_has_not_noticed_is_told(engine: Engine, wire: Wire, names: Names) -> None:
    wire.when_sent("COMMIT", Cut.HALF_OPEN)

    with unit(engine) as connection:
        write(connection)
        with pytest.raises(OperationalError) as caught:
            connection.commit()

        assert caught.value.connection_invalidated
        assert not outcome_is_unknown(connection)
    assert names() == []
    assert_pool_is_whole(engine)


def test_a_commit_that_is_still_on_its_way_may_arrive(engine: Engine, wire: Wire, names: Names) -> None:
    wire.when_sent("COMMIT", Cut.HALF_OPEN)
    wire.when_sent(INQUIRY, then=wire.deliver_held, skip=1)  # the first finds the transaction still in progress

    with unit(engine) as connection:
        write(connection)
        connection.commit()

        assert wire.all_happened
        assert has_committed(connection)
    assert names() == ["tea"]
    assert_pool_is_whole(engine)


def test_an_inquiry_that_is_lost_too_is_made_again(engine: Engine, wire: Wire, names: Names) -> None:
    wire.when_sent("COMMIT", Cut.AFTER)
    wire.when_sent(INQUIRY, Cut.BEFORE)
    wire.when_sent(INQUIRY, Cut.AFTER)

    with unit(engine) as connection:
        write(connection)
        connection.commit()

    assert wire.all_happened
    assert names() == ["tea"]
    assert_pool_is_whole(engine)


@pytest.mark.parametrize("message", range(4))
@pytest.mark.parametrize("cut", Cut)
def test_wherever_the_wire_is_cut_the_caller_knows_what_is_in_the_table(
    engine: Engine, wire: Wire, names: Names, cut: Cut, message: int
) -> None:
    """The messages are BEGIN, INSERT, the question and COMMIT."""
    assert_pool_is_whole(engine)
    wire.when_sent("", cut, skip=message)
    lost: list[OperationalError] = []

    with unit(engine) as connection:
        try:
            write(connection)
            connection.commit()
        except OperationalError as error:
            lost.append(error)
            connection.rollback()

        assert all(error.connection_invalidated for error in lost)
        assert has_committed(connection) == (not lost)
        assert not outcome_is_unknown(connection)
    assert_pool_is_whole(engine)
    assert wire.all_happened
    assert names() == ([] if lost else ["tea"])


# -- where COMMIT was never sent -------------------------------------------------------------------------------------


@pytest.mark.parametrize("cut", Cut)
def test_a_connection_lost_before_commit_was_sent_is_just_lost(
    engine: Engine, wire: Wire, names: Names, cut: Cut
) -> None:
    wire.when_sent(QUESTION, cut)

    with unit(engine) as connection:
        write(connection)
        with pytest.raises(OperationalError) as caught:
            connection.commit()

        assert wire.all_happened
        assert caught.value.connection_invalidated
        assert not outcome_is_unknown(connection)
    assert names() == []
    assert_pool_is_whole(engine)


def test_a_connection_lost_between_the_last_statement_and_commit_is_just_lost(
    engine: Engine, wire: Wire, names: Names
) -> None:
    with unit(engine) as connection:
        write(connection)
        wire.cut_now()
        with pytest.raises(OperationalError) as caught:
            connection.commit()

        assert caught.value.connection_invalidated
        assert not outcome_is_unknown(connection)
    assert names() == []
    assert_pool_is_whole(engine)


def test_a_connection_lost_before_any_statement_is_just_lost(engine: Engine, wire: Wire) -> None:
    assert_pool_is_whole(engine)
    with unit(engine) as connection:
        wire.cut_now()
        with pytest.raises(OperationalError) as caught:
            write(connection)

        assert caught.value.connection_invalidated
        assert not outcome_is_unknown(connection)
        connection.rollback()
    assert_pool_is_whole(engine)


def test_a_unit_that_only_reads_has_nothing_to_lose(engine: Engine, wire: Wire) -> None:
    wire.when_sent("COMMIT", Cut.AFTER)

    with unit(engine) as connection:
        connection.execute(text("SELECT name FROM note"))
        with pytest.raises(OperationalError) as caught:
            connection.commit()

        assert caught.value.connection_invalidated
        assert not outcome_is_unknown(connection)
    assert_pool_is_whole(engine)


def test_a_write_that_changed_nothing_has_nothing_to_lose(engine: Engine, wire: Wire) -> None:
    wire.when_sent("COMMIT", Cut.AFTER)

    with unit(engine) as connection:
        connection.execute(text("DELETE FROM note"))
        with pytest.raises(OperationalError) as caught:
            connection.commit()

        assert caught.value.connection_invalidated
        assert not outcome_is_unknown(connection)
    assert_pool_is_whole(engine)
