"""In-memory SQLite databases that threads can share: a file in memory, deleted with its engine.

SQLite's own in-memory databases belong to one connection. Its shared cache lets connections share one, but then a
reader is refused while another connection writes, and may see what was never committed. A file in WAL mode has
neither fault, and on ``/dev/shm`` it is in memory all the same.
"""

from __future__ import annotations

import os
import shutil
import tempfile
import weakref
from pathlib import Path
from typing import Final

from sqlalchemy import URL, Engine, event

from ..config import is_sqlite_uri

__all__ = ["BackingFile", "is_in_memory", "is_shared_cache"]

_SHARED_MEMORY: Final = Path("/dev/shm")  # noqa: S108  # the folder inside is private


class BackingFile:
    """The file behind an in-memory database. It lives as long as the engine that `belong_to` names."""

    def __init__(self) -> None:
        in_memory = _SHARED_MEMORY.is_dir() and os.access(_SHARED_MEMORY, os.W_OK | os.X_OK)
        self._folder = Path(
            tempfile.mkdtemp(prefix=f"unitofwork-{os.getpid()}-", dir=_SHARED_MEMORY if in_memory else None)
        )
        self._maker = os.getpid()

    @property
    def path(self) -> Path:
        """Where the file is."""
        return self._folder / "memory.db"

    def url(self, url: URL) -> URL:
        """The URL of the file, with those arguments of *url* that are the driver's."""
        return url.set(database=str(self.path)).difference_update_query(["cache", "mode", "uri"])

    def delete(self) -> None:
        """Delete it."""
        _delete(self._folder, self._maker)

    def belong_to(self, engine: Engine) -> None:
        """Empty the database when *engine* is disposed of, and delete it when *engine* or the process is gone."""
        weakref.finalize(engine, _delete, self._folder, self._maker)
        folder, maker = self._folder, self._maker

        @event.listens_for(engine, "engine_disposed")
        def empty(_engine: Engine) -> None:
            # The folder stays: the engine can be used again, and nobody else can make a folder of that name meanwhile.
            if os.getpid() == maker:
                for file in folder.iterdir():
                    file.unlink(missing_ok=True)


def is_in_memory(url: URL) -> bool:
    """Whether *url* is an SQLite database in memory that belongs to one connection."""
    name = url.database or ""
    if not is_sqlite_uri(url):
        return name in {"", ":memory:"}
    return (name in {"", "file:", "file::memory:"} or url.query.get("mode") == "memory") and not is_shared_cache(url)


def is_shared_cache(url: URL) -> bool:
    """Whether *url* asks for SQLite's shared cache, by which connections share a database in memory."""
    return is_sqlite_uri(url) and url.query.get("cache") == "shared"


def _delete(folder: Path, maker: int) -> None:
    # A forked child inherits this, and must not delete what its parent uses.
    if os.getpid() == maker:
        shutil.rmtree(folder, ignore_errors=True)
