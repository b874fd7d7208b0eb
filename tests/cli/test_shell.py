"""What ``flask shell`` knows."""

from __future__ import annotations

from flask_unitofwork.cli import shell_context


def test_the_models_go_by_their_names() -> None:
    class Book:
        pass

    assert shell_context("the uow", [Book]) == {"uow": "the uow", "Book": Book}


def test_of_two_models_with_one_name_the_first_is_meant() -> None:
    first, second = type("Book", (), {}), type("Book", (), {})

    assert shell_context("the uow", [first, second])["Book"] is first


def test_no_model_takes_the_place_of_the_uow() -> None:
    assert shell_context("the uow", [type("uow", (), {})]) == {"uow": "the uow"}
