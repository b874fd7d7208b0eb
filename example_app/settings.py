"""The shop's configuration: sensible without any, and any of it from the environment.

``FLASK_UNITOFWORK_DATABASES=postgresql+psycopg://shop@localhost/shop`` puts the shop on PostgreSQL,
``FLASK_SECRET_KEY`` gives the key that signs cookies, ``FLASK_SESSION_COOKIE_SECURE=true`` is for a shop behind https.
"""

from __future__ import annotations

import os
import secrets
from contextlib import suppress
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any, Final

__all__ = ["DEFAULTS", "secret_key"]

DEFAULTS: Final[dict[str, Any]] = {
    "MAX_CONTENT_LENGTH": 64 * 1024,
    # A name of its own: browsers do not tell the cookies of two apps on one host apart by their ports.
    "SESSION_COOKIE_NAME": "corner_shop",
    "SESSION_COOKIE_SAMESITE": "Lax",
    "UNITOFWORK_DATABASES": "sqlite:///corner_shop.db",  # in the instance folder
}


def secret_key(folder: Path) -> str:
    """The key in *folder*'s file ``secret_key``, made when it is missing, readable by its owner only."""
    path = folder / "secret_key"
    if not path.exists():
        with NamedTemporaryFile("w", encoding="ascii", dir=folder) as draft:
            draft.write(secrets.token_hex(32))
            draft.flush()
            # A link appears at once and complete. Where two workers come here together, the first one's key counts.
            with suppress(FileExistsError):
                os.link(draft.name, path)
    return path.read_text(encoding="ascii")
