"""``uow.pending_changes()``: what the next flush would do, told before it does it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from sqlalchemy import Column, ForeignKey, Table, create_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, backref, mapped_column, relationship

from flask_unitofwork import Absent, Action, OutsideScopeError, Session, UnitOfWork
from flask_unitofwork.states import pending_changes
from tests.states.conftest import statements
from tests.states.flushing import foretold, is_as_foretold, written_by_flush
from tests.states.shop import (
    Account,
    Address,
    Customer,
    Express,
    Item,
    Label,
    Line,
    Order,
    Parcel,
    Remark,
    Shelf,
)


def told(uow: UnitOfWork) -> list[str]:
    """The changes in words; and what the flush then writes is held against them."""
    changes = uow.pending_changes()
    rows = written_by_flush(uow.session, uow.engine)
    assert is_as_foretold(rows, foretold(changes), ordered=True), (changes, rows)
    return [repr(change)[1:-1] for change in changes]


@pytest.fixture
def order(session: Session) -> Order:
    """An order that has been committed and loaded again, with all that belongs to it."""
    session.add(
        Order(
            id=1,
            customer=Customer(id=1, name="Ada", address=Address(id=1)),
            lines=[Line(id=1, remarks=[Remark(id=1)]), Line(id=2)],
            labels=[Label(id=1, text="gift"), Label(id=2, text="fragile")],
        )
    )
    session.commit()
    order = session.get_one(Order, 1)
    assert order.customer is not None
    _ = order.customer.name, order.customer.orders, order.customer.address, order.status
    _ = [line.remarks for line in order.lines], [label.orders for label in order.labels]
    return order


def test_there_are_none_where_nothing_was_done(uow: UnitOfWork, order: Order) -> None:
    assert list(uow.pending_changes()) == []
    assert repr(uow.pending_changes()) == "<PendingChanges: none>"


def test_parents_are_inserted_before_their_children_and_their_keys_are_not_known_yet(
    uow: UnitOfWork, session: Session
) -> None:
    session.add(Line(quantity=3, order=Order(status="new", customer=Customer(name="Ada"))))
    changes = uow.pending_changes()
    assert [(change.action, change.table, change.primary_key) for change in changes] == [
        (Action.INSERT, "customer", None),
        (Action.INSERT, "order", None),
        (Action.INSERT, "line", None),
    ]
    assert [(one.name, one.old, one.new) for one in changes[2].attributes] == [
        ("order_id", Absent.NOT_SET, Absent.NOT_YET),
        ("quantity", Absent.NOT_SET, 3),
    ]
    assert told(uow) == ["insert customer: name", "insert order: status customer_id", "insert line: order_id quantity"]


def test_updates_tell_what_changes(uow: UnitOfWork, order: Order) -> None:
    order.status = "paid"
    [change] = uow.pending_changes()
    assert (change.action, change.obj, change.primary_key) == (Action.UPDATE, order, (1,))
    assert [(one.name, one.old, one.new) for one in change.attributes] == [("status", "new", "paid")]
    assert told(uow) == ["update order (1,): status"]


def test_a_key_that_the_session_knows_is_told(uow: UnitOfWork, session: Session, order: Order) -> None:
    session.add(Parcel(order=order))
    [change] = uow.pending_changes()
    assert {one.name: one.new for one in change.attributes} == {"kind": "parcel", "order_id": 1}
    assert told(uow) == ["insert parcel: kind order_id"]


def test_what_was_set_back_is_not_written(uow: UnitOfWork, order: Order) -> None:
    order.status = "paid"
    order.status = "new"
    assert told(uow) == []


def test_deletions_take_along_what_lives_with_the_object(uow: UnitOfWork, session: Session, order: Order) -> None:
    session.delete(order)
    assert sorted(told(uow)) == [
        "delete line (1,)",
        "delete line (2,)",
        "delete order (1,)",
        "delete order_label: order_id label_id, by Order.labels",
        "delete order_label: order_id label_id, by Order.labels",
        "delete remark (1,)",
    ]


def test_orphans_go_with_all_that_lives_with_them_and_the_relationship_is_named(uow: UnitOfWork, order: Order) -> None:
    del order.lines[0]
    assert told(uow) == ["delete remark (1,), by Line.remarks", "delete line (1,), by Order.lines"]


def test_the_one_of_a_many_to_one_is_an_orphan_too(uow: UnitOfWork, order: Order) -> None:
    assert order.customer is not None
    order.customer.address = None
    assert told(uow) == ["update customer (1,): address_id", "delete address (1,), by Customer.address"]


def test_those_who_are_left_behind_refer_to_nothing(uow: UnitOfWork, session: Session, order: Order) -> None:
    session.delete(order.customer)
    changes = uow.pending_changes()
    assert [(one.name, one.old, one.new) for one in changes.updates[0].attributes] == [("customer_id", 1, None)]
    assert told(uow) == [
        "update order (1,): customer_id, by Customer.orders",
        "delete customer (1,)",
        "delete address (1,)",
    ]


def test_association_rows_are_told_once_from_whichever_side_they_are_made(
    uow: UnitOfWork, session: Session, order: Order
) -> None:
    label = Label(id=3, text="late")
    label.orders.append(order)
    order.labels.remove(order.labels[0])
    session.add(label)
    changes = uow.pending_changes()
    rows = [change for change in changes if change.table == "order_label"]
    assert [(row.action, row.obj, [(one.name, one.old, one.new) for one in row.attributes]) for row in rows] == [
        (Action.DELETE, None, [("order_id", 1, Absent.NOT_SET), ("label_id", 1, Absent.NOT_SET)]),
        (Action.INSERT, None, [("order_id", Absent.NOT_SET, 1), ("label_id", Absent.NOT_SET, 3)]),
    ]
    assert len([one for one in told(uow) if "order_label" in one]) == 2


def test_a_class_of_several_tables_has_a_row_in_each(uow: UnitOfWork, session: Session) -> None:
    session.add(express := Express(weight=1, hours=24))
    assert told(uow) == ["insert parcel: kind weight", "insert express: hours"]
    express.hours = 12
    assert told(uow) == [f"update express ({express.id},): hours"]
    session.delete(express)
    assert told(uow) == [f"delete express ({express.id},)", f"delete parcel ({express.id},)"]


def test_a_new_object_in_the_place_of_a_deleted_one_is_an_update(uow: UnitOfWork, session: Session) -> None:
    session.add(label := Label(id=7, text="gift"))
    session.flush()
    session.delete(label)
    session.add(again := Label(id=7, text="again"))
    [change] = uow.pending_changes()
    assert (change.action, change.obj, change.primary_key) == (Action.UPDATE, again, (7,))
    assert told(uow) == ["update label (7,): text"]


def test_a_version_is_counted_by_the_mapper_and_not_told(uow: UnitOfWork, session: Session) -> None:
    session.add(account := Account(balance=1))
    assert told(uow) == ["insert account: balance"]
    account.balance = 2
    assert told(uow) == [f"update account ({account.id},): balance"]


def test_rows_that_refer_to_one_another_are_written_first_and_related_later(uow: UnitOfWork, session: Session) -> None:
    shelf = Shelf(name="top")
    shelf.favourite = Item(shelf=shelf)
    session.add(shelf)
    assert told(uow) == ["insert shelf: name", "insert item: shelf_id", "update shelf: favourite_id"]


def test_shelves_go_after_those_that_stand_in_them(uow: UnitOfWork, session: Session) -> None:
    outer = Shelf(id=1, name="outer", children=[Shelf(id=2, name="inner")])
    session.add(outer)
    session.flush()
    session.delete(outer.children[0])
    session.delete(outer)
    assert told(uow) == ["delete shelf (2,)", "delete shelf (1,)"]


def test_an_sql_expression_is_told_as_it_is(uow: UnitOfWork, session: Session, order: Order) -> None:
    expression = Line.quantity + 1
    order.lines[0].quantity = expression
    [change] = uow.pending_changes()
    assert change.attributes[0].old == 1
    assert change.attributes[0].new is expression
    session.flush()
    assert order.lines[0].quantity == 2


def test_what_the_flush_would_have_to_load_is_named(uow: UnitOfWork, session: Session, order: Order) -> None:
    customer = order.customer
    session.expire(customer, ["orders"])
    session.delete(customer)
    changes = uow.pending_changes()
    assert [(one.obj, one.attribute) for one in changes.unloaded] == [(customer, "Customer.orders")]
    assert repr(changes).startswith("<PendingChanges: after loading Customer.orders, <delete customer (1,)>")
    written = written_by_flush(session, uow.engine)
    assert [row.action for row in written] == ["update", "delete", "delete"], "the order was found there"


def test_a_line_that_was_taken_from_a_parent_in_no_session_is_dropped_by_the_flush(
    uow: UnitOfWork, session: Session
) -> None:
    session.add(line := Line())
    parent = Order(lines=[line])
    assert parent not in session
    parent.lines.remove(line)
    assert line in session.new
    assert told(uow) == []
    assert line not in session


class TestTelling:
    @pytest.mark.parametrize(
        "prepare",
        [
            lambda order: setattr(order, "status", "paid"),
            lambda order: order.lines.pop(),
            lambda order: order.labels.append(Label(text="new")),
        ],
    )
    def test_sends_nothing_and_leaves_all_to_be_flushed(
        self, uow: UnitOfWork, session: Session, order: Order, prepare: Callable[[Order], Any]
    ) -> None:
        prepare(order)
        session.expire(order.lines[0])
        with statements(uow.engine) as sent:
            first = uow.pending_changes()
            assert uow.pending_changes() == first
            assert sent == []
        assert session.dirty
        assert "id" in uow.inspect(order.lines[0]).expired

    def test_makes_no_session_where_there_is_none(self, uow: UnitOfWork) -> None:
        assert list(uow.pending_changes()) == []
        assert not uow.current.has_session

    def test_begins_no_transaction(self, uow: UnitOfWork, order: Order, session: Session) -> None:
        session.rollback()
        assert list(uow.pending_changes()) == []
        assert not session.in_transaction()

    def test_is_of_the_current_scope_s_session(self, uow: UnitOfWork, session: Session) -> None:
        session.add(Customer(name="Ada"))
        with uow.scope():
            assert list(uow.pending_changes()) == []
        assert len(uow.pending_changes()) == 1

    def test_needs_a_scope(self) -> None:
        with pytest.raises(OutsideScopeError):
            UnitOfWork().pending_changes()


def test_the_text_of_changes_shows_names_and_keys_and_no_other_values(uow: UnitOfWork, session: Session) -> None:
    session.add(Customer(id=5, name="secret"))
    assert repr(uow.pending_changes()) == "<PendingChanges: <insert customer (5,): id name>>"


def test_changes_can_be_counted_sliced_and_sorted_by_kind(uow: UnitOfWork, session: Session, order: Order) -> None:
    session.add(Customer(name="Bob"))
    order.status = "paid"
    session.delete(order.lines[1])
    changes = uow.pending_changes()
    assert (len(changes), len(changes.inserts), len(changes.updates), len(changes.deletes)) == (3, 1, 1, 1)
    assert [*changes.inserts, *changes.updates, *changes.deletes] == list(changes)
    assert changes[:2] == (changes[0], changes[1])


class Library(DeclarativeBase):
    """What the shop has not: a backref, and rows that the database deletes."""


class Author(Library):
    __tablename__ = "author"

    id: Mapped[int] = mapped_column(primary_key=True)
    books: Mapped[list[Book]] = relationship(
        backref=backref("author"), cascade="all, delete-orphan", passive_deletes=True
    )


class Book(Library):
    __tablename__ = "book"

    id: Mapped[int] = mapped_column(primary_key=True)
    author_id: Mapped[int | None] = mapped_column(ForeignKey("author.id", ondelete="CASCADE"))
    readers: Mapped[list[Reader]] = relationship(secondary="loan", backref=backref("books"))


class Reader(Library):
    __tablename__ = "reader"

    id: Mapped[int] = mapped_column(primary_key=True)


Table(
    "loan",
    Library.metadata,
    Column("book_id", ForeignKey("book.id"), primary_key=True),
    Column("reader_id", ForeignKey("reader.id"), primary_key=True),
)


@pytest.fixture
def library(sqlite_url: str) -> Iterator[Session]:
    engine = create_engine(sqlite_url)
    Library.metadata.create_all(engine)
    with Session(engine) as session:
        yield session
    engine.dispose()


def test_a_collection_that_the_database_deletes_is_not_loaded(library: Session) -> None:
    library.add(author := Author(id=1, books=[Book()]))
    library.commit()
    library.delete(author)
    assert repr(pending_changes(library)) == "<PendingChanges: <delete author (1,)>>"
    rows = written_by_flush(library, library.get_bind().engine)
    assert [(row.action, row.table) for row in rows] == [("delete", "author")]


def test_an_association_with_a_backref_is_told_once(library: Session) -> None:
    library.add(Book(id=1, readers=[Reader(id=1)]))
    assert repr(pending_changes(library)) == (
        "<PendingChanges: <insert book (1,): id>, <insert reader (1,): id>,"
        " <insert loan: book_id reader_id, by Book.readers>>"
    )
    rows = written_by_flush(library, library.get_bind().engine)
    assert [row.table for row in rows] == ["book", "reader", "loan"]
