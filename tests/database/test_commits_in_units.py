"""What an app sees of a COMMIT whose answer is lost: session, hooks, objects, responses, retries.

The work is flushed before the commit, so that it is in a transaction: one statement alone would need none
(``tests/web/test_lone_writes.py``).
"""

from __future__ import annotations

import pytest
from sqlalchemy import Engine, insert, inspect, select
from sqlalchemy.exc import OperationalError

from flask_unitofwork import State, UnknownCommitError
from tests.conftest import Outside
from tests.database.committing import in_haste, wire
from tests.servers.wire import Cut, Wire
from tests.stage import Item, MakeStage, Stage, make_stage

__all__ = ["in_haste", "make_stage", "wire"]


@pytest.fixture
def url(postgresql_url: str) -> str:
    return postgresql_url


@pytest.fixture
def stage(wire: Wire, make_stage: MakeStage) -> Stage:
    """An app whose only connection goes through the wire."""
    return make_stage({"default": {"url": wire.url, "pool_size": 1, "max_overflow": 0, "pool_timeout": 0.1}})


def test_what_is_committed_is_a_success(stage: Stage, wire: Wire) -> None:
    uow = stage.uow
    told: list[str] = []
    with stage.app.app_context():
        tea = Item(name="tea")
        uow.session.add(tea)
        uow.session.flush()
        uow.on_commit(lambda: told.append("committed"))
        uow.on_rollback(lambda: told.append("rolled back"))
        wire.when_sent("COMMIT", Cut.AFTER)

        uow.session.commit()

        assert wire.all_happened
        assert told == ["committed"]
        assert inspect(tea).persistent
        assert tea.name == "tea"  # expired by the commit, so it is read anew
        assert uow.current.has_committed
    assert stage.names() == ["tea"]
    assert stage.checked_out() == 0


def test_what_is_not_committed_is_a_lost_connection(stage: Stage, wire: Wire) -> None:
    uow = stage.uow
    told: list[str] = []
    with stage.app.app_context():
        tea = Item(name="tea")
        uow.session.add(tea)
        uow.session.flush()
        uow.on_commit(lambda: told.append("committed"))
        uow.on_rollback(lambda: told.append("rolled back"))
        wire.when_sent("COMMIT", Cut.BEFORE)

        with pytest.raises(OperationalError) as caught:
            uow.session.commit()
        uow.session.rollback()

        assert caught.value.connection_invalidated
        assert told == ["rolled back"]
        assert inspect(tea).transient
        assert uow.current.state is State.ROLLED_BACK
        assert not uow.current.has_committed
        stage.add("coffee")
        uow.session.commit()
    assert stage.names() == ["coffee"]
    assert stage.checked_out() == 0


@pytest.mark.usefixtures("in_haste")
@pytest.mark.parametrize(("cut", "left"), [(Cut.AFTER, ["tea"]), (Cut.BEFORE, [])])
def test_of_what_nobody_knows_nobody_is_told(
    stage: Stage, wire: Wire, outside: Outside, cut: Cut, left: list[str]
) -> None:
    uow = stage.uow
    told: list[str] = []
    with stage.app.app_context():
        stage.add("tea")
        uow.session.flush()
        uow.on_commit(lambda: told.append("committed"))
        uow.on_rollback(lambda: told.append("rolled back"))
        wire.when_sent("COMMIT", cut, then=wire.refuse)

        with pytest.raises(UnknownCommitError):
            uow.session.commit()
        uow.session.rollback()

        assert told == []
        assert uow.current.state is State.UNKNOWN
    with outside(wire.server_url) as connection:
        assert list(connection.scalars(select(Item.name))) == left
    assert stage.checked_out() == 0


# -- requests --------------------------------------------------------------------------------------------------------


@pytest.fixture
def shop(stage: Stage) -> Stage:
    """A view that adds an item, and a hook that mails it."""
    mails: list[str] = []
    stage.app.extensions["mails"] = mails

    @stage.app.post("/items/<name>")
    def add(name: str) -> str:
        stage.add(name)
        stage.uow.session.flush()
        stage.uow.on_commit(lambda: mails.append(name))
        return "added"

    return stage


def test_a_request_whose_work_is_committed_succeeds(shop: Stage, wire: Wire) -> None:
    wire.when_sent("COMMIT", Cut.AFTER)

    response = shop.client.post("/items/tea")

    assert (response.status_code, response.text) == (200, "added")
    assert shop.names() == shop.app.extensions["mails"] == ["tea"]
    assert shop.checked_out() == 0


def test_a_request_whose_work_is_lost_fails(shop: Stage, wire: Wire) -> None:
    wire.when_sent("COMMIT", Cut.BEFORE)

    assert shop.client.post("/items/tea").status_code == 500

    assert shop.names() == shop.app.extensions["mails"] == []
    assert shop.checked_out() == 0


@pytest.mark.usefixtures("in_haste")
def test_a_request_of_which_nobody_knows_fails_and_mails_nothing(shop: Stage, wire: Wire) -> None:
    errors: list[BaseException] = []

    @shop.app.errorhandler(UnknownCommitError)
    def unknown(error: UnknownCommitError) -> tuple[str, int]:
        errors.append(error)
        return "look before you repeat", 503

    wire.when_sent("COMMIT", Cut.AFTER, then=wire.refuse)

    assert shop.client.post("/items/tea").status_code == 503

    assert len(errors) == 1
    assert shop.app.extensions["mails"] == []
    assert shop.checked_out() == 0


# -- retries ---------------------------------------------------------------------------------------------------------


def test_work_that_is_lost_is_run_again(stage: Stage, wire: Wire) -> None:
    attempts: list[int] = []

    @stage.uow.transaction(attempts=3)
    def work() -> None:
        attempts.append(stage.uow.current.attempt)
        stage.add("tea")

    wire.when_sent("COMMIT", Cut.BEFORE)
    with stage.app.app_context():
        work()

    assert attempts == [1, 2]
    assert stage.names() == ["tea"]
    assert stage.checked_out() == 0


def test_work_that_is_committed_is_not_run_again(stage: Stage, wire: Wire) -> None:
    attempts: list[int] = []

    @stage.uow.transaction(attempts=3)
    def work() -> None:
        attempts.append(stage.uow.current.attempt)
        stage.add("tea")

    wire.when_sent("COMMIT", Cut.AFTER)
    with stage.app.app_context():
        work()

    assert attempts == [1]
    assert stage.names() == ["tea"]


@pytest.mark.usefixtures("in_haste")
@pytest.mark.parametrize("cut", Cut)
def test_work_of_which_nobody_knows_is_not_run_again(stage: Stage, wire: Wire, cut: Cut) -> None:
    attempts: list[int] = []

    @stage.uow.transaction(attempts=3)
    def work() -> None:
        attempts.append(stage.uow.current.attempt)
        stage.add("tea")

    wire.when_sent("COMMIT", cut, then=wire.refuse)
    with stage.app.app_context(), pytest.raises(UnknownCommitError):
        work()

    assert attempts == [1]
    assert stage.checked_out() == 0


# -- several databases -----------------------------------------------------------------------------------------------


# SQLAlchemy rolls back all of the transactions, also the one that it has committed, and warns of that.
@pytest.mark.filterwarnings("ignore:transaction already deassociated:sqlalchemy.exc.SAWarning")
def test_of_two_databases_one_may_have_committed_before_the_other_is_lost(
    wire: Wire, make_stage: MakeStage, sqlite_url: str
) -> None:
    stage = make_stage({"default": wire.url, "archive": sqlite_url})
    uow = stage.uow
    with stage.app.app_context():
        archive: Engine = uow.get_engine("archive")
        Item.metadata.create_all(archive)
        stage.add("tea")
        uow.session.flush()
        uow.session.execute(insert(Item).values(name="tea"), bind_arguments={"bind": archive})
        wire.when_sent("COMMIT", Cut.BEFORE)

        with pytest.raises(OperationalError):
            uow.session.commit()
        uow.session.rollback()

        # SQLAlchemy commits them in no particular order.
        with archive.connect() as connection:
            archived = list(connection.scalars(select(Item.name)))
        assert uow.current.has_committed == (archived == ["tea"])
    assert stage.names() == []
