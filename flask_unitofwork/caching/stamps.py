"""Stamps of tables: a result is valid as long as each table that it was read from has the stamp that it had before.

Note: why no reader can keep what is stale
    After a commit, each table that it wrote gets a new stamp, which nobody has ever had. Who loads a result has read the
    stamps before its first statement, and keeps them with the result. So a result that was read before the commit has a
    stamp from before the new one, however late it is stored: it is there, and nobody takes it. Stamps are in the region's
    backend, so all processes that share it agree.

Note: a table without a stamp
    It has never been written, or the backend has dropped it. Whoever finds that gives it one before reading the table. A
    commit that comes later replaces it, and one that came before is seen. If it replaces the stamp of such a commit, what
    was kept with that one is read again.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any
from uuid import uuid4

from dogpile.cache import CacheRegion

from .tables import EVERYTHING

__all__ = ["Stamps"]


class Stamps:
    """The stamps of tables in one region.

    Args:
        region: where they are.
        namespace: whose tables they are.
    """

    __slots__ = ("_namespace", "_region")

    def __init__(self, region: CacheRegion, namespace: str) -> None:
        self._region = region
        self._namespace = namespace

    def before_reading(self, names: Collection[str]) -> dict[str, str]:
        """The stamps of the tables *names*, which are about to be read, and that of all of them together."""
        found = self._get([EVERYTHING, *names])
        stamps = {name: stamp for name, stamp in found.items() if stamp is not None}
        return stamps | self.renew(found.keys() - stamps.keys())

    def are(self, kept: Mapping[str, str]) -> bool:
        """Whether the stamps are still those that were *kept* with a result."""
        return self._get(kept) == kept

    def renew(self, names: Iterable[str]) -> dict[str, str]:
        """Give the tables *names* stamps that they never had: what was read from them is not valid any more.

        Returns:
            the stamps.
        """
        stamps = {name: uuid4().hex for name in names}
        if stamps:
            self._region.set_multi({self._key(name): stamp for name, stamp in stamps.items()})
        return stamps

    def _get(self, names: Collection[str]) -> dict[str, str | None]:
        # However old it is, a stamp is good.
        region: Any = self._region
        values: list[Any] = region.get_multi([self._key(name) for name in names], ignore_expiration=True)
        return {name: stamp if isinstance(stamp, str) else None for name, stamp in zip(names, values, strict=True)}

    def _key(self, name: str) -> str:
        return f"{self._namespace}:table:{name}"
