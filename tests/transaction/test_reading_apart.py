"""``read_only()`` inside of a request that reads in autocommit: a transaction by itself, which ends with its block."""

from __future__ import annotations

from typing import Any

import pytest
from flask.typing import ResponseReturnValue
from sqlalchemy import insert, select, text, update

from flask_unitofwork import ReadOnlyError
from tests.stage import Item, MakeStage, Stage


def names(stage: Stage) -> list[str]:
    return list(stage.uow.session.scalars(select(Item.name).order_by(Item.id)))


def get(stage: Stage, view: Any) -> int:
    stage.app.add_url_rule("/", "view", view)
    return stage.client.get("/").status_code


@pytest.fixture
def stage(database_url: str, make_stage: MakeStage) -> Stage:
    stage = make_stage(database_url, UNITOFWORK_LOCK_TIMEOUT=0.05)
    with stage.uow.scope(stage.app) as session:
        session.add(Item(name="tea"))
    return stage


@pytest.mark.parametrize("level", [None, "REPEATABLE READ"])
def test_it_does_not_wait_for_who_writes(stage: Stage, level: Any) -> None:
    seen: list[list[str]] = []

    def view() -> ResponseReturnValue:
        names(stage)
        with stage.uow.read_only(isolation_level=level):
            seen.append(names(stage))
        return "read"

    with stage.outside(stage.engine) as other:
        other.execute(update(Item).values(name="not committed"))
        assert get(stage, view) == 200
    assert seen == [["tea"]]


def test_it_sees_one_moment_and_what_follows_sees_the_next(stage: Stage) -> None:
    seen: list[list[str]] = []
    held: list[int] = []

    def view() -> ResponseReturnValue:
        with stage.uow.read_only(isolation_level="REPEATABLE READ"):
            seen.append(names(stage))
            with stage.outside(stage.engine) as other:
                other.execute(update(Item).values(name="chai"))
                other.commit()
            seen.append(names(stage))
            held.append(stage.checked_out())
        held.append(stage.checked_out())
        seen.append(names(stage))
        held.append(stage.checked_out())
        return "read"

    assert get(stage, view) == 200
    assert seen == [["tea"], ["tea"], ["chai"]]
    assert held == [1, 0, 0]


@pytest.mark.parametrize("how", ["text", "core", "flush", "pending"])
def test_a_write_in_it_is_refused(stage: Stage, how: str) -> None:
    def view() -> ResponseReturnValue:
        session = stage.uow.session
        with pytest.raises(ReadOnlyError), stage.uow.read_only():
            names(stage)
            if how == "text":
                session.execute(text("INSERT INTO item (name) VALUES ('coffee')"))
            elif how == "core":
                session.execute(insert(Item).values(name="coffee"))
            else:
                session.add(Item(name="coffee"))
                if how == "flush":
                    session.flush()
        return "swallowed"

    assert get(stage, view) == 500  # the block has failed, so the request cannot claim success
    assert stage.names() == ["tea"]
    assert stage.checked_out() == 0


def test_the_request_may_write_after_it(stage: Stage) -> None:
    def view() -> ResponseReturnValue:
        with stage.uow.read_only(isolation_level="SERIALIZABLE", timeout=9):
            tea = stage.uow.session.scalars(select(Item)).one()
        tea.name = "chai"
        with stage.uow.transaction(isolation_level="READ COMMITTED"):
            stage.add("coffee")
        return "written"

    assert get(stage, view) == 200
    assert stage.names() == ["chai", "coffee"]


def test_it_is_a_part_of_what_has_begun(stage: Stage) -> None:
    def view() -> ResponseReturnValue:
        stage.add("coffee")
        with stage.uow.read_only():
            assert names(stage) == ["tea", "coffee"]
        stage.add("milk")
        return "written"

    assert get(stage, view) == 200
    assert stage.names() == ["tea", "coffee", "milk"]
