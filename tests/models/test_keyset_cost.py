"""A page by key costs what the first page costs, however far it is: the database reads no rows to skip them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import pytest
from sqlalchemy import ColumnElement, Engine, Index, create_engine, event, insert, select, text
from sqlalchemy.orm import Session

from flask_unitofwork.models import paginate, paginate_by_key
from tests.models.library import Base, Reading
from tests.servers.postgresql import PostgreSQL

ROWS: Final = 6000
PER_PAGE: Final = 20
FAR: Final = 4000

INDEXES: Final = (
    (Reading.number, Reading.id),
    (Reading.rank, Reading.shelf, Reading.id),
    (Reading.rank, Reading.shelf.desc(), Reading.id.desc()),
)

ORDERS: Final[dict[str, list[ColumnElement[Any]]]] = {
    "primary key": [],
    "two columns": [Reading.rank.asc(), Reading.shelf.asc()],
    "two columns, backwards": [Reading.rank.desc(), Reading.shelf.desc()],
    "mixed directions": [Reading.rank.asc(), Reading.shelf.desc()],
    "nullable": [Reading.number.asc()],
    "nullable, backwards": [Reading.number.desc()],
    "nulls first": [Reading.number.asc().nulls_first()],
    "nulls last": [Reading.number.asc().nulls_last()],
    "nulls last, backwards": [Reading.number.desc().nulls_last()],
    "nulls first, backwards": [Reading.number.desc().nulls_first()],
}
every_order = pytest.mark.parametrize("order", ORDERS.values(), ids=ORDERS.keys())


def filled(url: str) -> Engine:
    engine = create_engine(url)
    Base.metadata.create_all(engine)
    rows = [
        # A quarter is NULL. Of each rank there are fewer rows than a page has.
        {"id": n, "number": None if n % 4 == 0 else n * 7 % ROWS, "rank": n // 10, "shelf": n % 10}
        for n in range(1, ROWS + 1)
    ]
    with engine.begin() as connection:
        connection.execute(insert(Reading), rows)
        for number, columns in enumerate(INDEXES):
            index = Index(f"readings_{number}", *columns)
            index.create(connection)
            Reading.__table__.indexes.discard(index)  # type: ignore[attr-defined]  # the model stays as it was
        connection.execute(text("ANALYZE"))
    return engine


@pytest.fixture
def sqlite(sqlite_url: str) -> Iterator[Engine]:
    engine = filled(sqlite_url)
    yield engine
    engine.dispose()


@pytest.fixture(scope="module")
def postgresql(postgresql_server: PostgreSQL) -> Iterator[Engine]:
    url = postgresql_server.borrow()
    engine = filled(url.render_as_string(hide_password=False))
    yield engine
    engine.dispose()
    postgresql_server.give_back(url)


def far_bookmark(session: Session, order: list[ColumnElement[Any]], position: int = FAR) -> str:
    """The bookmark of the row at a position."""
    page = paginate_by_key(session, select(Reading).order_by(*order), per_page=position, max_per_page=None)
    assert page.next is not None
    return page.next


class Steps:
    """Counts the steps of SQLite's virtual machine."""

    def __init__(self, session: Session) -> None:
        self._count = 0
        driver: Any = session.connection().connection.dbapi_connection
        driver.set_progress_handler(self._step, 1)

    def _step(self) -> int:
        self._count += 1
        return 0

    def since_last_asked(self) -> int:
        count, self._count = self._count, 0
        return count


@every_order
def test_on_sqlite_a_far_page_costs_what_the_first_costs(sqlite: Engine, order: list[ColumnElement[Any]]) -> None:
    statement = select(Reading).order_by(*order)
    with Session(sqlite) as session:
        bookmark = far_bookmark(session, order)
        steps = Steps(session)

        paginate_by_key(session, statement, per_page=PER_PAGE)
        first = steps.since_last_asked()
        paginate_by_key(session, statement, per_page=PER_PAGE, after=bookmark)
        forward = steps.since_last_asked()
        paginate_by_key(session, statement, per_page=PER_PAGE, before=bookmark)
        backward = steps.since_last_asked()
        paginate(session, statement, page=FAR // PER_PAGE, per_page=PER_PAGE, count=False)
        by_number = steps.since_last_asked()

    assert max(forward, backward) < 2 * first
    assert by_number > 5 * first


def rows_read(plan: dict[str, Any]) -> int:
    """How many rows a plan's scans read, those that a filter threw away included."""
    below = sum(rows_read(part) for part in plan.get("Plans", ()))
    if "Scan" not in plan["Node Type"]:
        return below
    thrown_away = plan.get("Rows Removed by Filter", 0) + plan.get("Rows Removed by Index Recheck", 0)
    return below + int((plan["Actual Rows"] + thrown_away) * plan["Actual Loops"])


@every_order
@pytest.mark.parametrize("direction", ["after", "before"])
@pytest.mark.parametrize("position", [FAR, 5500], ids=["amid", "near the end"])
def test_on_postgresql_no_row_is_read_to_be_skipped(
    postgresql: Engine, order: list[ColumnElement[Any]], direction: str, position: int
) -> None:
    sent: list[tuple[str, Any]] = []

    def note(*args: Any) -> None:
        sent.append((args[2], args[3]))

    with Session(postgresql) as session:
        bookmark = far_bookmark(session, order, position)
        event.listen(postgresql, "before_cursor_execute", note)
        page = (
            paginate_by_key(session, select(Reading).order_by(*order), per_page=PER_PAGE, after=bookmark)
            if direction == "after"
            else paginate_by_key(session, select(Reading).order_by(*order), per_page=PER_PAGE, before=bookmark)
        )
        event.remove(postgresql, "before_cursor_execute", note)
        read = 0
        for statement, parameters in sent:
            explained = session.connection().exec_driver_sql(f"EXPLAIN (ANALYZE, FORMAT JSON) {statement}", parameters)
            read += rows_read(explained.scalar_one()[0]["Plan"])

    assert len(page.items) == PER_PAGE
    # One row more, and of the first column's equals (ten to a rank) those before the bookmark.
    assert read <= PER_PAGE + 1 + 10
