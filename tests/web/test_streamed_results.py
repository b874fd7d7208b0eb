"""Results that are streamed from the database in read mode hold their connection until they are exhausted or closed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from flask import stream_with_context
from flask.typing import ResponseReturnValue
from sqlalchemy import ForeignKey, String, insert, select, text
from sqlalchemy.orm import Mapped, mapped_column, relationship, selectinload

from tests.stage import Base, Item, MakeStage, Stage


class Crate(Base):
    __tablename__ = "crate"

    id: Mapped[int] = mapped_column(primary_key=True)
    label: Mapped[str] = mapped_column(String(50))
    item_id: Mapped[int] = mapped_column(ForeignKey("item.id"))
    item: Mapped[Item] = relationship(backref="crates")


STREAMED = select(Item).order_by(Item.id).execution_options(yield_per=2)
CORE = select(Item.__table__).execution_options(stream_results=True)


@pytest.fixture
def stage(database_url: str, make_stage: MakeStage) -> Stage:
    stage = make_stage(database_url)
    with stage.uow.scope(stage.app) as session:
        session.add_all(Item(name=f"item {number}", crates=[Crate(label="full")]) for number in range(5))
    return stage


def get(stage: Stage, look: Callable[[], Any]) -> None:
    """Let a request that reads in autocommit *look*."""

    def view() -> str:
        look()
        return "seen"

    stage.app.add_url_rule("/", "view", view)
    assert stage.client.get("/").status_code == 200
    assert stage.checked_out() == 0


@pytest.mark.parametrize("statement", [STREAMED, CORE], ids=["ORM", "Core"])
@pytest.mark.parametrize("end", ["exhausted", "closed", "all", "first"])
def test_until_then_and_no_longer(stage: Stage, statement: Any, end: str) -> None:
    def look() -> None:
        session = stage.uow.session
        result = session.execute(statement)
        assert stage.checked_out() == 1
        if end == "exhausted":
            assert len([stage.checked_out() for _ in result]) == 5
        elif end == "closed":
            result.fetchone()
            assert stage.checked_out() == 1
            result.close()
        elif end == "all":
            assert len(result.all()) == 5
        else:
            assert result.first() is not None
        assert stage.checked_out() == 0
        assert not session.in_transaction()
        assert len(session.scalars(select(Item)).all()) == 5
        assert stage.checked_out() == 0

    get(stage, look)


def test_all_of_them(stage: Stage) -> None:
    def look() -> None:
        session = stage.uow.session
        first = session.scalars(STREAMED)
        next(first)
        second = session.scalars(STREAMED)
        next(second)
        assert len(session.scalars(select(Crate)).all()) == 5
        assert len(list(second)) == 4
        assert stage.checked_out() == 1
        first.close()
        assert stage.checked_out() == 0

    if stage.engine.dialect.name != "mysql":  # whose protocol knows one unbuffered result at a time
        get(stage, look)


def test_and_what_they_load_besides(stage: Stage) -> None:
    def look() -> None:
        session = stage.uow.session
        labels = [
            crate.label
            for item in session.scalars(STREAMED.options(selectinload(Item.crates)))  # type: ignore[attr-defined]
            for crate in item.crates  # type: ignore[attr-defined]
        ]
        assert labels == ["full"] * 5
        assert stage.checked_out() == 0

    if stage.engine.dialect.name != "mysql":  # whose protocol knows one unbuffered result at a time
        get(stage, look)


@pytest.mark.parametrize(
    "act",
    [
        lambda session: session.execute(insert(Item).values(name="milk")),
        lambda session: session.add(Item(name="milk")),
        lambda session: session.connection(),
        lambda session: session.scalars(select(Item).with_for_update()).all(),
        lambda session: session.begin_nested(),
    ],
    ids=["insert", "add", "connection", "for update", "savepoint"],
)
def test_but_not_what_has_more_to_do(stage: Stage, act: Callable[[Any], Any]) -> None:
    def look() -> None:
        session = stage.uow.session
        result = session.scalars(STREAMED)
        next(result)
        begun = act(session)
        result.close()
        assert session.in_transaction()
        assert stage.checked_out() == 1
        if session.in_nested_transaction():
            begun.commit()

    if stage.engine.dialect.name != "mysql":  # which runs no other statement before the result has ended
        get(stage, look)


def test_nor_a_transaction_that_somebody_else_began(stage: Stage) -> None:
    def look() -> None:
        session = stage.uow.session
        session.execute(text("SELECT 1"))
        assert len(session.scalars(STREAMED).all()) == 5
        assert session.in_transaction()
        assert stage.checked_out() == 1

    get(stage, look)


def test_in_the_body_of_a_streamed_response(stage: Stage) -> None:
    held: list[int] = []

    @stage.app.get("/stream")
    def view() -> ResponseReturnValue:
        def body() -> Iterator[str]:
            for item in stage.uow.session.scalars(STREAMED):
                held.append(stage.checked_out())
                yield item.name
            held.append(stage.checked_out())
            yield "the end"

        return stream_with_context(body())

    assert stage.client.get("/stream").text.endswith("the end")
    assert held[0] == 1
    assert held[-1] == 0
