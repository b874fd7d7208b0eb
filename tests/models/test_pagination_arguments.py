"""Which page is asked for, by a request or by code, and what becomes of what is no page."""

from __future__ import annotations

from typing import Any

import pytest
from flask import Flask
from sqlalchemy import bindparam, literal_column, select
from sqlalchemy.orm import Session
from werkzeug.exceptions import NotFound

from flask_unitofwork import PaginationError
from flask_unitofwork.models import Pagination, paginate
from tests.models.library import Author

BY_ID = select(Author).order_by(Author.id)


@pytest.fixture
def session(session: Session) -> Session:
    session.add_all(Author(id=number, name=f"author {number}") for number in range(1, 11))
    session.commit()
    return session


def ids(page: Pagination[Author]) -> list[int]:
    return [author.id for author in page]


def arguments(name: str, value: int) -> Any:
    return {name: value}


class TestARequest:
    def test_says_which_page_it_wants(self, session: Session, web: Flask) -> None:
        with web.test_request_context("/?page=2&per_page=3"):
            assert ids(paginate(session, BY_ID)) == [4, 5, 6]

    def test_that_says_nothing_gets_the_first_twenty(self, session: Session, web: Flask) -> None:
        with web.test_request_context():
            page = paginate(session, BY_ID)

        assert (page.page, page.per_page) == (1, 20)

    def test_is_not_asked_where_code_knows(self, session: Session, web: Flask) -> None:
        with web.test_request_context("/?page=x&per_page=y"):
            assert ids(paginate(session, BY_ID, page=1, per_page=1)) == [1]

    def test_gets_no_more_rows_than_are_allowed(self, session: Session, web: Flask) -> None:
        with web.test_request_context("/?per_page=1000000000000000000000"):
            assert paginate(session, BY_ID).per_page == 100
            assert paginate(session, BY_ID, max_per_page=3).per_page == 3
            assert len(paginate(session, BY_ID, max_per_page=None).items) == 10

    @pytest.mark.parametrize("argument", ["page", "per_page"])
    @pytest.mark.parametrize("value", ["0", "-1", "", "x", "1.0", "1_0", " 1", "+1", "\uff11", "9" * 5000, "--1"])
    def test_for_no_page_is_a_404_or_clamped(self, session: Session, web: Flask, argument: str, value: str) -> None:
        with web.test_request_context(query_string={argument: value}):
            with pytest.raises(NotFound):
                paginate(session, BY_ID)
            page = paginate(session, BY_ID, clamp=True)

        assert (page.page, page.per_page) == (1, 20)


class TestCode:
    @pytest.mark.parametrize("value", ["1", 1.0, True, b"1"])
    @pytest.mark.parametrize("argument", ["page", "per_page"])
    def test_that_asks_for_no_number_is_told_so(self, session: Session, argument: str, value: int) -> None:
        with pytest.raises(PaginationError, match=rf"^{argument} must be a whole number; it is of type \w+\.$"):
            paginate(session, BY_ID, **arguments(argument, value), clamp=True)

    @pytest.mark.parametrize("argument", ["page", "per_page"])
    def test_that_asks_for_too_small_a_number_is_told_what_to_write(self, session: Session, argument: str) -> None:
        with pytest.raises(PaginationError, match=rf'{argument} must be 1 or more; it is 0\..*"/<int\(min=1\):'):
            paginate(session, BY_ID, **arguments(argument, 0))

    def test_may_have_it_clamped(self, session: Session) -> None:
        assert paginate(session, BY_ID, page=0, clamp=True).page == 1
        assert paginate(session, BY_ID, per_page=-3, clamp=True).per_page == 20

    @pytest.mark.parametrize("most", [0, -1, "5", True])
    def test_is_told_of_a_wrong_maximum(self, session: Session, most: int) -> None:
        with pytest.raises(PaginationError, match="max_per_page must be a whole number, 1 or more, or None"):
            paginate(session, BY_ID, max_per_page=most)

    def test_cannot_cut_what_is_no_select(self, session: Session) -> None:
        with pytest.raises(PaginationError, match=r"Only a select\(\) can be cut into pages, not a Declarative"):
            paginate(session, Author)  # type: ignore[arg-type]  # the mistake that is meant

    def test_cannot_cut_a_select_whose_limit_is_unknown(self, session: Session) -> None:
        with pytest.raises(PaginationError, match="LIMIT is an SQL expression"):
            paginate(session, BY_ID.limit(literal_column("2") + 1))
        with pytest.raises(PaginationError, match="OFFSET is an SQL expression"):
            paginate(session, BY_ID.offset(bindparam("start", callable_=lambda: "later")))

    def test_cannot_cut_a_select_with_fetch(self, session: Session) -> None:
        with pytest.raises(PaginationError, match=r"FETCH.*Write limit\(\) instead"):
            paginate(session, BY_ID.fetch(3))
