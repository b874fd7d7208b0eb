"""Tests that leave nothing behind: everything a test writes is rolled back when it ends."""

from .block import isolated, isolated_again
from .connections import databases_of

__all__ = ["databases_of", "isolated", "isolated_again"]
