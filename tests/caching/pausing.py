"""A region that a test can stop where a race would be decided."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from dogpile.cache import CacheRegion, make_region
from dogpile.cache.proxy import ProxyBackend

__all__ = ["Between", "region_with"]


class Between(ProxyBackend):
    """Calls a function of the test's between the region and its backend.

    Attributes:
        before_set: called with the keys that are about to be kept.
        after_get: called with the keys that have been looked up.
    """

    def __init__(self) -> None:
        self.before_set: Callable[[list[str]], None] | None = None
        self.after_get: Callable[[list[str]], None] | None = None

    def get(self, key: Any) -> Any:
        found = self.proxied.get(key)
        self._looked_up([key])
        return found

    def get_multi(self, keys: Any) -> Any:
        found = self.proxied.get_multi(keys)
        self._looked_up(list(keys))
        return found

    def set(self, key: Any, value: Any) -> None:
        self._about_to_keep([key])
        self.proxied.set(key, value)

    def set_multi(self, mapping: Any) -> None:
        self._about_to_keep(list(mapping))
        self.proxied.set_multi(mapping)

    def _looked_up(self, keys: list[str]) -> None:
        if self.after_get is not None:
            self.after_get(keys)

    def _about_to_keep(self, keys: list[str]) -> None:
        if self.before_set is not None:
            self.before_set(keys)


def region_with(between: Between, backend: dict[str, Any] | None = None) -> CacheRegion:
    """A region in this process with *between* in front of its backend."""
    arguments = {} if backend is None else {"cache_dict": backend}
    return make_region().configure("dogpile.cache.memory", arguments=arguments, wrap=[between])
