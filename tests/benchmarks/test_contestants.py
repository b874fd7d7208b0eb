"""The contestants can do all the work, and are found out when they do it wrongly."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing

import psycopg
import pytest
from sqlalchemy import make_url

from .answers import WrongAnswerError, check_answers
from .contestants.line_up import LINE_UP, REFERENCE
from .contestants.terms import postgresql_url as libpq_url
from .lane import Lane
from .work import WORK, keys_of
from .world import build_world


@pytest.fixture
def world(postgresql_url: str) -> str:
    return a_world_in(postgresql_url)


def a_world_in(url: str) -> str:
    url = libpq_url(make_url(url))
    build_world(url)
    return url


@pytest.mark.parametrize("name", LINE_UP)
def test_a_contestant_answers_all_requests_rightly(name: str, world: str) -> None:
    with closing(Lane(name, world)) as lane:
        for work in WORK:
            check_answers(lane, work, world)


@pytest.mark.parametrize("database_server", ["postgresql"], indirect=True)
@pytest.mark.parametrize("work", ["row", "rows", "page", "updates", "create"])
def test_a_contestant_that_works_on_other_data_is_found_out(
    work: str, world: str, another_url: Callable[[], str]
) -> None:
    elsewhere = a_world_in(another_url())
    with psycopg.connect(elsewhere) as connection:
        connection.execute("UPDATE world SET number = number + 10")
    with closing(Lane(REFERENCE, elsewhere)) as lane, pytest.raises(WrongAnswerError, match=work):
        check_answers(lane, work, world)


def test_no_two_variants_have_a_row_in_common() -> None:
    keys = [key for variant in range(500) for key in keys_of(variant)]
    assert len(keys) == len(set(keys)) == 10_000
