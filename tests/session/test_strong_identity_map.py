"""A session that holds on to its objects, up to a number."""

from __future__ import annotations

import gc
import warnings
from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import event, select
from sqlalchemy.orm import sessionmaker

from flask_unitofwork import ConfigurationError, IdentityMapLimitWarning, Session, StrongIdentityMap
from tests.stage import Item, MakeStage, Stage

NAMES = ["tea", "coffee", "salt"]


@pytest.fixture
def shelf(stage: Stage) -> Stage:
    """The stage with three items in its database."""
    with stage.uow.scope(stage.app) as session:
        session.add_all([Item(name=name) for name in NAMES])
    return stage


def load_all(session: Session) -> None:
    """Load all items, and refer to none of them."""
    session.scalars(select(Item).order_by(Item.id)).all()


def in_identity_map(session: Session) -> list[str]:
    """The names of the items that the session has, once nobody refers to those that it does not hold itself."""
    gc.collect()
    items: list[Any] = list(session.identity_map.values())
    return sorted(item.name for item in items)


def names(held: StrongIdentityMap | None) -> list[str]:
    assert held is not None
    return [item.name for item in held]


class TestWhatIsHeld:
    def test_stays_though_nobody_refers_to_it(self, shelf: Stage) -> None:
        with shelf.app.app_context():
            session = shelf.uow.registry(strong_identity_map=10)
            load_all(session)
            assert in_identity_map(session) == sorted(NAMES)
            assert session.strong_identity_map is not None
            assert len(session.strong_identity_map) == 3
            assert names(session.strong_identity_map) == NAMES

    def test_is_nothing_in_a_session_that_was_not_told_to(self, shelf: Stage) -> None:
        with shelf.app.app_context():
            load_all(shelf.uow.session)
            assert in_identity_map(shelf.uow.session) == []
            assert shelf.uow.session.strong_identity_map is None

    def test_is_every_object_in_all_sessions_of_an_app_that_says_so(
        self, database_url: str, make_stage: MakeStage
    ) -> None:
        stage = make_stage(database_url, UNITOFWORK_SESSION_OPTIONS={"strong_identity_map": 10})
        with stage.uow.scope(stage.app) as session:
            session.add_all([Item(name=name) for name in NAMES])

        @stage.app.get("/")
        def view() -> list[str]:
            load_all(stage.uow.session)
            return in_identity_map(stage.uow.session)

        assert stage.client.get("/").json == sorted(NAMES)

    def test_is_told_object_by_object(self, shelf: Stage) -> None:
        with shelf.app.app_context():
            session = shelf.uow.registry(strong_identity_map=10)
            tea = session.scalars(select(Item).filter_by(name="tea")).one()
            held = session.strong_identity_map
            assert held is not None
            assert tea in held
            assert Item(id=tea.id, name="tea") not in held
            assert repr(held) == "<StrongIdentityMap: 1 of at most 10 objects>"


class TestAnObjectComes:
    @pytest.fixture
    def session(self, shelf: Stage) -> Any:
        with shelf.app.app_context():
            yield shelf.uow.registry(strong_identity_map=10)

    def test_when_it_is_loaded(self, session: Session) -> None:
        load_all(session)
        assert names(session.strong_identity_map) == NAMES

    def test_when_it_is_flushed(self, session: Session) -> None:
        session.add(Item(name="rice"))
        assert names(session.strong_identity_map) == []
        session.flush()
        assert names(session.strong_identity_map) == ["rice"]

    def test_when_it_is_attached(self, session: Session) -> None:
        tea = session.scalars(select(Item).filter_by(name="tea")).one()
        session.expunge(tea)
        assert names(session.strong_identity_map) == []
        session.add(tea)
        assert names(session.strong_identity_map) == ["tea"]

    def test_when_it_is_merged_without_a_statement(self, session: Session) -> None:
        tea = session.scalars(select(Item).filter_by(name="tea")).one()
        session.expunge(tea)
        session.merge(tea, load=False)
        assert names(session.strong_identity_map) == ["tea"]

    def test_when_its_deletion_is_rolled_back(self, session: Session) -> None:
        tea = session.scalars(select(Item).filter_by(name="tea")).one()
        session.delete(tea)
        session.flush()
        assert names(session.strong_identity_map) == []
        session.rollback()
        assert names(session.strong_identity_map) == ["tea"]


class TestAnObjectGoes:
    @pytest.fixture
    def session(self, shelf: Stage) -> Any:
        with shelf.app.app_context():
            session = shelf.uow.registry(strong_identity_map=10)
            load_all(session)
            yield session

    def test_when_it_is_expunged(self, session: Session) -> None:
        session.expunge(session.scalars(select(Item).filter_by(name="tea")).one())
        assert names(session.strong_identity_map) == ["coffee", "salt"]

    @pytest.mark.parametrize("leave", [Session.expunge_all, Session.close, Session.reset, Session.invalidate])
    def test_with_all_others(self, session: Session, leave: Callable[[Session], None]) -> None:
        leave(session)
        assert names(session.strong_identity_map) == []
        assert in_identity_map(session) == []

    def test_when_its_deletion_is_flushed_and_does_not_come_back_with_the_commit(self, session: Session) -> None:
        session.delete(session.scalars(select(Item).filter_by(name="tea")).one())
        session.flush()
        assert names(session.strong_identity_map) == ["coffee", "salt"]
        session.commit()
        assert names(session.strong_identity_map) == ["coffee", "salt"]

    def test_when_its_insertion_is_rolled_back_and_the_others_stay(self, session: Session) -> None:
        session.add(Item(name="rice"))
        session.flush()
        assert names(session.strong_identity_map) == [*NAMES, "rice"]
        session.rollback()
        assert names(session.strong_identity_map) == NAMES

    def test_when_the_savepoint_of_its_insertion_is_rolled_back(self, session: Session) -> None:
        with session.begin_nested() as savepoint:
            session.add(Item(name="rice"))
            session.flush()
            savepoint.rollback()
        assert names(session.strong_identity_map) == NAMES

    def test_never_by_a_commit(self, session: Session) -> None:
        session.add(Item(name="rice"))
        session.commit()
        assert names(session.strong_identity_map) == [*NAMES, "rice"]


class TestTheLimit:
    @pytest.fixture
    def session(self, shelf: Stage) -> Any:
        with shelf.app.app_context():
            yield shelf.uow.registry(strong_identity_map=2)

    def test_lets_the_oldest_go_with_a_warning_that_comes_once(self, session: Session) -> None:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            load_all(session)
            for name in ["rice", "figs"]:
                session.add(Item(name=name))
                session.flush()
        assert names(session.strong_identity_map) == ["rice", "figs"]
        assert in_identity_map(session) == ["figs", "rice"]
        (warning,) = caught
        assert warning.category is IdentityMapLimitWarning
        assert str(warning.message) == (
            "A session holds on to 2 objects at most (strong_identity_map), and got one more: from now on it lets the"
            " oldest go. Raise the limit, or call session.strong_identity_map.prune() when a part of the work is done."
        )

    def test_loses_no_change_that_waits_to_be_written(self, session: Session, shelf: Stage) -> None:
        session.scalars(select(Item).filter_by(name="tea")).one().name = "green tea"
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", IdentityMapLimitWarning)
            load_all(session)
        gc.collect()
        session.commit()
        assert shelf.names() == ["green tea", "coffee", "salt"]

    def test_is_not_passed_by_as_many_objects(self, session: Session) -> None:
        session.scalars(select(Item).limit(2)).all()
        assert session.strong_identity_map is not None
        assert len(session.strong_identity_map) == session.strong_identity_map.limit == 2

    @pytest.mark.parametrize("limit", [0, -1, True, 2.5, "many"])
    def test_must_be_a_whole_number(self, limit: Any) -> None:
        with pytest.raises(ConfigurationError, match="strong_identity_map must be a whole number, 1 or more") as caught:
            Session(strong_identity_map=limit)
        assert repr(limit) in str(caught.value)

    def test_is_looked_at_when_the_app_is_made(self, sqlite_url: str, make_stage: MakeStage) -> None:
        with pytest.raises(ConfigurationError, match="strong_identity_map must be a whole number"):
            make_stage(sqlite_url, UNITOFWORK_SESSION_OPTIONS={"strong_identity_map": 0})


class TestPrune:
    def test_lets_go_of_what_has_no_changes_and_says_of_how_much(self, shelf: Stage) -> None:
        with shelf.app.app_context():
            session = shelf.uow.registry(strong_identity_map=10)
            load_all(session)
            tea = session.scalars(select(Item).filter_by(name="tea")).one()
            session.scalars(select(Item).filter_by(name="salt")).one().name = "sea salt"
            assert session.strong_identity_map is not None
            assert session.strong_identity_map.prune() == 2
            assert names(session.strong_identity_map) == ["sea salt"]
            assert in_identity_map(session) == ["sea salt", "tea"]  # one is referred to here
            assert tea in session

            session.flush()
            assert session.strong_identity_map.prune() == 1
            assert session.strong_identity_map.prune() == 0


class TestASessionThatWasNotToldTo:
    def test_has_no_listener_of_it(self, sqlite_stage: Stage) -> None:
        with sqlite_stage.app.app_context():
            held = sqlite_stage.uow.registry(strong_identity_map=10)
            assert event.contains(held, "loaded_as_persistent", held.strong_identity_map._hold)  # type: ignore[union-attr]
            with sqlite_stage.uow.scope() as other:
                assert not list(other.dispatch.loaded_as_persistent)

    def test_may_be_one_of_an_app_that_says_so(self, sqlite_url: str, make_stage: MakeStage) -> None:
        stage = make_stage(sqlite_url, UNITOFWORK_SESSION_OPTIONS={"strong_identity_map": 10})
        with stage.app.app_context():
            assert stage.uow.registry(strong_identity_map=None).strong_identity_map is None


def test_a_session_without_an_app_has_it_by_its_sessionmaker() -> None:
    with sessionmaker(class_=Session, strong_identity_map=5)() as session:
        assert session.strong_identity_map is not None
        assert session.strong_identity_map.limit == 5
