"""A write that is one statement is one round trip; of several statements, none is ever committed alone."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import date, datetime
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import (
    Column,
    Connection,
    Engine,
    Enum,
    ForeignKey,
    String,
    Table,
    TypeDecorator,
    Uuid,
    event,
    func,
    insert,
    inspect,
    literal_column,
    select,
    text,
)
from sqlalchemy.exc import DataError, IntegrityError, OperationalError
from sqlalchemy.orm import Mapped, Mapper, Session, declared_attr, mapped_column, relationship
from sqlalchemy.orm.exc import StaleDataError

from flask_unitofwork import State, UnknownCommitError
from tests.servers.counting import CountingWire
from tests.servers.wire import Cut, Wire
from tests.stage import Base, Item, MakeStage, Stage


class Shelf(Base):
    __tablename__ = "lone_shelf"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(50), unique=True)
    above_id: Mapped[int | None] = mapped_column(ForeignKey("lone_shelf.id"))
    above: Mapped[Shelf | None] = relationship(remote_side="Shelf.id")
    boxes: Mapped[list[Box]] = relationship(back_populates="shelf")
    tags: Mapped[list[Tag]] = relationship(secondary="lone_shelf_tag")


class Box(Base):
    __tablename__ = "lone_box"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(50), unique=True)
    kind: Mapped[str] = mapped_column(String(10), default="box")
    shelf_id: Mapped[int | None] = mapped_column(ForeignKey("lone_shelf.id"))
    shelf: Mapped[Shelf | None] = relationship(back_populates="boxes")

    @declared_attr.directive
    def __mapper_args__(cls) -> dict[str, Any]:  # noqa: N805
        return {"polymorphic_on": "kind", "polymorphic_identity": cls.__name__.lower()}


class Crate(Box):
    __tablename__ = "lone_crate"

    id: Mapped[int] = mapped_column(ForeignKey("lone_box.id"), primary_key=True)
    wood: Mapped[str] = mapped_column(String(50))


class Tag(Base):
    __tablename__ = "lone_tag"

    id: Mapped[int] = mapped_column(primary_key=True)
    word: Mapped[str] = mapped_column(String(50))


class Note(Base):
    __tablename__ = "lone_note"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(50))


class Sticker(Base):
    """Goes with the only bottle that has it."""

    __tablename__ = "lone_sticker"

    id: Mapped[int] = mapped_column(primary_key=True)
    word: Mapped[str] = mapped_column(String(50))


class Jar(Base):
    __tablename__ = "lone_jar"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(50), unique=True)
    version: Mapped[int] = mapped_column()

    __mapper_args__ = {"version_id_col": version}  # noqa: RUF012  # the way that SQLAlchemy documents


class Bottle(Base):
    __tablename__ = "lone_bottle"

    id: Mapped[int] = mapped_column(primary_key=True)
    sticker_id: Mapped[int | None] = mapped_column(ForeignKey("lone_sticker.id"))
    sticker: Mapped[Sticker | None] = relationship(cascade="all, delete-orphan", single_parent=True)


class Ticket(Base):
    """Its key is asked for before it is inserted."""

    __tablename__ = "lone_ticket"
    __table_args__ = {"implicit_returning": False}  # noqa: RUF012  # the way that SQLAlchemy documents

    id: Mapped[int] = mapped_column(primary_key=True, default=select(literal_column("7")).scalar_subquery())
    name: Mapped[str] = mapped_column(String(50))


class Stamped(Base):
    """Expires in a flush that changes it."""

    __tablename__ = "lone_stamped"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(50))
    changed: Mapped[datetime | None] = mapped_column(onupdate=func.now())


class Renewed(Base):
    """Is given, in the flush that changes it, what the database has made of it."""

    __tablename__ = "lone_renewed"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(50))
    changed: Mapped[datetime | None] = mapped_column(onupdate=func.now())

    __mapper_args__ = {"eager_defaults": True}  # noqa: RUF012  # the way that SQLAlchemy documents


class Upper(TypeDecorator[str]):
    """Words that the database may have in another form than we expect."""

    impl = String(10)
    cache_ok = True

    def process_result_value(self, value: Any, dialect: object) -> Any:
        del dialect
        if value != value.upper():
            raise LookupError
        return value


class Parcel(Base):
    """The database says where it is, in a word that we may not know."""

    __tablename__ = "lone_parcel"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(50))
    state: Mapped[str] = mapped_column(Enum("sent", "here", native_enum=False, length=10), server_default="lost")

    __mapper_args__ = {"eager_defaults": True}  # noqa: RUF012  # the way that SQLAlchemy documents


class Variant(Base):
    __tablename__ = "lone_variant"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(50))
    state: Mapped[str] = mapped_column(
        String(10).with_variant(Upper, "postgresql", "mysql", "mariadb"), server_default="lost"
    )

    __mapper_args__ = {"eager_defaults": True}  # noqa: RUF012  # the way that SQLAlchemy documents


class Marked(Base):
    """Some databases have no type for what marks it, and take any text."""

    __tablename__ = "lone_marked"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(50))
    mark: Mapped[UUID] = mapped_column(Uuid(native_uuid=False), server_default="none")

    __mapper_args__ = {"eager_defaults": True}  # noqa: RUF012  # the way that SQLAlchemy documents


class Forever(Base):
    """Is valid until a date that Python does not know."""

    __tablename__ = "lone_forever"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(50))
    until: Mapped[date | None] = mapped_column(server_default=text("NULL"))

    __mapper_args__ = {"eager_defaults": True}  # noqa: RUF012  # the way that SQLAlchemy documents


class Dated(Base):
    """The database says when it was made."""

    __tablename__ = "lone_dated"

    id: Mapped[int] = mapped_column(primary_key=True)
    made: Mapped[datetime] = mapped_column(server_default=func.now())

    __mapper_args__ = {"eager_defaults": True}  # noqa: RUF012  # the way that SQLAlchemy documents


class Letter(Base):
    __tablename__ = "lone_letter"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(50))
    state: Mapped[str] = mapped_column(Upper, server_default="lost")

    __mapper_args__ = {"eager_defaults": True}  # noqa: RUF012  # the way that SQLAlchemy documents


def _note_of(context: Any) -> str:
    context.connection.execute(insert(Base.metadata.tables["lone_memo"]).values(name="by a default", note="x"))
    return "x"


class Memo(Base):
    __tablename__ = "lone_memo"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(50), unique=True)
    note: Mapped[str] = mapped_column(String(50), default=_note_of)


Table(
    "lone_shelf_tag",
    Base.metadata,
    Column("shelf_id", ForeignKey("lone_shelf.id"), primary_key=True),
    Column("tag_id", ForeignKey("lone_tag.id"), primary_key=True),
)


@pytest.fixture
def stage(wire: CountingWire, make_stage: MakeStage) -> Stage:
    """An app with a shelf, a box on it and a tag, whose connection is open and knows the database."""
    stage = make_stage(wire.url.render_as_string(hide_password=False))
    with stage.uow.scope(stage.app) as session:
        session.add_all(
            [
                Shelf(name="top", boxes=[Box(name="small")]),
                Tag(word="new"),
                Item(name="tea"),
                Note(name="old"),
                Jar(name="full"),
                Bottle(sticker=Sticker(word="honey")),
                Stamped(name="old"),
                Renewed(name="old"),
            ]
        )
    return stage


Change = Callable[[Session], object]


def post(stage: Stage, change: Change, *, explicitly: bool = False) -> int:
    """The status of a request that makes *change*."""

    def view() -> str:
        change(stage.uow.session)
        if explicitly:
            stage.uow.session.commit()
        return "done"

    if "view" not in stage.app.view_functions:
        stage.app.add_url_rule("/", "view", methods=["POST"])
    stage.app.view_functions["view"] = view
    return stage.client.post("/").status_code


def change(stage: Stage, wire: CountingWire, make: Change, *, explicitly: bool = False) -> int:
    """How many round trips *make* and its commit take."""
    state: list[State] = []

    @stage.app.after_request
    def look(response: Any) -> Any:
        state.append(stage.uow.current.state)
        return response

    wire.forget()
    assert post(stage, make, explicitly=explicitly) == 200
    assert state == [State.COMMITTED]
    return wire.round_trips


ALONE: dict[str, Change] = {
    "a new object": lambda session: session.add(Shelf(name="new")),
    "a new object that refers to another": lambda session: session.add(Box(name="new", shelf_id=1)),
    "a new object without its collections": lambda session: session.add(Shelf(name="new", boxes=[], tags=[])),
    "a new object that is told when it was made": lambda session: session.add(Dated()),
}


@pytest.mark.parametrize("explicitly", [False, True])
@pytest.mark.parametrize("make", ALONE.values(), ids=ALONE.keys())
def test_one_statement_is_one_round_trip(stage: Stage, wire: CountingWire, make: Change, explicitly: bool) -> None:
    assert change(stage, wire, make, explicitly=explicitly) == 1


@pytest.mark.parametrize("mode", ["TESTING", "DEBUG"])
def test_who_tests_or_debugs_sends_what_production_sends(stage: Stage, wire: CountingWire, mode: str) -> None:
    stage.app.config[mode] = True
    assert change(stage, wire, ALONE["a new object"]) == 1


def test_a_change_in_a_get_is_one_round_trip_beside_its_read(stage: Stage, wire: CountingWire) -> None:
    def view() -> str:
        stage.uow.session.get_one(Shelf, 1).name = "changed"
        return "done"

    stage.app.add_url_rule("/", view_func=view)
    wire.forget()
    assert stage.client.get("/").status_code == 200
    assert wire.round_trips == 2
    assert named(stage, Shelf) == ["changed"]


def test_a_deletion_in_a_get_is_one_round_trip_beside_its_read(stage: Stage, wire: CountingWire) -> None:
    def view() -> str:
        stage.uow.session.delete(stage.uow.session.get_one(Note, 1))
        return "done"

    stage.app.add_url_rule("/", view_func=view)
    wire.forget()
    assert stage.client.get("/").status_code == 200
    assert wire.round_trips == 2
    assert named(stage, Note) == []


SEVERAL: dict[str, Change] = {
    "two objects": lambda session: session.add_all([Shelf(name="new"), Shelf(name="other")]),
    "an object of two tables": lambda session: session.add(Crate(name="new", wood="oak")),
    "an object with others": lambda session: session.add(Shelf(name="new", boxes=[Box(name="other")])),
    "an object with rows of a relationship": lambda session: session.add(
        Shelf(name="new", tags=[session.get_one(Tag, 1)])
    ),
    "an object that others are moved to": lambda session: session.add(
        Shelf(name="new", boxes=[session.get_one(Box, 1)])
    ),
    "an object that others refer to": lambda session: session.delete(session.get_one(Shelf, 1)),
    "an object whose key is asked for": lambda session: session.add(Ticket(name="new")),
    "an object whose default is written": lambda session: session.add(Memo(name="new")),
    "an object and a statement": lambda session: (
        session.add(Shelf(name="new")),
        session.execute(insert(Item).values(name="milk")),
    ),
}


@pytest.mark.parametrize("make", SEVERAL.values(), ids=SEVERAL.keys())
def test_several_statements_are_committed_together_or_not_at_all(stage: Stage, make: Change) -> None:
    """What is committed alone would be seen by others before COMMIT is sent."""
    before = everything(stage)
    seen: list[Any] = []
    dialect: Any = stage.engine.dialect
    send = dialect.do_commit

    def do_commit(connection: Any) -> None:
        seen.append(everything(stage))
        send(connection)

    dialect.do_commit = do_commit
    try:
        assert post(stage, make) == 200
    finally:
        dialect.do_commit = send
    assert seen == [before]
    assert everything(stage) != before


def everything(stage: Stage) -> list[list[Any]]:
    """All rows, as others see them."""
    with stage.outside(stage.engine) as connection:
        return [connection.execute(table.select()).all() for table in Base.metadata.sorted_tables]  # type: ignore[misc]


def named(stage: Stage, model: type[Any]) -> list[str]:
    with stage.outside(stage.engine) as connection:
        return list(connection.scalars(select(model.name).order_by(model.id)))


class Listening:
    """Listeners that write something themselves."""

    @staticmethod
    def write(connection: Any) -> None:
        connection.execute(insert(Item).values(name="by a listener"))

    @classmethod
    def to_mapper(cls, name: str) -> tuple[Any, str, Any]:
        def listener(_mapper: Mapper[Any], connection: Any, _target: object) -> None:
            cls.write(connection)

        return Shelf, name, listener

    @classmethod
    def to_session(cls, session: Session, name: str) -> tuple[Any, str, Any]:
        written: list[None] = []

        def listener(*_: object) -> None:
            if not written:
                written.append(None)
                cls.write(session.connection())

        return session, name, listener


@pytest.mark.parametrize("name", ["before_insert", "after_insert"])
def test_what_a_listener_to_a_mapper_writes_belongs_to_it(stage: Stage, name: str) -> None:
    listening = Listening.to_mapper(name)
    event.listen(*listening)
    try:
        assert_all_or_nothing(stage, lambda session: session.add(Shelf(name="new")))
    finally:
        event.remove(*listening)


@pytest.mark.parametrize(
    "name",
    [
        "before_commit",
        "before_flush",
        "after_flush",
        "after_flush_postexec",
        "pending_to_persistent",
        "after_transaction_end",
    ],
)
def test_what_a_listener_to_the_session_writes_belongs_to_it(stage: Stage, name: str) -> None:
    def make(session: Session) -> None:
        event.listen(*Listening.to_session(session, name))
        session.add(Shelf(name="new"))

    assert_all_or_nothing(stage, make)


@pytest.mark.parametrize("name", ["before_cursor_execute", "after_cursor_execute"])
@pytest.mark.parametrize("to", ["the engine", "all engines"])
def test_what_a_listener_to_the_engine_writes_belongs_to_it(stage: Stage, to: str, name: str) -> None:
    def listener(connection: Any, _cursor: object, statement: str, *_: object) -> None:
        if "lone_shelf" in statement and statement.startswith("INSERT"):
            Listening.write(connection)

    listening = stage.engine if to == "the engine" else Engine, name, listener
    event.listen(*listening)
    try:
        assert_all_or_nothing(stage, lambda session: session.add(Shelf(name="new")))
    finally:
        event.remove(*listening)


def test_what_a_listener_to_the_engine_writes_before_the_commit_belongs_to_it(stage: Stage) -> None:
    with stage.uow.scope(stage.app) as session:
        session.add(Item(name="by a listener"))
    event.listen(stage.engine, "commit", Listening.write)
    assert post(stage, ALONE["a new object"]) == 500
    event.remove(stage.engine, "commit", Listening.write)
    assert named(stage, Shelf) == ["top"]


def test_what_a_listener_flushes_to_write_more_belongs_to_it(stage: Stage) -> None:
    """As who keeps an audit does: it needs the id of what is new."""

    def listener(session: Session) -> None:
        session.flush()
        Listening.write(session.connection())

    def make(session: Session) -> None:
        event.listen(session, "before_commit", listener)
        session.add(Shelf(name="new"))

    assert_all_or_nothing(stage, make)


def test_a_listener_may_keep_it_from_being_sent(stage: Stage) -> None:
    def listener(_cursor: object, statement: str, _parameters: object, _context: object) -> None:
        if statement.startswith("INSERT"):
            raise LookupError("writes are blocked")

    event.listen(stage.engine, "do_execute", listener)
    assert post(stage, ALONE["a new object"]) == 500
    assert named(stage, Shelf) == ["top"]


def test_an_engine_whose_transactions_are_of_a_kind_begins_one(stage: Stage, wire: CountingWire) -> None:
    stage.engine.update_execution_options(isolation_level="SERIALIZABLE")
    assert change(stage, wire, ALONE["a new object"]) > 1


def test_a_part_that_goes_with_it_belongs_to_it(stage: Stage) -> None:
    def refuse(*_: object) -> None:
        raise LookupError

    def view() -> str:
        stage.uow.session.get_one(Bottle, 1).sticker = None
        return "done"

    stage.app.add_url_rule("/", view_func=view)
    event.listen(Sticker, "before_delete", refuse)
    try:
        assert stage.client.get("/").status_code == 500
    finally:
        event.remove(Sticker, "before_delete", refuse)
    with stage.uow.scope(stage.app) as session:
        assert session.get_one(Bottle, 1).sticker is not None


def test_a_listener_to_the_object_may_refuse_it(stage: Stage) -> None:
    def refuse(_one: object, names: object) -> None:
        if names:
            raise LookupError

    def view() -> str:
        stage.uow.session.get_one(Stamped, 1).name = "changed"
        return "done"

    stage.app.add_url_rule("/", view_func=view)
    event.listen(Stamped, "expire", refuse)
    try:
        assert stage.client.get("/").status_code == 500
    finally:
        event.remove(Stamped, "expire", refuse)
    assert named(stage, Stamped) == ["old"]


def test_a_listener_to_what_the_object_is_given_may_refuse_it(stage: Stage) -> None:
    def refuse(_one: object, _context: object, names: object) -> None:
        if names:
            raise LookupError

    # With RETURNING it is given that by the flush; else the flush asks for it.
    name = "refresh_flush" if stage.engine.dialect.update_returning else "refresh"

    def view() -> str:
        one = stage.uow.session.get_one(Renewed, 1)
        event.listen(Renewed, name, refuse)
        one.name = "changed"
        return "done"

    stage.app.add_url_rule("/", view_func=view)
    try:
        assert stage.client.get("/").status_code == 500
    finally:
        event.remove(Renewed, name, refuse)
    assert named(stage, Renewed) == ["old"]


@pytest.mark.parametrize("model", [Parcel, Letter, Variant, Marked])
def test_what_the_database_gives_back_and_nobody_can_read_is_rolled_back(stage: Stage, model: type[Any]) -> None:
    assert_unreadable_and_rolled_back(stage, model)


def test_a_date_that_python_does_not_know_is_rolled_back(postgresql_url: str, make_stage: MakeStage) -> None:
    stage = make_stage(postgresql_url)
    with stage.outside(stage.engine) as connection:
        connection.execute(text("ALTER TABLE lone_forever ALTER until SET DEFAULT 'infinity'"))
        connection.commit()
    assert_unreadable_and_rolled_back(stage, Forever)


def assert_unreadable_and_rolled_back(stage: Stage, model: type[Any]) -> None:
    seen: list[object] = []

    def unknown(_: Exception) -> tuple[str, int]:
        seen.append(stage.uow.current.state)
        return "unknown", 409

    for kind in (LookupError, ValueError, DataError):
        stage.app.register_error_handler(kind, unknown)
    assert post(stage, lambda session: session.add(model(name="new"))) == 409
    assert seen == [State.ROLLED_BACK]
    assert named(stage, model) == []


@pytest.mark.parametrize(
    ("model", "meanwhile"),
    [(Jar, "UPDATE lone_jar SET version = version + 1"), (Note, "DELETE FROM lone_note")],
    ids=["in another version", "gone"],
)
def test_a_row_that_somebody_else_has_changed_is_rolled_back_and_called_so(
    stage: Stage, model: type[Jar | Note], meanwhile: str
) -> None:
    seen: list[object] = []

    def view() -> str:
        one: Any = stage.uow.session.get_one(model, 1)
        with stage.outside(stage.engine) as connection:
            connection.execute(text(meanwhile))
            connection.commit()
        one.name = "changed"
        return "done"

    def stale(_: StaleDataError) -> tuple[str, int]:
        seen.append(stage.uow.current.state)
        return "stale", 409

    stage.app.add_url_rule("/", view_func=view)
    stage.app.register_error_handler(StaleDataError, stale)
    assert stage.client.get("/").status_code == 409
    assert seen == [State.ROLLED_BACK]
    assert "changed" not in named(stage, model)


def test_what_a_listener_to_the_connection_writes_belongs_to_it(stage: Stage) -> None:
    def listener(connection: Any, _cursor: object, statement: str, *_: object) -> None:
        if "lone_shelf" in statement and statement.startswith("INSERT"):
            Listening.write(connection)

    def listen(_session: Session, _transaction: object, connection: Connection) -> None:
        event.listen(connection, "after_cursor_execute", listener)

    def make(session: Session) -> None:
        event.listen(session, "after_begin", listen)
        session.add(Shelf(name="new"))

    assert_all_or_nothing(stage, make)


def test_what_is_written_as_the_transaction_begins_belongs_to_it(stage: Stage) -> None:
    """Even where it looks like the statement that the unit has announced."""
    written: list[object] = []

    def listener(_session: Session, _transaction: object, connection: Connection) -> None:
        written.append(connection.execute(insert(Base.metadata.tables["lone_shelf"]).values(name="by a listener")))

    def make(session: Session) -> None:
        session.add(Shelf(name="top"))  # there is one
        event.listen(session, "after_begin", listener)

    assert post(stage, make) == 500
    assert written
    assert named(stage, Shelf) == ["top"]


def test_what_a_hook_writes_belongs_to_it(stage: Stage) -> None:
    def make(session: Session) -> None:
        session.add(Shelf(name="new"))
        stage.uow.before_commit(lambda: session.add(Item(name="by a listener")))

    assert_all_or_nothing(stage, make)


def assert_all_or_nothing(stage: Stage, make: Change) -> None:
    """Make a change whose second write is refused, since there is such an item; then again, after that was removed."""
    with stage.uow.scope(stage.app) as session:
        session.add(Item(name="by a listener"))
    assert post(stage, make) == 500
    assert named(stage, Shelf) == ["top"]
    with stage.uow.scope(stage.app) as session:
        session.delete(session.scalars(select(Item).where(Item.name == "by a listener")).one())
    assert post(stage, make) == 200
    assert named(stage, Shelf) == ["top", "new"]
    assert "by a listener" in named(stage, Item)


def test_what_the_database_refuses_is_not_committed(stage: Stage) -> None:
    @stage.app.errorhandler(IntegrityError)
    def twice(_: IntegrityError) -> tuple[str, int]:
        assert stage.uow.current.state is State.ROLLED_BACK
        return "twice", 409

    assert post(stage, lambda session: session.add(Shelf(name="top"))) == 409
    assert named(stage, Shelf) == ["top"]
    assert post(stage, lambda session: session.add(Shelf(name="bottom"))) == 200
    assert named(stage, Shelf) == ["top", "bottom"]


def test_hooks_run_after_it(stage: Stage) -> None:
    ran: list[list[str]] = []

    def make(session: Session) -> None:
        session.add(Shelf(name="new"))
        stage.uow.on_commit(lambda: ran.append(named(stage, Shelf)))

    assert post(stage, make) == 200
    assert ran == [["top", "new"]]


def test_the_object_knows_its_key(stage: Stage) -> None:
    keys: list[int] = []

    def make(session: Session) -> None:
        shelf = Shelf(name="new")
        session.add(shelf)
        session.commit()
        assert inspect(shelf).persistent
        keys.append(shelf.id)

    assert post(stage, make) == 200
    with stage.uow.scope(stage.app) as session:
        assert session.get_one(Shelf, keys[0]).name == "new"


def test_the_next_transaction_is_one(stage: Stage) -> None:
    def make(session: Session) -> None:
        session.add(Shelf(name="new"))
        session.commit()
        session.execute(insert(Item).values(name="lost"))
        session.add(Shelf(name="lost"))
        session.flush()
        session.rollback()

    assert post(stage, make) == 200
    assert named(stage, Shelf) == ["top", "new"]
    assert named(stage, Item) == ["tea"]


@pytest.mark.parametrize("ask", ["isolation_level", "timeout", "attempts"])
def test_what_asks_for_a_transaction_gets_one(stage: Stage, wire: CountingWire, ask: str) -> None:
    options: dict[str, Any] = {"isolation_level": "SERIALIZABLE", "timeout": 5, "attempts": 2}

    @stage.uow.transaction(**{ask: options[ask]})
    def make() -> None:
        stage.uow.session.add(Shelf(name="new"))

    with stage.app.app_context():
        wire.forget()
        make()
    assert wire.round_trips > 2


@pytest.fixture
def fragile(server_url: str, make_stage: MakeStage) -> Iterator[tuple[Stage, Wire]]:
    """An app whose wire to the database can be cut."""
    wire = Wire(server_url)
    stage = make_stage(wire.url.render_as_string(hide_password=False))
    with stage.uow.scope(stage.app):
        stage.add("tea")
    yield stage, wire
    wire.close()


@pytest.mark.parametrize("cut", [Cut.BEFORE, Cut.AFTER])
def test_a_lost_answer_is_reported_as_unknown(fragile: tuple[Stage, Wire], cut: Cut) -> None:
    stage, wire = fragile
    seen: list[tuple[State, str]] = []

    @stage.app.errorhandler(UnknownCommitError)
    def unknown(error: UnknownCommitError) -> tuple[str, int]:
        seen.append((stage.uow.current.state, str(error)))
        return "unknown", 500

    wire.when_sent("INSERT INTO", cut)
    assert post(stage, lambda session: session.add(Item(name="milk"))) == 500
    assert wire.all_happened
    ((state, message),) = seen
    assert state is State.UNKNOWN
    assert "nobody knows whether the work was committed" in message
    assert post(stage, lambda session: session.add(Item(name="sugar"))) == 200
    assert named(stage, Item) == (["tea", "milk", "sugar"] if cut is Cut.AFTER else ["tea", "sugar"])


def test_a_connection_that_is_dead_already_is_found_out_before(fragile: tuple[Stage, Wire]) -> None:
    """So nothing is unknown: the work was not done."""
    stage, wire = fragile

    @stage.app.errorhandler(OperationalError)
    def lost(_: OperationalError) -> tuple[str, int]:
        assert stage.uow.current.state is State.ROLLED_BACK
        return "lost", 503

    wire.cut_now()
    assert post(stage, lambda session: session.add(Item(name="milk"))) == 503
    assert post(stage, lambda session: session.add(Item(name="sugar"))) == 200
    assert named(stage, Item) == ["tea", "sugar"]


@pytest.mark.parametrize("by", ["bind", "binds"])
def test_a_write_in_a_transaction_that_the_session_has_joined_is_a_part_of_it(stage: Stage, by: str) -> None:
    with stage.engine.connect() as connection:
        outer = connection.begin()
        with stage.uow.scope(stage.app):
            stage.uow.registry.remove()
            session = stage.uow.registry(**({"bind": connection} if by == "bind" else {"binds": {Base: connection}}))
            session.add(Shelf(name="new"))
        outer.rollback()
    assert "new" not in named(stage, Shelf)
