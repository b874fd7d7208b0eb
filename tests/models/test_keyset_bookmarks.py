"""Bookmarks in URLs, and what becomes of those that nobody gave out."""

from __future__ import annotations

import base64
import re
import zlib

import pytest
from flask import Flask
from itsdangerous import URLSafeSerializer
from sqlalchemy import create_engine, select
from sqlalchemy.orm import Session
from werkzeug.exceptions import NotFound

from flask_unitofwork import PaginationError
from flask_unitofwork.models import paginate_by_key
from tests.models.library import Author, Base

BY_NAME = select(Author).order_by(Author.name)


@pytest.fixture
def session(sqlite_url: str) -> Session:
    engine = create_engine(sqlite_url)
    Base.metadata.create_all(engine)
    session = Session(engine)
    session.add_all(Author(id=number, name=f"author {number}") for number in range(1, 10))
    session.commit()
    return session


def next_of_first_page(session: Session) -> str:
    bookmark = paginate_by_key(session, BY_NAME, per_page=3).next
    assert bookmark is not None
    return bookmark


def test_a_bookmark_needs_no_escaping_in_a_url(session: Session) -> None:
    session.add(Author(id=0, name="?&=#/ %\0é\n"))

    assert re.fullmatch(r"[\w.-]+", paginate_by_key(session, BY_NAME, per_page=1).next or "", re.ASCII)


def test_a_request_names_its_page(session: Session, web: Flask) -> None:
    with web.test_request_context():
        bookmark = next_of_first_page(session)
    with web.test_request_context(query_string={"after": bookmark, "per_page": "2"}):
        second = paginate_by_key(session, BY_NAME)
    with web.test_request_context(query_string={"before": second.previous}):
        first = paginate_by_key(session, BY_NAME)

    assert [author.id for author in second] == [4, 5]
    assert [author.id for author in first] == [1, 2, 3]


def test_what_code_says_goes_before_what_the_request_says(session: Session, web: Flask) -> None:
    bookmark = next_of_first_page(session)
    with web.test_request_context(query_string={"before": "nonsense"}):
        web.secret_key = None

        assert [author.id for author in paginate_by_key(session, BY_NAME, after=bookmark, per_page=1)] == [4]


def altered(bookmark: str) -> list[str]:
    """A few of the things that happen to what is in a URL."""
    payload, signature = bookmark.rsplit(".", 1)
    other = base64.urlsafe_b64encode(b'["author 5",5]').rstrip(b"=").decode()
    bomb = base64.urlsafe_b64encode(zlib.compress(b"[" * 10_000)).rstrip(b"=").decode()
    return [
        "",
        "nonsense",
        "null",
        "%00",
        payload,
        bookmark[:-1],
        bookmark + "x",
        f"{other}.{signature}",
        f".{bomb}.{signature}",
        bookmark.swapcase(),
    ]


@pytest.mark.parametrize("secret_key", [b"a secret of tests", None], ids=["signed", "no secret key"])
@pytest.mark.parametrize("which", range(10))
def test_an_altered_bookmark_in_a_request_is_a_404(
    session: Session, web: Flask, secret_key: bytes | None, which: int
) -> None:
    web.secret_key = secret_key
    with web.test_request_context():
        bookmark = altered(next_of_first_page(session))[which]

    for argument in ("after", "before"):
        with web.test_request_context(query_string={argument: bookmark}), pytest.raises(NotFound):
            paginate_by_key(session, BY_NAME)


@pytest.mark.parametrize(
    "payload",
    [None, 7, "ab", {}, [], [1], [1, 2, 3], [["?", "1"], 1], [["n", "x"], 1], [["d", 1], 1], [["n"], 1], [[], 1]],
    ids=str,
)
def test_a_bookmark_that_was_forged_without_a_secret_key_is_a_404_or_a_page(
    session: Session, web: Flask, payload: object
) -> None:
    web.secret_key = None
    order = "sqlite authors.name String asc nulls first authors.id Integer asc nulls first"  # as `KeyColumn` prints it
    forged = URLSafeSerializer(b"", salt=f"flask_unitofwork.bookmark {order}").dumps(payload)

    with web.test_request_context(query_string={"after": forged}):
        if payload == []:
            assert [author.id for author in paginate_by_key(session, BY_NAME, per_page=1)] == [1]
        else:
            with pytest.raises(NotFound):
                paginate_by_key(session, BY_NAME)


def test_a_bookmark_is_of_one_order_only(session: Session, web: Flask) -> None:
    with web.test_request_context():
        bookmark = next_of_first_page(session)

    for other in (Author.name.desc(), Author.email, Author.name.nulls_last()):
        with web.test_request_context(query_string={"after": bookmark}), pytest.raises(NotFound):
            paginate_by_key(session, select(Author).order_by(other))


def test_after_and_before_in_one_request_are_a_404(session: Session, web: Flask) -> None:
    with web.test_request_context():
        bookmark = next_of_first_page(session)
    with web.test_request_context(query_string={"after": bookmark, "before": bookmark}), pytest.raises(NotFound):
        paginate_by_key(session, BY_NAME)


def test_after_and_before_in_code_are_an_error(session: Session) -> None:
    bookmark = next_of_first_page(session)
    with pytest.raises(PaginationError, match="after a bookmark or before one, not both"):
        paginate_by_key(session, BY_NAME, after=bookmark, before=bookmark)


def test_an_altered_bookmark_in_code_is_an_error_that_says_what_to_write(session: Session, web: Flask) -> None:
    with (
        web.test_request_context(),
        pytest.raises(PaginationError, match=r"'nonsense' is no bookmark of this order.*leave after= and before= out"),
    ):
        paginate_by_key(session, BY_NAME, after="nonsense")


def test_a_new_secret_key_refuses_old_bookmarks(session: Session, web: Flask) -> None:
    with web.test_request_context():
        bookmark = next_of_first_page(session)
    web.secret_key = "another secret"
    with web.test_request_context(query_string={"after": bookmark}), pytest.raises(NotFound):
        paginate_by_key(session, BY_NAME)


def test_a_key_that_was_replaced_goes_on_being_believed(session: Session, web: Flask) -> None:
    with web.test_request_context():
        bookmark = next_of_first_page(session)
    web.config["SECRET_KEY_FALLBACKS"] = [web.secret_key]
    web.secret_key = b"another secret"
    with web.test_request_context(query_string={"after": bookmark, "per_page": "1"}):
        assert [author.id for author in paginate_by_key(session, BY_NAME)] == [4]


@pytest.mark.parametrize("per_page", ["0", "-1", "x", ""])
def test_a_page_size_that_is_none_is_a_404(session: Session, web: Flask, per_page: str) -> None:
    with web.test_request_context(query_string={"per_page": per_page}), pytest.raises(NotFound):
        paginate_by_key(session, BY_NAME)
