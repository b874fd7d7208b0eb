"""The errors: one tree, drawn in its module's docstring, each of the kind that Python code expects."""

from __future__ import annotations

import inspect
import re

import pytest

from flask_unitofwork import exceptions

CLASSES = [one for _, one in inspect.getmembers(exceptions, inspect.isclass) if one.__module__ == exceptions.__name__]


def test_every_error_is_public_and_documented() -> None:
    assert sorted(one.__name__ for one in CLASSES) == exceptions.__all__
    assert all(one.__doc__ for one in CLASSES)


def test_the_tree_in_the_docstring_is_the_tree() -> None:
    drawn = re.findall(r"^    ( *[ │├└─]*)(\w+)", exceptions.__doc__ or "", re.MULTILINE)
    path: list[tuple[int, str]] = []
    parents: dict[str, str] = {}
    for indent, name in drawn:
        while path and path[-1][0] >= len(indent):
            path.pop()
        parents[name] = path[-1][1] if path else "Exception"
        path.append((len(indent), name))

    assert parents == {one.__name__: one.__bases__[0].__name__ for one in CLASSES}


@pytest.mark.parametrize("error", CLASSES)
def test_one_class_catches_them_all(error: type[Exception]) -> None:
    with pytest.raises(exceptions.UnitOfWorkError):
        raise error("what happened, why, and what to write")


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (exceptions.ConfigurationError, ValueError),
        (exceptions.UnknownBindError, LookupError),
        (exceptions.AlreadyInitializedError, RuntimeError),
        (exceptions.NotInitializedError, RuntimeError),
        (exceptions.OutsideScopeError, RuntimeError),
        (exceptions.PaginationError, ValueError),
    ],
)
def test_errors_are_also_of_pythons_own_kind(error: type[Exception], kind: type[Exception]) -> None:
    assert issubclass(error, kind)
