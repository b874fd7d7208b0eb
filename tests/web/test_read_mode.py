"""Requests that only read: one round trip for a SELECT, and no connection kept."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from flask import Flask, stream_with_context
from flask.typing import ResponseReturnValue
from sqlalchemy import ForeignKey, String, delete, event, func, insert, select, text, update
from sqlalchemy.orm import Mapped, joinedload, mapped_column, relationship, selectinload

from flask_unitofwork import DemarcationError, State
from tests.servers.counting import CountingWire
from tests.stage import Base, Item, MakeStage, Stage


class Label(Base):
    __tablename__ = "label"

    id: Mapped[int] = mapped_column(primary_key=True)
    text: Mapped[str] = mapped_column(String(50))
    item_id: Mapped[int] = mapped_column(ForeignKey("item.id"))
    item: Mapped[Item] = relationship(backref="labels")


@pytest.fixture
def shop(wire: CountingWire, make_stage: MakeStage) -> Stage:
    """An app with data, whose connection is open and knows the database."""
    stage = make_stage(wire.url.render_as_string(hide_password=False))
    with stage.app.app_context():
        for name in ("tea", "coffee"):
            item = Item(name=name)
            stage.uow.session.add_all([item, Label(text="hot", item=item), Label(text="brown", item=item)])
        stage.uow.session.commit()
    return stage


Look = Callable[[Stage], Any]


def get(stage: Stage, look: Look) -> str:
    """What a request answers in which *look* happens."""
    app: Flask = stage.app
    if "look" not in app.view_functions:
        app.add_url_rule("/look", "look", lambda: str(app.extensions["look"](stage)))
    app.extensions["look"] = look
    response = stage.client.get("/look")
    assert response.status_code == 200, response.text
    return response.text


def names(stage: Stage) -> list[str]:
    return [item.name for item in stage.uow.session.scalars(select(Item).order_by(Item.id))]


class TestOneRoundTrip:
    @pytest.mark.parametrize(
        ("look", "round_trips"),
        [
            (names, 1),
            (lambda stage: stage.uow.session.get(Item, 1), 1),
            (lambda stage: stage.uow.session.scalar(select(func.count()).select_from(Item)), 1),
            (lambda stage: stage.uow.session.execute(select(Item.id, Item.name)).all(), 1),
            (lambda stage: stage.uow.session.execute(select(Item.__table__)).all(), 1),
            (lambda stage: stage.uow.session.query(Item).filter_by(name="tea").one(), 1),
            (lambda stage: stage.uow.session.refresh(stage.uow.session.get_one(Item, 1)), 2),
            (lambda stage: [len(item.labels) for item in stage.uow.session.scalars(select(Item))], 3),
            (lambda stage: stage.uow.session.scalars(select(Item).options(selectinload(Item.labels))).all(), 2),  # type: ignore[attr-defined]
            (lambda stage: stage.uow.session.scalars(select(Label).options(joinedload(Label.item))).all(), 1),
            (lambda stage: stage.uow.paginate(select(Item).order_by(Item.id), count=False).items, 1),
            (lambda stage: "nothing", 0),
        ],
        ids=[
            "scalars",
            "get",
            "scalar",
            "execute",
            "core",
            "query",
            "refresh",
            "lazy",
            "eager",
            "joined",
            "page",
            "none",
        ],
    )
    def test_is_what_a_statement_takes(self, shop: Stage, wire: CountingWire, look: Look, round_trips: int) -> None:
        get(shop, look)
        wire.forget()
        get(shop, look)
        assert wire.round_trips == round_trips, wire.sent
        for words in (b"BEGIN", b"ROLLBACK", b"COMMIT", b"SET "):
            assert not any(words in sent for sent in wire.sent)

    def test_holds_its_connection_only_while_it_lasts(self, shop: Stage) -> None:
        seen: list[int] = []

        def look(stage: Stage) -> list[str]:
            seen.append(stage.checked_out())
            item = stage.uow.session.scalars(select(Item)).first()
            seen.append(stage.checked_out())
            assert item is not None
            labels = [label.text for label in item.labels]  # type: ignore[attr-defined]
            seen.append(stage.checked_out())
            return labels

        assert get(shop, look) == "['hot', 'brown']"
        assert seen == [0, 0, 0]

    def test_is_what_a_stream_takes_for_each_statement(self, shop: Stage, wire: CountingWire) -> None:
        checked_out: list[int] = []

        @shop.app.get("/stream")
        def stream() -> ResponseReturnValue:
            def lines() -> Iterator[str]:
                for name in names(shop):
                    checked_out.append(shop.checked_out())
                    yield name

            return shop.app.response_class(stream_with_context(lines()))

        shop.client.get("/stream")
        wire.forget()
        assert shop.client.get("/stream").text == "teacoffee"
        assert wire.round_trips == 1, wire.sent
        assert set(checked_out) == {0}

    def test_is_what_a_scope_takes_that_asks_for_it(self, shop: Stage, wire: CountingWire) -> None:
        with shop.uow.scope(shop.app, reads="autocommit"):
            names(shop)
            wire.forget()
            assert names(shop) == ["tea", "coffee"]
            assert shop.checked_out() == 0
        assert wire.round_trips == 1, wire.sent

    def test_is_not_for_those_who_ask_for_transactions(self, wire: CountingWire, make_stage: MakeStage) -> None:
        stage = make_stage(wire.url.render_as_string(hide_password=False), UNITOFWORK_READS="transaction")
        seen: list[int] = []

        def look(stage: Stage) -> list[str]:
            found = names(stage)
            seen.append(stage.checked_out())
            return found

        get(stage, look)
        wire.forget()
        get(stage, look)
        assert wire.round_trips == 3, wire.sent
        assert seen == [1, 1]


class TestATransactionBegins:
    """Once, on the connection in use, and everything after it is part of it."""

    @pytest.mark.parametrize(
        "act",
        [
            lambda stage: stage.add("milk") or stage.uow.session.flush(),
            lambda stage: stage.uow.session.execute(insert(Item).values(name="milk")),
            lambda stage: stage.uow.session.execute(insert(Base.metadata.tables["item"]).values(name="milk")),
            lambda stage: stage.uow.session.execute(update(Item).where(Item.name == "tea").values(name="milk")),
            lambda stage: stage.uow.session.execute(delete(Item).where(Item.name == "tea")),
            lambda stage: stage.uow.session.execute(text("SELECT 1")),
            lambda stage: stage.uow.session.scalars(select(Item).with_for_update()).all(),
            lambda stage: stage.uow.session.connection(),
            lambda stage: stage.uow.session.begin(),
            lambda stage: stage.uow.session.begin_nested(),
            lambda stage: stage.uow.session.bulk_insert_mappings(Item, [{"name": "milk"}]),
            lambda stage: stage.uow.transaction().__enter__(),
            lambda stage: stage.uow.savepoint().__enter__(),
        ],
        ids=[
            "flush",
            "ORM insert",
            "Core insert",
            "ORM update",
            "ORM delete",
            "text",
            "for update",
            "connection",
            "begin",
            "begin nested",
            "bulk",
            "transaction",
            "savepoint",
        ],
    )
    def test_with_whatever_may_write_lock_or_hold(self, database_url: str, make_stage: MakeStage, act: Look) -> None:
        stage = make_stage(database_url)
        with stage.app.app_context():
            stage.add("tea")
            stage.uow.session.commit()
        held: list[Any] = []

        def look(stage: Stage) -> None:
            names(stage)
            held.append(act(stage))
            names(stage)
            session = stage.uow.session
            assert session.in_transaction()
            assert stage.checked_out() == 1
            connection = session.connection()
            assert session.connection() is connection
            names(stage)
            assert session.connection() is connection
            stage.uow.current.blocks.end()
            if (nested := session.get_nested_transaction()) is not None:
                nested.commit()

        stage.app.config["TESTING"] = True
        get(stage, look)
        assert stage.checked_out() == 0

    def test_and_its_writes_are_read_and_committed(self, shop: Stage) -> None:
        def look(stage: Stage) -> list[str]:
            before = names(stage)
            stage.add("milk")
            return [*before, "|", *names(stage)]

        assert get(shop, look) == "['tea', 'coffee', '|', 'tea', 'coffee', 'milk']"
        assert shop.names() == ["tea", "coffee", "milk"]

    def test_and_when_it_is_over_reads_are_in_autocommit_again(self, shop: Stage, wire: CountingWire) -> None:
        def look(stage: Stage) -> list[int]:
            trips: list[int] = []
            for end in (stage.uow.session.commit, stage.uow.session.rollback):
                stage.add("milk")
                stage.uow.session.flush()
                end()
                names(stage)
                wire.forget()
                names(stage)
                trips.append(wire.round_trips)
                assert stage.checked_out() == 0
                stage.uow.session.execute(delete(Item).where(Item.name == "milk"))
                stage.uow.session.commit()
            return trips

        assert get(shop, look) == "[1, 1]"

    def test_for_a_view_that_asks_for_a_snapshot(self, shop: Stage) -> None:
        seen: list[list[str]] = []

        @shop.app.get("/report")
        @shop.uow.read_only(isolation_level="REPEATABLE READ")
        def report() -> str:
            seen.append(names(shop))
            with shop.outside(shop.engine) as other:
                other.execute(update(Item).where(Item.name == "tea").values(name="chai"))
                other.commit()
            shop.uow.session.expire_all()
            seen.append(names(shop))
            return "seen"

        assert shop.client.get("/report").status_code == 200
        assert seen == [["tea", "coffee"], ["tea", "coffee"]]


class TestObjects:
    def test_stay_as_they_are_between_statements(self, shop: Stage) -> None:
        def look(stage: Stage) -> bool:
            first = stage.uow.session.get_one(Item, 1)
            names(stage)
            return stage.uow.session.get(Item, 1) is first and "name" in first.__dict__

        assert get(shop, look) == "True"

    def test_that_wait_to_be_written_are_not_forgotten(self, shop: Stage) -> None:
        def look(stage: Stage) -> None:
            session = stage.uow.session
            with session.no_autoflush:
                stage.add("milk")
                session.get_one(Item, 1).name = "chai"
                names(stage)
            session.rollback()
            assert not session.new
            assert session.get_one(Item, 1).name == "tea"

        get(shop, look)
        assert shop.names() == ["tea", "coffee"]

    def test_are_expired_by_an_explicit_commit_and_rollback(self, shop: Stage) -> None:
        def look(stage: Stage) -> None:
            for end in (stage.uow.session.commit, stage.uow.session.rollback):
                item = stage.uow.session.get_one(Item, 1)
                end()
                assert "name" not in item.__dict__

        get(shop, look)

    def test_and_hooks_of_a_request_that_only_reads_run_with_its_success(self, shop: Stage) -> None:
        seen: list[State] = []

        def look(stage: Stage) -> None:
            stage.uow.on_commit(lambda: seen.append(State.COMMITTED))
            names(stage)
            assert seen == []

        get(shop, look)
        assert seen == [State.COMMITTED]


class TestRelease:
    def test_gives_the_connection_back_before_slow_work(self, database_url: str, make_stage: MakeStage) -> None:
        stage = make_stage(database_url)
        with stage.app.app_context(), stage.uow.scope() as session:
            names(stage)
            assert stage.checked_out() == 1
            session.release()
            assert stage.checked_out() == 0
            assert names(stage) == []

    def test_refuses_to_lose_work(self, sqlite_url: str, make_stage: MakeStage) -> None:
        stage = make_stage(sqlite_url)
        with stage.app.app_context():
            stage.add("tea")
            with pytest.raises(DemarcationError, match="would lose work that is not committed: 1 new Item"):
                stage.uow.session.release()
            stage.uow.session.flush()
            with pytest.raises(DemarcationError, match="statements that were sent"):
                stage.uow.session.release()
            stage.uow.session.commit()
            with stage.uow.transaction(), pytest.raises(DemarcationError, match=r"Instead of session\.release\(\)"):
                stage.uow.session.release()
        assert stage.names() == ["tea"]


def test_a_select_that_finds_its_connection_lost_is_sent_once_more(shop: Stage) -> None:
    def lose_connections(stage: Stage) -> None:
        with stage.outside(stage.engine) as other:
            if stage.engine.dialect.name == "postgresql":
                other.execute(
                    text("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid()")
                )
            else:
                own = other.scalar(text("SELECT CONNECTION_ID()"))
                for row in other.execute(text("SHOW PROCESSLIST")).all():
                    if row[0] != own and row[3] == stage.engine.url.database:
                        other.execute(text(f"KILL {row[0]}"))

    def look(stage: Stage) -> list[str]:
        names(stage)
        lose_connections(stage)
        return names(stage)

    assert get(shop, look) == "['tea', 'coffee']"


def test_a_select_in_a_transaction_is_not(shop: Stage) -> None:
    statements: list[str] = []
    event.listen(shop.engine, "before_cursor_execute", lambda *args: statements.append(args[2]))

    @shop.app.get("/write")
    def write() -> str:
        shop.add("milk")
        shop.uow.session.flush()
        shop.uow.session.connection().connection.driver_connection.close()  # type: ignore[union-attr]
        names(shop)
        return "never"

    assert shop.client.get("/write").status_code == 500
    assert shop.names() == ["tea", "coffee"]
    assert len([one for one in statements if one.startswith("SELECT item")]) < 2
