"""Readers and writers at the same time: whatever their order, nobody is told what is stale once the writer is done."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier, Event, Lock, current_thread, main_thread
from typing import Any

import pytest
from sqlalchemy import event, select

from flask_unitofwork.caching import FromCache
from tests.caching.conftest import MakeShop
from tests.caching.pausing import Between, region_with
from tests.caching.shop import Customer, Product, Shop, memory

PRODUCTS = select(Product.name).order_by(Product.id)
PATIENCE = 30


class Paused:
    """A reader in another thread that stops when the test says, and goes on when it says."""

    def __init__(self) -> None:
        self.stopped, self.goes_on = Event(), Event()
        self._once = Lock()

    def stop(self, *_: object) -> None:
        """Stop here, unless this is the test's own thread, or it was stopped before."""
        if current_thread() is main_thread() or not self._once.acquire(blocking=False):
            return
        self.stopped.set()
        assert self.goes_on.wait(PATIENCE)

    def while_it_reads(self, shop: Shop, do: Callable[[], Any]) -> None:
        """Let it read the names of products, and *do* something while it stops on its way."""
        with ThreadPoolExecutor(1) as threads:
            reading = threads.submit(shop.names)
            try:
                assert self.stopped.wait(PATIENCE)
                do()
            finally:
                self.goes_on.set()
            reading.result(PATIENCE)


@pytest.fixture
def between() -> Between:
    return Between()


@pytest.fixture
def backend() -> dict[str, Any]:
    """What the region has kept."""
    return {}


@pytest.fixture
def shop(database_url: str, make_shop: MakeShop, between: Between, backend: dict[str, Any]) -> Shop:
    return make_shop(database_url, region=region_with(between, backend))


class TestAReader:
    @pytest.mark.parametrize("stamped", [True, False])
    def test_that_read_before_a_commit_and_stores_after_it_leaves_nothing_stale(
        self, shop: Shop, between: Between, backend: dict[str, Any], stamped: bool
    ) -> None:
        if not stamped:
            backend.clear()
        paused = Paused()
        between.before_set = lambda keys: paused.stop() if any("result" in key for key in keys) else None
        paused.while_it_reads(shop, shop.rename)
        assert shop.names()[0] == "green tea"

    @pytest.mark.parametrize("stamped", [True, False])
    def test_that_is_overtaken_before_it_asks_the_database_leaves_nothing_stale(
        self, shop: Shop, between: Between, backend: dict[str, Any], stamped: bool
    ) -> None:
        if not stamped:
            backend.clear()
        paused = Paused()
        between.after_get = lambda keys: paused.stop() if any("table" in key for key in keys) else None
        paused.while_it_reads(shop, shop.rename)
        assert shop.names()[0] == "green tea"

    def test_that_stamps_a_table_late_leaves_nothing_stale(
        self, shop: Shop, between: Between, backend: dict[str, Any]
    ) -> None:
        """It has found a table without a stamp, and a writer gives it one before the reader does."""
        backend.clear()
        paused = Paused()
        between.before_set = lambda keys: paused.stop() if any("table" in key for key in keys) else None
        paused.while_it_reads(shop, shop.rename)
        assert shop.names()[0] == "green tea"
        shop.rename("white tea")
        assert shop.names()[0] == "white tea"

    def test_that_finds_a_stamp_gone_believes_nothing_that_was_kept(self, shop: Shop, backend: dict[str, Any]) -> None:
        shop.names()
        kept = {key: value for key, value in backend.items() if "result" in key}
        shop.rename()
        backend.clear()
        backend.update(kept)
        assert shop.names()[0] == "green tea"


class TestProcesses:
    """Apps in one process with one backend are to one another like processes."""

    def test_that_share_a_backend_agree_on_what_is_stale(self, shared_url: str, make_shop: MakeShop) -> None:
        region = memory()
        here, there = (make_shop(shared_url, region=region, create=create) for create in (True, False))
        here.names()
        assert not there.asks(PRODUCTS)
        there.rename()
        assert here.names() == there.names() == ["green tea", "coffee", "salt"]

    def test_with_other_databases_have_nothing_to_do_with_one_another(
        self, sqlite_url: str, another_sqlite: str, make_shop: MakeShop
    ) -> None:
        region = memory()
        here, there = make_shop(sqlite_url, region=region), make_shop(another_sqlite, region=region)
        there.rename("rice")
        assert here.names()[0] == "tea"
        assert there.names()[0] == "rice"

    def test_with_in_memory_databases_have_nothing_to_do_with_one_another(self, make_shop: MakeShop) -> None:
        region = memory()
        here, there = make_shop("sqlite://", region=region), make_shop("sqlite://", region=region)
        there.rename("rice")
        assert here.names()[0] == "tea"
        assert there.names()[0] == "rice"

    def test_agree_on_a_namespace_whatever_they_call_the_database(self, sqlite_url: str, make_shop: MakeShop) -> None:
        region = memory()
        another = sqlite_url.replace("sqlite:///", "sqlite:////.")
        here = make_shop(sqlite_url, region=region, UNITOFWORK_CACHE_NAMESPACE="shop")
        there = make_shop(another, region=region, create=False, UNITOFWORK_CACHE_NAMESPACE="shop")
        here.names()
        assert not there.asks(PRODUCTS)
        there.rename()
        assert here.names()[0] == "green tea"


@pytest.fixture
def another_sqlite(tmp_path: Any) -> str:
    return f"sqlite:///{tmp_path}/another.db"


class TestATransactionWithASnapshot:
    """It may see what was there before a commit whose stamps it has read."""

    @pytest.mark.parametrize("cached_first", [True, False])
    def test_keeps_nothing_that_is_older_than_the_stamps(
        self, shared_url: str, make_shop: MakeShop, cached_first: bool
    ) -> None:
        self.read_before_and_after(make_shop(shared_url), cached_first=cached_first)

    @pytest.mark.parametrize("cached_first", [True, False])
    def test_keeps_nothing_that_is_older_than_the_stamps_on_postgresql_either(
        self, postgresql_url: str, make_shop: MakeShop, cached_first: bool
    ) -> None:
        shop = make_shop(postgresql_url, UNITOFWORK_ENGINE_OPTIONS={"isolation_level": "REPEATABLE READ"})
        self.read_before_and_after(shop, cached_first=cached_first)

    def read_before_and_after(self, shop: Shop, *, cached_first: bool) -> None:
        with shop.app.app_context():
            session = shop.uow.session
            first = select(Customer.name)
            session.scalars(first.options(FromCache()) if cached_first else first).all()
            with ThreadPoolExecutor(1) as threads:
                threads.submit(shop.rename).result(PATIENCE)
            session.scalars(PRODUCTS.options(FromCache())).all()
            session.rollback()
        assert shop.names()[0] == "green tea"

    def test_keeps_what_it_reads_later_if_what_it_read_first_is_cached(self, shop: Shop) -> None:
        for statement in (select(Customer.name), PRODUCTS):
            shop.get(statement)
        with shop.app.app_context():
            shop.uow.invalidate_tables()
        with shop.uow.scope(shop.app) as session:
            for statement in (select(Customer.name), PRODUCTS):
                session.scalars(statement.options(FromCache())).all()
        assert not shop.asks(PRODUCTS)

    def test_keeps_nothing_where_it_has_read_something_else_before(self, sqlite_url: str, make_shop: MakeShop) -> None:
        shop = make_shop(sqlite_url)
        with shop.uow.scope(shop.app) as session:
            session.scalars(select(Customer.name)).all()
            session.scalars(PRODUCTS.options(FromCache())).all()
        assert shop.asks(PRODUCTS)

    def test_keeps_what_it_reads_first(self, shop: Shop) -> None:
        with shop.app.app_context():
            shop.uow.session.scalars(PRODUCTS.options(FromCache())).all()
        assert not shop.asks(PRODUCTS)

    def test_keeps_what_it_reads_later_where_each_statement_sees_the_latest(
        self, postgresql_url: str, make_shop: MakeShop
    ) -> None:
        shop = make_shop(postgresql_url)
        with shop.app.app_context():
            shop.uow.session.scalars(select(Customer.name)).all()
            shop.uow.session.scalars(PRODUCTS.options(FromCache())).all()
        assert not shop.asks(PRODUCTS)

    @pytest.mark.parametrize("block", ["transaction", "read_only"])
    def test_that_asks_for_an_isolation_level_asks_the_database(self, shop: Shop, block: str) -> None:
        shop.names()
        shop.forget()
        for options, statements in (({}, 0), ({"isolation_level": "SERIALIZABLE"}, 1)):
            with shop.app.app_context(), getattr(shop.uow, block)(**options):
                shop.uow.session.scalars(PRODUCTS.options(FromCache())).all()
            assert len(shop.sent) == statements


class TestManyReaders:
    def test_ask_the_database_once(self, shared_url: str, make_shop: MakeShop) -> None:
        count = 4
        shop = make_shop(shared_url, UNITOFWORK_ENGINE_OPTIONS={"pool_size": 1, "max_overflow": 0})
        shop.forget()
        together = Barrier(count)

        def read() -> Any:
            together.wait(PATIENCE)
            with shop.uow.scope(shop.app, reads="autocommit") as session:
                return session.scalars(PRODUCTS.options(FromCache())).all()

        with ThreadPoolExecutor(count) as threads:
            readers = [threads.submit(read) for _ in range(count)]
            assert [reader.result(PATIENCE) for reader in readers] == [["tea", "coffee", "salt"]] * count
        assert len(shop.sent) == 1

    def test_that_wait_hold_no_connection_that_is_wanted(self, shared_url: str, make_shop: MakeShop) -> None:
        """There is one connection. One reader is about to ask for it, and another has it, at rest, and waits for the first."""
        between, turns = Between(), Lock()
        shop = make_shop(
            shared_url,
            region=region_with(between),
            UNITOFWORK_ENGINE_OPTIONS={"pool_size": 1, "max_overflow": 0, "pool_timeout": PATIENCE / 6},
        )
        loads, waits = Event(), Event()

        def note(keys: list[str]) -> None:
            """The first reader looks twice: before it is alone, and then. What comes after that is the second."""
            if "result" not in keys[0]:
                return
            with turns:
                looked.append(keys[0])
                turn = len(looked)
            if turn == 2:
                loads.set()
                assert waits.wait(PATIENCE)
            elif turn == 3:
                waits.set()

        looked: list[str] = []
        between.after_get = note

        def read() -> Any:
            with shop.uow.scope(shop.app, reads="autocommit") as session:
                return session.scalars(PRODUCTS.options(FromCache())).all()

        with ThreadPoolExecutor(1) as threads, shop.uow.scope(shop.app, reads="autocommit") as session:
            session.scalars(select(Customer.name)).all()
            first = threads.submit(read)
            assert loads.wait(PATIENCE)
            assert session.scalars(PRODUCTS.options(FromCache())).all() == ["tea", "coffee", "salt"]
            assert first.result(PATIENCE) == ["tea", "coffee", "salt"]

    def test_wait_for_nobody_in_a_transaction_whose_connection_another_may_want(
        self, postgresql_url: str, make_shop: MakeShop
    ) -> None:
        """The only connection is that transaction's, and who loads the result waits for it."""
        shop = make_shop(
            postgresql_url,
            UNITOFWORK_ENGINE_OPTIONS={"pool_size": 1, "max_overflow": 0},
            UNITOFWORK_POOL_TIMEOUT=PATIENCE,
        )
        loads = Event()
        engine = shop.engine()

        def read() -> Any:
            with shop.uow.scope(shop.app, reads="autocommit") as session:
                event.listen(session, "after_transaction_create", lambda *_: loads.set())
                return session.scalars(PRODUCTS.options(FromCache())).all()

        with ThreadPoolExecutor(1) as threads:
            with shop.uow.scope(shop.app) as session:
                session.scalars(select(Customer.name)).all()
                reader = threads.submit(read)
                assert loads.wait(PATIENCE)
                assert session.scalars(PRODUCTS.options(FromCache())).all() == ["tea", "coffee", "salt"]
            assert reader.result(PATIENCE) == ["tea", "coffee", "salt"]
        assert engine.pool.checkedout() == 0  # type: ignore[attr-defined]
