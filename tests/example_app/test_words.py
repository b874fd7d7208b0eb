"""How amounts and moments are written, and kept."""

from __future__ import annotations

import doctest
from datetime import UTC, datetime, timedelta, timezone
from types import ModuleType

import pytest
from flask import Flask
from sqlalchemy import select
from sqlalchemy.exc import StatementError

from example_app import clock, money
from example_app.extensions import uow
from example_app.models import AuditEntry


@pytest.mark.parametrize("module", [clock, money], ids=lambda module: module.__name__)
def test_the_examples_in_the_docstrings_hold(module: ModuleType) -> None:
    assert doctest.testmod(module).failed == 0


@pytest.mark.parametrize(
    ("cents", "written"), [(0, "€ 0.00"), (5, "€ 0.05"), (99_999, "€ 999.99"), (100_000_00, "€ 100,000.00")]
)
def test_amounts_are_written_with_two_places(cents: int, written: str) -> None:
    assert money.price(cents) == written


def test_a_moment_comes_back_in_utc_from_every_database(shop: Flask) -> None:
    at = datetime(2026, 3, 1, 1, 30, tzinfo=timezone(timedelta(hours=2)))
    with uow.scope(shop):
        uow.session.add(AuditEntry(at=at, action="tested", detail=""))
    with uow.scope(shop):
        kept = uow.session.scalars(select(AuditEntry.at).where(AuditEntry.action == "tested")).one()
    assert (kept, kept.tzinfo) == (at, UTC)


def test_a_moment_without_a_time_zone_is_refused(shop: Flask) -> None:
    with pytest.raises(StatementError, match="a moment needs a time zone"), uow.scope(shop):
        uow.session.add(AuditEntry(at=datetime(2026, 3, 1), action="tested", detail=""))  # noqa: DTZ001 - the mistake
