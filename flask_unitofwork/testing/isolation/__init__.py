"""Tests that leave nothing behind: everything a test writes is rolled back when it ends."""

from .block import isolated, isolated_again

__all__ = ["isolated", "isolated_again"]
