"""What pytest loads (entry point ``flask_unitofwork``). It only registers what `testing` defines."""

from __future__ import annotations

import pytest

from .testing.fixtures import REAL_COMMITS, unitofwork_isolation

__all__ = ["pytest_configure", "unitofwork_isolation"]


def pytest_configure(config: pytest.Config) -> None:
    """Declare the marker."""
    config.addinivalue_line(
        "markers", f"{REAL_COMMITS}: the test's commits are real; it is not rolled back, and cleans up by itself"
    )
