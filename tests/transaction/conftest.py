"""Tests here play on the stage of `tests.stage`."""

from __future__ import annotations

from tests.stage import make_stage, sqlite_stage, stage

__all__ = ["make_stage", "sqlite_stage", "stage"]
