"""Pages by key: what selects they take, and what a page says of its neighbours."""

from __future__ import annotations

import pytest
from sqlalchemy import (
    ARRAY,
    Column,
    Integer,
    MetaData,
    Row,
    Select,
    String,
    Table,
    column,
    create_engine,
    func,
    literal,
    select,
    text,
    union,
    values,
)
from sqlalchemy.orm import Session, aliased, contains_eager, joinedload
from sqlalchemy.pool import NullPool

from flask_unitofwork import PaginationError
from flask_unitofwork.models import paginate_by_key
from tests.models.conftest import Statements
from tests.models.library import Author, Base, Book
from tests.models.walking import walk


@pytest.fixture
def session(session: Session) -> Session:
    """Five authors; the first of them has five books, the second four, the last one."""
    for number in range(1, 6):
        author = Author(name=f"author {number % 2}", email=f"{number}@example.org", born=None if number == 3 else 1900)
        author.books = [Book(title=f"title {book % 3}") for book in range(6 - number)]
        session.add(author)
        session.flush()
    session.expunge_all()
    return session


def in_full(session: Session, statement: Select[Author]) -> list[Author]:
    return list(session.scalars(statement))


@pytest.mark.parametrize("per_page", [1, 2, 5, 6])
def test_pages_follow_one_another_forth_and_back(session: Session, per_page: int) -> None:
    expected = in_full(session, select(Author).order_by(Author.name, Author.id))

    assert walk(session, select(Author).order_by(Author.name), per_page) == (expected, expected)


def test_without_an_order_the_primary_key_is_the_order(session: Session) -> None:
    assert [author.id for author in walk(session, select(Author), 2)[0]] == [1, 2, 3, 4, 5]


def test_the_primary_key_goes_the_way_of_the_last_column(session: Session) -> None:
    newest_first = walk(session, select(Author).order_by(Author.name.desc()), 2)[0]

    assert [author.id for author in newest_first] == [5, 3, 1, 4, 2]


def test_a_unique_column_is_order_enough(session: Session, statements: Statements) -> None:
    tags = Table(
        "tags",
        MetaData(),
        Column("id", Integer, primary_key=True),
        Column("name", String(9), unique=True, nullable=False),
    )
    tags.create(session.connection())
    del statements[:]
    paginate_by_key(session, select(tags).order_by(tags.c.name.desc()))
    paginate_by_key(session, select(Author).order_by(Author.email))
    paginate_by_key(session, select(Author).order_by(Author.id))

    assert [sent.split("ORDER BY")[1].split("LIMIT")[0].strip() for sent in statements if "ORDER BY" in sent] == [
        "tags.name DESC",
        "authors.email ASC, authors.id ASC",  # there may be several without one
        "authors.id ASC",
    ]


def test_a_page_knows_its_neighbours(session: Session) -> None:
    first = paginate_by_key(session, select(Author), per_page=2)
    assert (first.has_prev, first.has_next) == (False, True)
    middle = paginate_by_key(session, select(Author), per_page=2, after=first.next)
    assert (middle.has_prev, middle.has_next) == (True, True)
    last = paginate_by_key(session, select(Author), per_page=2, after=middle.next)
    assert (last.has_prev, last.has_next) == (True, False)
    assert list(paginate_by_key(session, select(Author), per_page=2, before=last.previous)) == middle.items


def test_no_rows_are_a_page_without_neighbours(session: Session) -> None:
    page = paginate_by_key(session, select(Author).where(Author.id < 0))

    assert (page.items, page.next, page.previous) == ([], None, None)


def test_rows_that_come_and_go_do_not_shift_the_next_page(session: Session) -> None:
    first = paginate_by_key(session, select(Book), per_page=2)
    session.delete(session.get_one(Book, 1))
    session.add(Book(id=-1, title="newcomer", author_id=1))
    session.flush()

    assert [book.id for book in paginate_by_key(session, select(Book), per_page=2, after=first.next)] == [3, 4]


def test_there_is_a_way_back_from_a_page_whose_rows_are_gone(session: Session) -> None:
    first = paginate_by_key(session, select(Book), per_page=8)
    for book in session.scalars(select(Book).where(Book.id > 8)):
        session.delete(book)

    gone = paginate_by_key(session, select(Book), per_page=8, after=first.next)
    assert (gone.items, gone.next) == ([], None)
    last = paginate_by_key(session, select(Book), per_page=8, before=gone.previous)
    assert last.items == first.items
    assert (last.next, last.previous) == (None, None)


def test_there_is_a_way_on_from_a_page_whose_rows_are_gone(session: Session) -> None:
    first = paginate_by_key(session, select(Book), per_page=8)
    second = paginate_by_key(session, select(Book), per_page=8, after=first.next)
    for book in first:
        session.delete(book)

    gone = paginate_by_key(session, select(Book), per_page=8, before=second.previous)
    assert (gone.items, gone.previous) == ([], None)
    assert paginate_by_key(session, select(Book), per_page=8, after=gone.next).items == second.items


def test_several_columns_are_rows_with_their_names(session: Session) -> None:
    forth, back = walk(session, select(Book.title, Book.author_id.label("by")).order_by(Book.title.desc()), 4)

    assert forth == back
    assert len(forth) == 15
    assert all(isinstance(row, Row) and row._fields == ("title", "by") for row in forth)


def test_a_single_column_is_its_values(session: Session) -> None:
    assert walk(session, select(Author.email).order_by(Author.email.desc()), 2)[0] == [
        f"{number}@example.org" for number in (5, 4, 3, 2, 1)
    ]


def test_a_table_is_rows(session: Session) -> None:
    table = Base.metadata.tables["authors"]

    assert [row.id for row in walk(session, select(table).order_by(table.c.name.desc()), 2)[0]] == [5, 3, 1, 4, 2]


def test_expressions_and_labels_can_be_ordered_by(session: Session) -> None:
    length = func.length(Author.name + Author.email).label("length")
    statement = select(Author, length).order_by(length.desc(), func.lower(Author.email))

    forth, back = walk(session, statement, 2)
    assert forth == back == session.execute(statement).all()


def test_joined_collections_are_loaded_whole(session: Session) -> None:
    statement = select(Author).options(joinedload(Author.books)).order_by(Author.born, Author.name)

    forth, back = walk(session, statement, 2)
    assert forth == back
    assert sorted(len(author.books) for author in forth) == [1, 2, 3, 4, 5]


def test_a_join_that_repeats_rows_loses_none(session: Session) -> None:
    statement = select(Author).join(Author.books).order_by(Author.name)

    forth, back = walk(session, statement, 2)
    assert forth == back
    assert sorted(author.id for author in forth) == [1] * 5 + [2] * 4 + [3] * 3 + [4] * 2 + [5]


def test_columns_that_an_outer_join_leaves_empty_can_be_ordered_by(session: Session) -> None:
    session.add(Author(name="no books"))
    statement = select(Author, Book.title).outerjoin(Author.books).order_by(Book.title.desc(), Author.id)

    forth, back = walk(session, statement, 3)
    assert forth == back
    assert len(forth) == 16
    assert [row.title for row in forth] == [row.title for row in session.execute(statement)]


def test_two_aliases_of_one_table_are_two_tables(session: Session) -> None:
    one, other = aliased(Author), aliased(Author)
    statement = select(one.id, other.id.label("other")).join(other, one.name == other.name).order_by(one.id)

    forth, back = walk(session, statement, 2)
    assert forth == back
    assert len(set(forth)) == 3 * 3 + 2 * 2


@pytest.mark.parametrize("name", [None, "writer"])
def test_an_alias_is_continued_by_its_own_columns(session: Session, name: str | None) -> None:
    writer = aliased(Author, name=name)
    statement = select(writer).join(writer.books).options(contains_eager(writer.books)).where(Book.title == "title 0")

    assert len(walk(session, statement.order_by(writer.name), 2)[0]) == 7


def test_groups_are_continued_by_their_totals(session: Session) -> None:
    books = func.count(Book.id)
    statement = (
        select(Author.name, books.label("books")).join(Author.books).group_by(Author.name).order_by(books.desc())
    )

    assert walk(session, statement, 1) == ([("author 1", 9), ("author 0", 6)],) * 2


def test_distinct_columns_are_continued_by_themselves(session: Session) -> None:
    assert walk(session, select(Book.title).distinct(), 2)[0] == ["title 0", "title 1", "title 2"]


def test_distinct_objects_are_continued_by_their_keys(session: Session) -> None:
    statement = select(Author).join(Author.books).distinct().order_by(Author.name)

    assert [author.id for author in walk(session, statement, 2)[0]] == [2, 4, 1, 3, 5]


def test_rows_that_nothing_tells_apart_are_refused_rather_than_lost(session: Session) -> None:
    titles = select(Book.title).subquery()

    with pytest.raises(PaginationError, match=r"'title 0'.* a page ends between them.*column that is unique"):
        paginate_by_key(session, select(titles.c.title).order_by(titles.c.title), per_page=1)


def test_a_select_without_any_order_is_refused(session: Session) -> None:
    with pytest.raises(PaginationError, match=r"no order that could be continued.*\.order_by"):
        paginate_by_key(session, select(literal(1, literal_execute=True)))


@pytest.mark.parametrize("order", ["title", text("title DESC")], ids=["name", "text"])
def test_an_order_that_is_text_is_refused(session: Session, order: str) -> None:
    with pytest.raises(PaginationError, match=r"by the text 'title( DESC)?'.*\.order_by\(Model\.column\)"):
        paginate_by_key(session, select(Book).order_by(order))


@pytest.mark.parametrize(
    "statement",
    [select(Book).limit(3), select(Book).offset(3), select(Book).fetch(3), union(select(Book.id), select(Author.id))],
    ids=["limit", "offset", "fetch", "union"],
)
def test_a_select_that_a_key_cannot_continue_is_refused(session: Session, statement: Select[Book]) -> None:
    with pytest.raises(PaginationError, match=r"plain select\(\), without LIMIT.*statement\.subquery\(\)"):
        paginate_by_key(session, statement)


def test_a_value_that_no_bookmark_can_hold_is_refused(postgresql_url: str) -> None:
    numbers = values(column("numbers", ARRAY(Integer)), name="rows").data([([1, 2],), ([3],)])
    with (
        Session(create_engine(postgresql_url, poolclass=NullPool)) as session,
        pytest.raises(PaginationError, match="of type list, which cannot be put in a bookmark"),
    ):
        paginate_by_key(session, select(numbers).order_by(numbers.c.numbers), per_page=1)
