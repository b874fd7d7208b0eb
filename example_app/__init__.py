"""Corner Shop: a small shop that shows how an app is built on flask_unitofwork.

Where to look first: `orders.place` is the heart, one unit of work; ``extensions`` and ``factory`` wire it.
"""

from __future__ import annotations

from .factory import create_app

__all__ = ["create_app"]
