"""Savepoints inside savepoints: which of them goes when one is rolled back."""

from __future__ import annotations

from sqlalchemy.orm import SessionTransaction

__all__ = ["is_within"]


def is_within(inner: SessionTransaction | None, outer: SessionTransaction) -> bool:
    """Whether *inner* is *outer* or was begun inside it, at any depth; None is no savepoint and so never is."""
    while inner is not None:
        if inner is outer:
            return True
        inner = inner.parent
    return False
