from __future__ import annotations

from pathlib import Path

from django.apps import AppConfig

__all__ = ["Benchmark"]


class Benchmark(AppConfig):
    name = __package__ or ""
    label = "benchmark"
    # Django asks for it where a package has no __init__.py.
    path = str(Path(__file__).parent)
