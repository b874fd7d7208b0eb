"""What tells one statement from another, without its values, in a form that is the same in all processes.

Note: a private name of SQLAlchemy's
    ``_generate_cache_key()`` is what SQLAlchemy's own cache of compiled statements, and its example of a cache like this
    one, go by. There is no public name: ``str(statement)`` does not show loader options, and compiling each statement costs
    more than most of them. ``tests/caching/test_keys.py`` fails if it changes.
"""

from __future__ import annotations

import marshal
from collections.abc import Callable, Mapping, Sequence
from enum import Enum
from types import BuiltinFunctionType, CodeType, FunctionType
from typing import Any, Final, NoReturn
from uuid import uuid4
from weakref import WeakKeyDictionary

from sqlalchemy import BindParameter, Table
from sqlalchemy.orm import Mapper
from sqlalchemy.sql.cache_key import CacheConst
from sqlalchemy.sql.elements import ClauseElement

from .values import as_bytes

__all__ = ["cache_key_of", "structure_of"]

# What is like nothing else, and nothing but itself, as long as it is there. Not its address: that is given to others.
_tokens: Final[WeakKeyDictionary[Any, str]] = WeakKeyDictionary()


def cache_key_of(statement: Any) -> tuple[tuple[Any, ...], Sequence[BindParameter[Any]]] | None:
    """What SQLAlchemy tells *statement* from others by, and its values; None where it has something that cannot be told.

    Private, see the module's note.
    """
    key = statement._generate_cache_key()
    return None if key is None else (key.key, key.bindparams)


def structure_of(statement: ClauseElement, key: tuple[Any, ...]) -> bytes:
    """What is in *key*, which is that of *statement*, as bytes.

    Raises:
        TypeError: there is something in it that cannot be told from others of its kind.
    """
    # The SQL tells tables and classes of one name from one another, if they differ at all.
    return str(statement).encode() + b"\0" + b"".join(_said(key))


def _said(part: Any) -> list[bytes]:
    if isinstance(part, tuple):
        said = [b"("]
        for one in part:
            said += _said(one)
            said.append(b",")
        return [*said, b")"]
    return [_name(part)]


def _name(part: Any) -> bytes:
    for kinds, name in _NAMES:
        if isinstance(part, kinds):
            return name(part)
    return _token(part)


def _named(part: Any) -> bytes:
    if "<" in part.__qualname__:  # made in a function, of which each call makes another
        return _token(part)
    return f"name {part.__module__}.{part.__qualname__}".encode()


def _token(part: Any) -> bytes:
    if part not in _tokens:
        _tokens[part] = uuid4().hex
    return f"one {_tokens[part]}".encode()


def _refuse(_: object) -> NoReturn:
    raise TypeError("a value in it has a type without cache_ok = True")


_NAMES: Final[Sequence[tuple[Any, Callable[[Any], bytes]]]] = (
    (Table, lambda table: f"table {table.fullname}".encode()),
    (Mapper, lambda mapper: b"mapper " + _named(mapper.class_)),
    ((type, FunctionType, BuiltinFunctionType), _named),
    (CodeType, lambda code: b"code " + marshal.dumps(code)),
    (CacheConst, _refuse),  # what SQLAlchemy puts in the place of what it cannot tell
    (Enum, lambda member: _named(type(member)) + b"." + member.name.encode()),
    (Mapping, lambda items: b"".join(_said(tuple(sorted(items.items(), key=repr))))),
    ((str, bytes, int, float, type(None)), as_bytes),
)
