"""``session.release()``: what would be lost with the connection, or end with it, is kept."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import func, select, text
from sqlalchemy.orm import Session

from flask_unitofwork.exceptions import DemarcationError
from tests.stage import Item, MakeStage, Stage

LOCKED = r"would give up what the transaction has locked or set"
BY_HAND = r"begun by hand"


def lock(session: Session) -> None:
    session.scalars(select(Item).with_for_update()).all()


def lock_by_text(session: Session) -> None:
    if session.get_bind().dialect.name == "sqlite":  # whose SQL has no such words
        lock(session)
    else:
        session.execute(text("SELECT id FROM item FOR UPDATE"))


def refresh_and_lock(session: Session) -> None:
    session.refresh(session.get_one(Item, 1), with_for_update=True)


@pytest.mark.parametrize("hold", [lock, lock_by_text, refresh_and_lock])
def test_refuses_to_give_up_locks(stage: Stage, hold: Callable[[Session], None]) -> None:
    with stage.uow.scope(stage.app) as session:
        session.add(Item(name="tea"))
    with stage.uow.scope(stage.app) as session:
        hold(session)
        with pytest.raises(DemarcationError, match=LOCKED):
            session.release()
        assert stage.checked_out() == 1
        session.rollback()
        session.scalars(select(Item)).all()
        session.release()
        assert stage.checked_out() == 0


@pytest.mark.parametrize(
    ("server", "statement"),
    [
        ("postgresql", text("SET LOCAL work_mem = '8MB'")),
        ("postgresql", select(func.pg_advisory_xact_lock(4711))),
        ("postgresql", select(func.set_config("work_mem", "8MB", True))),
        ("mariadb", text("SET @answer = 42")),
        ("mariadb", select(func.get_lock("answer", 0))),
    ],
)
def test_refuses_to_give_up_settings_and_advisory_locks(
    server: str, statement: Any, make_stage: MakeStage, request: pytest.FixtureRequest
) -> None:
    stage = make_stage(request.getfixturevalue(f"{server}_url"))
    with stage.uow.scope(stage.app) as session:
        session.execute(statement)
        with pytest.raises(DemarcationError, match=LOCKED):
            session.release()


def test_does_not_mind_what_only_reads(stage: Stage) -> None:
    with stage.uow.scope(stage.app) as session:
        session.execute(text("SELECT 1"))
        session.scalar(select(func.lower("TEA")))
        session.release()
        assert stage.checked_out() == 0


def test_does_not_mind_a_part_that_was_read_only(stage: Stage) -> None:
    with stage.app.app_context():
        session = stage.uow.session
        with stage.uow.read_only():
            session.scalars(select(Item)).all()
        session.scalars(select(Item)).all()
        session.release()
        assert stage.checked_out() == 0


def test_refuses_to_end_a_transaction_that_was_begun_by_hand(stage: Stage) -> None:
    with stage.app.app_context():
        session = stage.uow.session
        with session.begin():
            session.scalars(select(Item)).all()
            with pytest.raises(DemarcationError, match=BY_HAND):
                session.release()
            session.add(Item(name="tea"))
        assert stage.names() == ["tea"]
        session.scalars(select(Item)).all()
        session.release()


def test_refuses_to_end_a_savepoint_that_was_begun_by_hand(stage: Stage) -> None:
    with stage.uow.scope(stage.app) as session:
        with session.begin_nested():
            session.scalars(select(Item)).all()
            with pytest.raises(DemarcationError, match=BY_HAND):
                session.release()
            session.add(Item(name="tea"))
    assert stage.names() == ["tea"]
