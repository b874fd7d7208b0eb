"""Results in a region, each with the stamps that its tables had before it was read."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from dogpile.cache import CacheRegion

from .options import FromCache
from .stamps import Stamps

__all__ = ["Entries", "Entry"]


class Entry(NamedTuple):
    """One result.

    Attributes:
        stamps: those of the tables that it was read from, by name.
        result: the pickled rows.
    """

    stamps: Mapping[str, str]
    result: bytes


class Entries:
    """The results in one region.

    Args:
        region: where they are.
        namespace: whose they are.

    Attributes:
        stamps: those of the tables.
    """

    __slots__ = ("_namespace", "_region", "stamps")

    def __init__(self, region: CacheRegion, namespace: str) -> None:
        self._region = region
        self._namespace = namespace
        self.stamps = Stamps(region, namespace)

    def get(self, key: str, option: FromCache) -> Entry | None:
        """The result under *key*, if it is there, as young as *option* wants it, and nobody has written its tables since."""
        kept: Any = self._region.get(
            self._name(key), expiration_time=option.expiration_time, ignore_expiration=option.ignore_expiration
        )
        if not isinstance(kept, tuple):
            return None
        entry = Entry(*kept)
        return entry if self.stamps.are(entry.stamps) else None

    def set(self, key: str, entry: Entry) -> None:
        """Keep *entry* under *key*."""
        self._region.set(self._name(key), (dict(entry.stamps), entry.result))

    def mutex(self, key: str) -> Any:
        """The backend's own lock for *key*, which all processes share; None if it has none."""
        backend: Any = self._region.backend
        return backend.get_mutex(self._name(key))

    def _name(self, key: str) -> str:
        return f"{self._namespace}:result:{key}"
