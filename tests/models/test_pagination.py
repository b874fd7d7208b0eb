"""Pages by number: what is on them, what they say of the others, and what it costs."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import Row, Select, func, select, union, union_all
from sqlalchemy.orm import Session, aliased, joinedload, with_loader_criteria
from werkzeug.exceptions import NotFound

from flask_unitofwork.models import Pagination, UnorderedPaginationWarning, paginate
from tests.models.conftest import Statements
from tests.models.library import Author, Book

BY_ID = select(Author).order_by(Author.id)


@pytest.fixture
def session(session: Session) -> Session:
    """Ten authors, three of them called Ann; each has two books."""
    for number in range(1, 11):
        author = Author(id=number, name="Ann" if number <= 3 else f"author {number}", born=1900 + number)
        author.books = [Book(title=f"book {title}") for title in "ab"]
        session.add(author)
    session.commit()
    return session


def ids(page: Pagination[Author]) -> list[int]:
    return [author.id for author in page]


class TestTheRowsOfAPage:
    def test_are_those_of_its_number(self, session: Session) -> None:
        page = paginate(session, BY_ID, page=2, per_page=4)

        assert ids(page) == [5, 6, 7, 8]
        assert (page.page, page.per_page, page.total, page.pages) == (2, 4, 10, 3)
        assert (page.has_prev, page.prev_num, page.has_next, page.next_num) == (True, 1, True, 3)
        assert (page.first, page.last) == (5, 8)

    def test_on_the_first_page_have_none_before(self, session: Session) -> None:
        page = paginate(session, BY_ID, per_page=4)

        assert (page.page, page.has_prev, page.prev_num, page.first, page.last) == (1, False, None, 1, 4)

    def test_on_the_last_page_have_none_after(self, session: Session) -> None:
        page = paginate(session, BY_ID, page=3, per_page=4)

        assert (ids(page), page.has_next, page.next_num, page.first, page.last) == ([9, 10], False, None, 9, 10)

    def test_that_just_fill_the_last_page_are_the_last(self, session: Session) -> None:
        page = paginate(session, BY_ID, page=2, per_page=5)

        assert (len(page.items), page.total, page.pages, page.has_next) == (5, 10, 2, False)

    def test_may_be_none_on_page_one(self, session: Session) -> None:
        page = paginate(session, BY_ID.where(Author.id < 0))

        assert (page.items, page.page, page.total, page.pages) == ([], 1, 0, 0)
        assert (page.has_next, page.has_prev, page.first, page.last) == (False, False, 0, 0)
        assert list(page.iter_pages()) == []

    def test_are_values_where_one_column_is_selected(self, session: Session) -> None:
        page = paginate(session, select(Author.name).order_by(Author.id), per_page=3)

        assert page.items == ["Ann", "Ann", "Ann"]
        assert page.total == 10

    def test_are_rows_where_several_columns_are_selected(self, session: Session) -> None:
        page = paginate(session, select(Author.name, Author.id).order_by(Author.id), per_page=2)

        assert page.items == [("Ann", 1), ("Ann", 2)]
        assert all(isinstance(row, Row) and row.name == "Ann" for row in page)

    def test_have_their_joined_collections_whole(self, session: Session) -> None:
        page = paginate(session, BY_ID.options(joinedload(Author.books)), page=2, per_page=4)

        assert ids(page) == [5, 6, 7, 8]
        assert [len(author.books) for author in page] == [2] * 4
        assert page.total == 10

    def test_are_groups_where_they_are_grouped(self, session: Session) -> None:
        grouped = select(Author.name, func.count()).group_by(Author.name).order_by(func.count().desc(), Author.name)

        page = paginate(session, grouped, per_page=3)
        assert page.items[0] == ("Ann", 3)
        assert page.total == 8

    def test_are_distinct_where_that_is_asked_for(self, session: Session) -> None:
        page = paginate(session, select(Author.name).distinct().order_by(Author.name), per_page=3)

        assert (page.items[0], page.total) == ("Ann", 8)

    def test_of_a_join_are_as_many_as_the_join_gives(self, session: Session) -> None:
        page = paginate(session, select(Author).join(Author.books).order_by(Author.id, Book.id), per_page=3)

        assert (ids(page), page.total) == ([1, 1, 2], 20)

    def test_of_a_union_are_those_of_both(self, session: Session) -> None:
        both = union_all(select(Author.id), select(Author.id + 100)).order_by("id")

        page = paginate(session, both, page=4, per_page=6)
        assert (page.items, page.total) == ([109, 110], 20)

    def test_are_within_the_limit_of_the_select(self, session: Session) -> None:
        five = BY_ID.offset(2).limit(5)

        assert ids(paginate(session, five, per_page=3)) == [3, 4, 5]
        last = paginate(session, five, page=2, per_page=3)
        assert (ids(last), last.total, last.has_next) == ([6, 7], 5, False)
        with pytest.raises(NotFound):
            paginate(session, five, page=3, per_page=3)

    def test_are_those_that_criteria_in_its_options_let_through(self, session: Session) -> None:
        young = BY_ID.options(with_loader_criteria(Author, Author.born > 1906))

        page = paginate(session, young, per_page=3)
        assert (ids(page), page.total, page.pages) == ([7, 8, 9], 4, 2)

    def test_see_what_the_session_has_not_flushed(self, session: Session) -> None:
        session.add(Author(id=11, name="newcomer"))

        assert paginate(session, BY_ID).total == 11


class TestWithoutACount:
    def test_the_page_knows_whether_another_follows(self, session: Session) -> None:
        page = paginate(session, BY_ID, page=2, per_page=4, count=False)

        assert (ids(page), page.has_next, page.next_num) == ([5, 6, 7, 8], True, 3)
        assert (page.total, page.pages) == (None, None)
        assert not paginate(session, BY_ID, page=2, per_page=5, count=False).has_next

    def test_nothing_is_counted(self, session: Session, statements: Statements) -> None:
        paginate(session, BY_ID, page=2, per_page=4, count=False)

        assert [sent for sent in statements if "count(" in sent] == []
        assert len([sent for sent in statements if sent.startswith("SELECT")]) == 1

    def test_the_links_go_as_far_as_is_known(self, session: Session) -> None:
        assert list(paginate(session, BY_ID, page=2, per_page=2, count=False).iter_pages()) == [1, 2, 3]


def test_a_page_that_is_not_full_needs_no_count(session: Session, statements: Statements) -> None:
    page = paginate(session, BY_ID, page=2, per_page=6)

    assert (page.total, len(ids(page))) == (10, 4)
    assert [sent for sent in statements if "count(" in sent] == []


class TestAPageBeyondTheEnd:
    def test_is_a_404(self, session: Session) -> None:
        with pytest.raises(NotFound):
            paginate(session, BY_ID, page=4, per_page=4)

    @pytest.mark.parametrize("page", [2**31, 2**63, 2**64, 10**400])
    def test_is_a_404_however_far_it_is(self, session: Session, page: int) -> None:
        with pytest.raises(NotFound):
            paginate(session, BY_ID, page=page)
        assert session.scalar(select(func.count(Author.id))) == 10

    @pytest.mark.parametrize("page", [4, 10**400])
    def test_is_the_last_page_when_clamped(self, session: Session, page: int) -> None:
        last = paginate(session, BY_ID, page=page, per_page=4, clamp=True)

        assert (last.page, ids(last), last.total, last.has_next) == (3, [9, 10], 10, False)

    def test_is_page_one_when_clamped_without_a_count(self, session: Session) -> None:
        page = paginate(session, BY_ID, page=9, per_page=4, clamp=True, count=False)

        assert (page.page, ids(page), page.has_next) == (1, [1, 2, 3, 4], True)

    def test_is_page_one_when_clamped_and_there_are_no_rows(self, session: Session) -> None:
        page = paginate(session, BY_ID.where(Author.id < 0), page=9, clamp=True)

        assert (page.page, page.items, page.total) == (1, [], 0)


class TestWithoutAnOrder:
    def test_objects_are_ordered_by_their_primary_key(self, session: Session, statements: Statements) -> None:
        writer = aliased(Author)

        assert ids(paginate(session, select(Author), page=2, per_page=2)) == [3, 4]
        assert ids(paginate(session, select(writer), page=2, per_page=2)) == [3, 4]
        assert len([sent for sent in statements if "ORDER BY" in sent]) == 2

    @pytest.mark.parametrize(
        "statement",
        [
            select(Author.id),
            select(Author, Book).join(Author.books),
            union(select(Author.id), select(Book.id)),
            select(Author).limit(5),
            select(Author.name).group_by(Author.name),
        ],
        ids=["column", "two entities", "union", "limited", "grouped"],
    )
    def test_anything_else_gives_a_warning(self, session: Session, statement: Select[int]) -> None:
        with pytest.warns(UnorderedPaginationWarning, match=r"no ORDER BY.*Write \.order_by"):
            assert paginate(session, statement, per_page=2).items

    def test_the_warning_names_the_line_that_asked_for_the_page(self, session: Session) -> None:
        def as_a_method_does() -> Pagination[int]:
            return paginate(session, select(Author.id))

        with pytest.warns(UnorderedPaginationWarning) as caught:
            as_a_method_does()  # this line

        lines = Path(__file__).read_text(encoding="utf-8").splitlines()
        assert caught[0].filename == __file__
        assert lines[caught[0].lineno - 1].endswith("# this line")
