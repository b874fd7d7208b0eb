"""Commits in two phases invalidate when they are done, and what is recovered later does, too."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from sqlalchemy import select

from flask_unitofwork import UnknownCommitError
from flask_unitofwork.caching import FromCache
from flask_unitofwork.database import two_phase
from tests.caching.shop import memory
from tests.conftest import Outside
from tests.servers.wire import Cut, Wire
from tests.two_phase.conftest import urls
from tests.two_phase.ledger import Booking, Ledger, Trace
from tests.two_phase.wired import COMMIT, through

__all__ = ["urls"]

TRACES = select(Trace.name).order_by(Trace.id).options(FromCache())
BOOKINGS = select(Booking.name).order_by(Booking.id).options(FromCache())


class Cached:
    """Ledgers of one cache: one that reads past the wires, and one that writes through them."""

    def __init__(self, urls: dict[str, str], outside: Outside) -> None:
        region = memory()
        self.wires = {bind: Wire(url) for bind, url in urls.items()}
        config: dict[str, Any] = {
            "UNITOFWORK_CACHE_REGIONS": {"default": region},
            "UNITOFWORK_CACHE_NAMESPACE": "ledger",
        }
        self.ledger = Ledger(urls, outside, **config)
        self._wired = Ledger(through(self.wires), outside, **config)

    def seen(self) -> tuple[Any, Any]:
        """The bookings and the traces that a reader sees."""
        with self.ledger.uow.scope(self.ledger.app, reads="autocommit") as session:
            return session.scalars(BOOKINGS).all(), session.scalars(TRACES).all()

    def book(self, name: str) -> None:
        with self._wired.uow.scope(self._wired.app):
            self._wired.book(name)

    def close(self) -> None:
        for wire in self.wires.values():
            wire.allow()
        self._wired.close()
        self.ledger.close()
        for wire in self.wires.values():
            wire.close()


@pytest.fixture
def cached(urls: dict[str, str], outside: Outside, monkeypatch: pytest.MonkeyPatch) -> Iterator[Cached]:
    monkeypatch.setattr(two_phase, "PATIENCE_SECONDS", 2.0)
    cached = Cached(urls, outside)
    yield cached
    cached.close()


def test_a_commit_counts_in_each_database(cached: Cached) -> None:
    assert cached.seen() == ([], [])
    cached.book("rent")
    assert cached.seen() == (["rent"], ["rent"])


def test_a_rollback_counts_for_nothing(cached: Cached) -> None:
    cached.seen()
    uow = cached.ledger.uow
    with pytest.raises(ZeroDivisionError), uow.scope(cached.ledger.app):
        cached.ledger.book("rent")
        uow.session.flush()
        raise ZeroDivisionError
    assert cached.seen() == ([], [])


def test_one_that_was_prepared_by_hand_counts(cached: Cached) -> None:
    cached.seen()
    with cached.ledger.app.app_context():
        cached.ledger.book("rent")
        session = cached.ledger.uow.session
        session.prepare()
        assert cached.seen() == ([], [])
        session.commit()
    assert cached.seen() == (["rent"], ["rent"])


@pytest.mark.parametrize("cut", [Cut.BEFORE, Cut.AFTER])
def test_what_is_left_prepared_counts_when_it_is_recovered(
    cached: Cached, cut: Cut, urls: dict[str, str], retried: Callable[..., Any]
) -> None:
    cached.seen()
    wire = cached.wires["default"]
    wire.when_sent(COMMIT[wire.url.get_backend_name()], cut, then=wire.refuse)
    with pytest.raises(UnknownCommitError):
        cached.book("rent")
    cached.seen()
    retried(cached.ledger.app)
    committed = ["rent"] if cut is Cut.AFTER else []
    assert cached.seen() == (committed, committed)


@pytest.fixture
def retried() -> Callable[..., Any]:
    """Runs `flask uow recover` until it has finished everything."""
    from tenacity import Retrying, retry_if_result, stop_after_delay, wait_fixed

    def recover(app: Any) -> Any:
        run = app.test_cli_runner().invoke
        retrying = Retrying(
            retry=retry_if_result(lambda result: result.exit_code != 0), stop=stop_after_delay(60), wait=wait_fixed(0.1)
        )
        return retrying(lambda: run(args=["uow", "recover", "--older-than", "0"]))

    return recover
