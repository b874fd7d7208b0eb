"""What is read from a select's private attributes is what its public methods set."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import create_engine, select, union
from sqlalchemy.orm import Session, UserDefinedOption, aliased, joinedload, lazyload, with_loader_criteria

from flask_unitofwork.models.statement import (
    Shape,
    are_all_entities,
    entities,
    froms,
    needs_unique,
    shape_of,
    sole_entity,
)
from tests.models.library import Author, Base, Book


class Colour(UserDefinedOption):
    """An option of an app's own, for its ``do_orm_execute`` events."""


@pytest.fixture
def session(sqlite_url: str) -> Session:
    engine = create_engine(sqlite_url)
    Base.metadata.create_all(engine)
    return Session(engine)


def a_select(*what: Any) -> Any:
    return select(*what)


def a_query(*what: Any) -> Any:
    return Session().query(*what)


of_both = pytest.mark.parametrize("make", [a_select, a_query])


@of_both
def test_a_bare_select_has_no_shape(make: Callable[..., Any]) -> None:
    assert shape_of(make(Author)) == Shape(
        order_by=(), group_by=(), limit=None, offset=0, fetch=False, distinct=False, distinct_on=False, criteria=()
    )


@of_both
def test_what_was_set_is_told(make: Callable[..., Any]) -> None:
    criteria = with_loader_criteria(Author, Author.id > 1)
    colour = Colour()
    statement = (
        make(Author)
        .order_by(Author.id, Author.name)
        .group_by(Author.born)
        .options(criteria, colour, lazyload(Author.books))
        .distinct()
        .limit(7)
        .offset(3)
    )
    shape = shape_of(statement)

    assert [str(clause) for clause in shape.order_by] == ["authors.id", "authors.name"]
    assert [str(clause) for clause in shape.group_by] == ["authors.born"]
    assert (shape.limit, shape.offset, shape.distinct, shape.is_cut) == (7, 3, True, True)
    assert shape.criteria == (criteria, colour)


def test_a_union_has_an_order_and_limits_too() -> None:
    shape = shape_of(union(select(Author.id), select(Book.id)).order_by("id").limit(2))

    assert (len(shape.order_by), shape.limit) == (1, 2)


def test_fetch_is_told() -> None:
    assert shape_of(select(Author).fetch(3)).fetch
    assert not shape_of(select(Author).fetch(3).limit(3)).fetch


@pytest.mark.filterwarnings("ignore:.*distinct:DeprecationWarning")
@pytest.mark.filterwarnings("ignore::sqlalchemy.exc.SADeprecationWarning")
def test_distinct_on_is_told() -> None:
    assert shape_of(select(Author).distinct(Author.name)).distinct_on
    assert not shape_of(select(Author).distinct()).distinct_on


def test_a_result_tells_whether_it_repeats_objects(session: Session) -> None:
    assert needs_unique(session.execute(select(Author).options(joinedload(Author.books))))
    assert not needs_unique(session.execute(select(Book).options(joinedload(Book.author))))
    assert not needs_unique(session.execute(select(Author.name)))


def test_entities_are_told_from_columns() -> None:
    writer = aliased(Author)

    assert sole_entity(select(Author)) is Author
    assert sole_entity(select(writer)) is writer
    for statement in (select(Author.id), select(Author, Book), select(Base.metadata.tables["authors"])):
        assert sole_entity(statement) is None
    assert entities(select(Author, Book.id, Author.name)) == [Author, Book]
    assert entities(union(select(Author.id), select(Book.id))) == []
    assert are_all_entities(select(Author, writer))
    assert not are_all_entities(select(Author, Book.id))


def test_eager_loading_adds_nothing_to_what_is_selected_from() -> None:
    assert list(froms(select(Author).options(joinedload(Author.books)))) == [Author.__table__]
    assert len(froms(select(Author).join(Author.books))) == 1
