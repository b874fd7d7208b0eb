"""Whose results are in a region: those of one database are no other's, and those of an isolated test are nobody else's."""

from __future__ import annotations

from hashlib import sha256
from uuid import uuid4

from ..config import DEFAULT_BIND, Settings
from ..database import Engines

__all__ = ["Namespace"]

# In-memory databases, of which each engine has its own.
_IN_MEMORY = (None, "", ":memory:")


class Namespace:
    """Where an app's results are in its regions.

    That is what ``UNITOFWORK_CACHE_NAMESPACE`` says; otherwise, the kind and the name of the app's default database, so that
    processes agree that reach it by different servers or as different users.

    Args:
        settings: the app's.
        engines: its databases.
    """

    __slots__ = ("_engines", "_own")

    def __init__(self, settings: Settings, engines: Engines) -> None:
        url = settings.databases[DEFAULT_BIND].url
        own = settings.cache_namespace or f"{url.get_backend_name()} {url.database}"
        if url.get_backend_name() == "sqlite" and (url.database in _IN_MEMORY or "memory" in str(url.query)):
            own = f"{own} {uuid4().hex}"
        self._own = own
        self._engines = engines

    def __str__(self) -> str:
        """What the keys begin with: a hash, for some backends have short keys without blanks."""
        return sha256(f"{self._own} {self._engines.epoch}".encode()).hexdigest()[:32]
