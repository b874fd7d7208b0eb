"""What it costs to keep tests apart: one test with one request, in an app with 30 tables, on PostgreSQL.

Twice, because much of it is commits: on a server as it is where nobody has set anything, whose commits wait for the disk;
and on one that waits for no disk, as people set it who care for the speed of their tests.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
from pathlib import Path

import pytest

from tests.servers.postgresql import PostgreSQL

from .one_test.ways import NONE, OURS, TABLES
from .rounds import results, table
from .selection import Selection

PROJECT = Path(__file__).parent / "one_test"
ROUNDS = 12


@pytest.mark.parametrize("waits_for_disk", [True, False])
def test_cost_of_a_test(waits_for_disk: bool, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rounds = Selection.from_environment(os.environ).portion(ROUNDS, least=3)
    server = PostgreSQL(waits_for_disk=waits_for_disk)
    try:
        seconds = _measured(server, tmp_path, rounds)
    finally:
        server.stop()
    disk = "as it is by default, waiting for its disk" if waits_for_disk else "not waiting for its disk"
    title = f"One test with one request, {TABLES} tables, PostgreSQL {disk}"
    with capsys.disabled():
        print("\n" + table(title, results(seconds, reference=NONE)))
    assert set(seconds) > {NONE, OURS}


def _measured(server: PostgreSQL, tmp_path: Path, rounds: int) -> dict[str, list[float]]:
    """The seconds of each way, a figure for each round."""
    url, written = server.borrow(), tmp_path / "seconds.json"
    (tmp_path / "pytest.ini").write_text("[pytest]\nuow_isolation = marked\npython_files = cost_*.py\n")
    pytest_here = [sys.executable, "-m", "pytest", "-q", "-c", str(tmp_path / "pytest.ini"), str(PROJECT)]
    subprocess.run(
        [
            *pytest_here,
            "--import-mode=importlib",
            # Named and not found: as a conftest.py it would measure the tests of this project, too.
            *("-p", "tests.benchmarks.one_test.measuring"),
            *("-p", "no:randomly"),
            *("-p", "no:asyncio"),
            *("-p", "no:cacheprovider"),
        ],
        check=True,
        stdout=subprocess.DEVNULL,
        env={
            **os.environ,
            "PYTHONPATH": str(PROJECT.parents[2]),
            "ONE_TEST_SERVER": url.render_as_string(hide_password=False),
            "ONE_TEST_RESULTS": str(written),
            "ONE_TEST_ROUNDS": str(rounds),
        },
    )
    return {way: _by_round(own, rounds) for way, own in json.loads(written.read_text()).items()}


def _by_round(seconds: list[float], rounds: int) -> list[float]:
    """The median of each round's turns, without the round that warms up."""
    turns = len(seconds) // (rounds + 1)
    return [statistics.median(seconds[turns * number : turns * (number + 1)]) for number in range(1, rounds + 1)]
