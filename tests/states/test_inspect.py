"""``uow.inspect()``: what a record tells of an object in each of its states."""

from __future__ import annotations

import pytest
from sqlalchemy import update
from sqlalchemy.orm import make_transient
from sqlalchemy.orm.exc import UnmappedInstanceError

from flask_unitofwork import Absent, ObjectState, Session, UnitOfWork
from tests.states.conftest import statements
from tests.states.shop import Base, Customer, Label, Line, Order


def stored(session: Session, obj: Base) -> Base:
    session.add(obj)
    session.commit()
    return obj


def test_an_object_in_no_session_is_transient(uow: UnitOfWork) -> None:
    seen = uow.inspect(Customer(name="Ada"))
    assert (seen.state, seen.session, seen.identity_key) == (ObjectState.TRANSIENT, None, None)
    assert [(change.name, change.old, change.new) for change in seen.changes] == [("name", Absent.NOT_SET, "Ada")]
    assert seen.unloaded == ("address", "address_id", "id", "orders")


def test_an_added_object_is_pending_then_persistent_then_deleted_then_detached(
    uow: UnitOfWork, session: Session
) -> None:
    ada = Customer(name="Ada")
    session.add(ada)
    assert (uow.inspect(ada).state, uow.inspect(ada).session) == (ObjectState.PENDING, session)
    session.flush()
    assert (uow.inspect(ada).state, uow.inspect(ada).identity_key) == (
        ObjectState.PERSISTENT,
        (Customer, (ada.id,), None),
    )
    session.delete(ada)
    assert uow.inspect(ada).state is ObjectState.PERSISTENT, "until the flush"
    session.flush()
    assert (uow.inspect(ada).state, uow.inspect(ada).session) == (ObjectState.DELETED, session)
    session.commit()
    assert (uow.inspect(ada).state, uow.inspect(ada).session) == (ObjectState.DETACHED, None)
    make_transient(ada)
    assert uow.inspect(ada).state is ObjectState.TRANSIENT


def test_changes_are_told_with_their_old_and_new_values(uow: UnitOfWork, session: Session) -> None:
    order = Order(status="new", customer=Customer(name="Ada"), lines=[Line(quantity=1), Line(quantity=2)])
    stored(session, order)
    ada, (first, second) = order.customer, order.lines
    order.status, order.customer = "paid", None
    order.lines.remove(first)
    order.lines.append(third := Line())
    changes = {change.name: (change.old, change.new) for change in uow.inspect(order).changes}
    assert changes == {"status": ("new", "paid"), "customer": (ada, None), "lines": ((first,), (third,))}
    assert uow.inspect(second).changes == ()


def test_a_value_that_was_set_back_has_not_changed(uow: UnitOfWork, session: Session) -> None:
    order = Order(status="new")
    stored(session, order)
    assert order.status == "new"
    order.status = "paid"
    order.status = "new"
    assert uow.inspect(order).changes == ()


def test_an_old_value_that_nobody_loaded_is_told_as_such(uow: UnitOfWork, session: Session) -> None:
    order = Order(status="new")
    stored(session, order)
    order.status = "paid"
    assert [(change.old, change.new) for change in uow.inspect(order).changes] == [(Absent.NOT_LOADED, "paid")]


def test_a_null_that_became_a_value_is_told_as_none(uow: UnitOfWork, session: Session) -> None:
    order = Order(status="new")
    stored(session, order)
    assert order.customer_id is None
    order.customer_id = 1
    assert [(change.old, change.new) for change in uow.inspect(order).changes] == [(None, 1)]
    session.rollback()


def test_expired_and_unloaded_attributes_are_told_apart(uow: UnitOfWork, session: Session) -> None:
    order = Order(status="new")
    stored(session, order)
    assert uow.inspect(order).expired == ("customer", "customer_id", "id", "labels", "lines", "note", "status")
    key = order.id
    session.expunge(order)
    loaded = session.get_one(Order, key)
    session.expire(loaded, ["status"])
    seen = uow.inspect(loaded)
    assert seen.expired == ("status",)
    assert seen.unloaded == ("customer", "labels", "lines", "note", "status")


def test_looking_asks_the_database_nothing_and_changes_nothing(uow: UnitOfWork, session: Session) -> None:
    order = Order(status="new", lines=[Line()])
    stored(session, order)
    session.add(Customer(name="Ada"))
    with statements(uow.engine) as sent:
        before = uow.inspect(order)
        assert uow.inspect(order) == before
        assert (len(session.new), sent) == (1, [])


class TestCascades:
    def test_name_the_relationship_that_brought_a_pending_object_in(self, uow: UnitOfWork, session: Session) -> None:
        order = Order(lines=[line := Line()], labels=[label := Label(text="gift")])
        session.add(ada := Customer(name="Ada", orders=[order]))
        assert uow.inspect(ada).cascades == ()
        assert [(one.parent, one.relationship) for one in uow.inspect(order).cascades] == [(ada, "Customer.orders")]
        assert [(one.parent, one.relationship) for one in uow.inspect(line).cascades] == [(order, "Order.lines")]
        assert [one.relationship for one in uow.inspect(label).cascades] == ["Order.labels"]

    def test_come_from_persistent_objects_too(self, uow: UnitOfWork, session: Session) -> None:
        order = Order()
        stored(session, order)
        order.lines.append(line := Line())
        assert [(one.parent, one.relationship) for one in uow.inspect(line).cascades] == [(order, "Order.lines")]

    def test_are_told_of_pending_objects_only(self, uow: UnitOfWork, session: Session) -> None:
        session.add(order := Order(lines=[line := Line()]))
        session.flush()
        assert uow.inspect(line).cascades == ()
        assert uow.inspect(order).cascades == ()

    def test_of_a_relationship_without_save_update_are_none(self, uow: UnitOfWork, session: Session) -> None:
        session.add_all([order := Order(), line := Line()])
        line.order_id = 1
        assert uow.inspect(line).cascades == ()
        session.expunge(line)
        assert uow.inspect(order).cascades == ()


def test_the_text_of_a_record_shows_names_and_keys_and_no_other_values(uow: UnitOfWork, session: Session) -> None:
    session.add(ada := Customer(name="secret", orders=[order := Order(note="secret")]))
    assert repr(uow.inspect(ada)) == "<Customer: pending, changed name orders, unloaded address address_id id>"
    assert repr(uow.inspect(ada).changes) == "(<AttributeChange name>, <AttributeChange orders>)"
    assert repr(uow.inspect(order).cascades) == "(<Cascade Customer.orders>,)"
    session.flush()
    session.expire(ada, ["name"])
    assert repr(uow.inspect(ada)) == f"<Customer ({ada.id},): persistent, expired name, unloaded address address_id>"
    assert repr(Absent.NOT_LOADED) == "<not loaded>"


@pytest.mark.parametrize(
    ("what", "message"),
    [
        (object(), "an object of type object"),
        (Customer, "the class Customer"),
        (None, "an object of type NoneType"),
        (update(Customer), "an object of type Update"),
    ],
)
def test_what_is_no_mapped_object_is_an_error_that_says_so(what: object, message: str) -> None:
    with pytest.raises(UnmappedInstanceError, match=f"was given {message}"):
        UnitOfWork().inspect(what)
