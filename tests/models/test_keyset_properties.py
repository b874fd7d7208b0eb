"""Whatever the rows and the order: all pages together are all rows, each once, in order, in both directions."""

from __future__ import annotations

import uuid
from datetime import date, datetime, time
from decimal import Decimal
from itertools import product
from typing import Any, Final, NamedTuple

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import ColumnElement, Engine, Select, UnaryExpression, case, select
from sqlalchemy.orm import InstrumentedAttribute, Session

from tests.models.library import Mood, Reading
from tests.models.walking import walk


class OrderedBy(NamedTuple):
    """One column of an order."""

    attribute: InstrumentedAttribute[Any]
    descending: bool
    nulls_first: bool | None

    def clause(self) -> UnaryExpression[Any]:
        """As an app writes it."""
        clause: UnaryExpression[Any] = self.attribute.desc() if self.descending else self.attribute.asc()
        if self.nulls_first is None:
            return clause
        return clause.nulls_first() if self.nulls_first else clause.nulls_last()

    def plain_clauses(self) -> list[ColumnElement[Any]]:
        """The same in words that every database knows."""
        clause = self.attribute.desc() if self.descending else self.attribute.asc()
        if self.nulls_first is None:
            return [clause]
        return [case((self.attribute.is_(None), int(not self.nulls_first)), else_=int(self.nulls_first)), clause]


LEAP_DAY: Final = datetime(2024, 2, 29, 12)  # noqa: DTZ001  a column without time zone
OLD_YEARS_EVE: Final = datetime(1999, 12, 31, 23, 59, 59)  # noqa: DTZ001  the same

# Few values of each kind, so that many rows are alike; those that are easily lost on the way among them.
VALUES: Final[dict[InstrumentedAttribute[Any], st.SearchStrategy[Any]]] = {
    Reading.number: st.integers(-2, 2) | st.just(2**31 - 1),
    Reading.name: st.text("aAbBé '\\%", max_size=2),
    Reading.price: st.sampled_from([Decimal("0.10"), Decimal("0.1"), Decimal("1.15"), Decimal("-3.33")]),
    Reading.weight: st.sampled_from([0.1, 0.2, 1 / 3, 16777216.0, 123456.789, -0.1]),
    Reading.at: st.sampled_from([LEAP_DAY, OLD_YEARS_EVE]),
    Reading.day: st.dates(date(2024, 2, 28), date(2024, 3, 1)),
    Reading.hour: st.sampled_from([time(0, 0), time(23, 59, 59)]),
    Reading.flag: st.booleans(),
    Reading.token: st.sampled_from([uuid.UUID(int=0), uuid.UUID(int=2**127), uuid.UUID(int=2**128 - 1)]),
    Reading.mood: st.sampled_from(Mood),
    Reading.blob: st.binary(max_size=2),
}
REQUIRED: Final = (Reading.rank, Reading.shelf)
SAMPLES: Final[dict[str, list[Any]]] = {
    "number": [None, -1, 0, 2**31 - 1],
    "name": [None, "", "a", "B", "é", "it's 100 %"],
    "price": [None, Decimal("-3.33"), Decimal("0.10"), Decimal("1.15")],
    "weight": [None, -0.1, 0.1, 0.2, 1 / 3, 123456.789, 123456.7],
    "at": [None, OLD_YEARS_EVE, LEAP_DAY],
    "day": [None, date(1999, 12, 31), date(2024, 2, 29)],
    "hour": [None, time(0, 0), time(23, 59, 59)],
    "flag": [None, True, False],
    "token": [None, uuid.UUID(int=0), uuid.UUID(int=2**127), uuid.UUID(int=2**128 - 1)],
    "mood": [None, *Mood],
    "blob": [None, b"", b"\0", b"\xff\n"],
    "rank": [0, 1, 2],
    "shelf": [0, 1, 2],
}


def a_row() -> st.SearchStrategy[dict[str, Any]]:
    nullable = {attribute.key: st.none() | values for attribute, values in VALUES.items()}
    return st.fixed_dictionaries({**nullable, **{attribute.key: st.integers(0, 2) for attribute in REQUIRED}})


def an_order() -> st.SearchStrategy[list[OrderedBy]]:
    column = st.builds(
        OrderedBy, st.sampled_from([*VALUES, *REQUIRED]), st.booleans(), st.sampled_from([None, None, True, False])
    )
    return st.lists(column, max_size=3, unique_by=lambda one: one.attribute.key)


@pytest.mark.usefixtures("engine")
@given(rows=st.lists(a_row(), max_size=12), order=an_order(), per_page=st.integers(1, 4))
@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
def test_all_pages_together_are_all_rows_in_order(
    engine: Engine, rows: list[dict[str, Any]], order: list[OrderedBy], per_page: int
) -> None:
    with Session(engine) as session:
        session.add_all(Reading(id=number, **row) for number, row in enumerate(rows, start=1))
        session.flush()
        session.expunge_all()
        tie_breaker = Reading.id.desc() if order and order[-1].descending else Reading.id.asc()
        plain = [clause for one in order for clause in one.plain_clauses()]
        expected = list(session.scalars(select(Reading.id).order_by(*plain, tie_breaker)))
        statement: Select[Reading] = select(Reading).order_by(*(one.clause() for one in order))

        forth, back = walk(session, statement, per_page)

        assert [reading.id for reading in forth] == expected
        assert [reading.id for reading in back] == expected


@pytest.mark.parametrize("attribute", [*VALUES, *REQUIRED], ids=lambda attribute: attribute.key)
def test_every_kind_of_column_can_be_ordered_by(session: Session, attribute: InstrumentedAttribute[Any]) -> None:
    required = {one.key: 1 for one in REQUIRED}
    for values in [SAMPLES[attribute.key]] * 2:
        session.add_all(Reading(**{**required, attribute.key: value}) for value in values)
    session.flush()

    for descending, nulls_first in product([False, True], [None, True, False]):
        ordered = OrderedBy(attribute, descending, nulls_first)
        tie_breaker = Reading.id.desc() if descending else Reading.id.asc()
        expected = list(session.scalars(select(Reading).order_by(*ordered.plain_clauses(), tie_breaker)))
        for per_page in (1, 3):
            assert walk(session, select(Reading).order_by(ordered.clause()), per_page) == (expected, expected)
