"""Measures each test from the beginning of its setup to the end of its teardown, and writes down what each took."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest

from tests.benchmarks.one_test.ways import WAYS

SECONDS = pytest.StashKey[dict[str, list[float]]]()


def pytest_configure(config: pytest.Config) -> None:
    seconds: dict[str, list[float]] = {name: [] for name in WAYS}
    config.stash[SECONDS] = seconds


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_protocol(item: pytest.Function) -> Generator[None, Any, Any]:
    begin = time.perf_counter()
    result = yield
    way = str(item.callspec.params["way"])
    item.config.stash[SECONDS][way].append(time.perf_counter() - begin)
    return result


def pytest_sessionfinish(session: pytest.Session) -> None:
    Path(os.environ["ONE_TEST_RESULTS"]).write_text(json.dumps(session.config.stash[SECONDS]))
