"""Results as bytes. No object of a session is ever in a cache: what one session does to its objects, others must not see.

Note: loader options
    An object remembers the loader options of the statement that loaded it, for its lazy loads. They may hold a lambda, as
    ``with_loader_criteria()`` often does, which cannot be pickled. The statement that is answered has the same options,
    since it has the same key: so its own are put in their place.
"""

from __future__ import annotations

import io
import pickle
from typing import Any, Final

from sqlalchemy import Executable, FrozenResult
from sqlalchemy.orm import InstanceState

from ..exceptions import CacheError
from .columns import metadata_of

__all__ = ["pickled", "propagated_options", "unpickled"]

_OPTIONS: Final = "unitofwork_loader_options"


class _Options(tuple[Any, ...]):
    """Stands for the loader options of an object's statement."""

    __slots__ = ()


_options: Final = _Options()


class _Pickler(pickle.Pickler):
    def persistent_id(self, obj: Any) -> str | None:
        return _OPTIONS if obj is _options else None

    def reducer_override(self, obj: Any) -> Any:
        if isinstance(obj, InstanceState):
            obj.load_options = _options
        return NotImplemented


class _Unpickler(pickle.Unpickler):
    def __init__(self, file: io.BytesIO, options: tuple[Any, ...]) -> None:
        super().__init__(file)
        self._options = options

    def persistent_load(self, pid: Any) -> Any:
        if pid != _OPTIONS:
            raise pickle.UnpicklingError(f"unknown: {pid!r}")
        return self._options


def pickled(result: FrozenResult[Any]) -> bytes:
    """*result* as bytes. Its objects are not to be used any more.

    Raises:
        CacheError: something in it cannot be pickled.
    """
    file = io.BytesIO()
    try:
        _Pickler(file, protocol=pickle.HIGHEST_PROTOCOL).dump(result)
    except Exception as error:
        raise CacheError(
            f"The result of this statement cannot be cached, because something in it cannot be pickled: {error}. Mapped"
            " classes must be found in their module by their name; or select columns instead of objects, or leave"
            " FromCache out."
        ) from error
    return file.getvalue()


def unpickled(kept: bytes, statement: Executable) -> FrozenResult[Any]:
    """The result that was *kept*, for *statement*.

    Raises:
        Exception: it was pickled by other code than is there now.
    """
    result: FrozenResult[Any] = _Unpickler(io.BytesIO(kept), propagated_options(statement)).load()
    result.metadata = metadata_of(statement, result.metadata)
    return result


def propagated_options(statement: Any) -> tuple[Any, ...]:
    """The loader options that objects loaded by *statement* remember.

    Private: a statement tells its options by no public name. ``tests/caching/test_options.py`` fails if it changes.
    """
    return tuple(option for option in statement._with_options if getattr(option, "propagate_to_loaders", False))
