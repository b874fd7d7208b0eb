"""Databases by name: their engines and pools, web defaults for each kind of database, and what a fork does to them."""

from .engines import Engines

__all__ = ["Engines"]
