"""``python -m example_app`` as people start it: a process of its own."""

from __future__ import annotations

import json
import os
import re
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final
from urllib.request import Request, urlopen

import pytest

ROOT: Final = Path(__file__).parents[2]
PATIENCE: Final = 60  # seconds until a start is taken for failed


@contextmanager
def started(
    instance: Path, environment: Mapping[str, str] | None = None
) -> Generator[tuple[subprocess.Popen[str], str]]:
    """The shop, open, and its address. What is still running at the end is killed."""
    command = [sys.executable, "-W", "error", "-m", "example_app", "--port", "0", "--instance", str(instance)]
    process = subprocess.Popen(
        command,
        cwd=ROOT,
        env={**os.environ, **(environment or {})},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    with process:
        try:
            yield process, _address(process)
        finally:
            if process.poll() is None:
                process.kill()


def _address(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    assert process.stderr is not None
    printed = ""
    deadline = time.monotonic() + PATIENCE
    while (found := re.search(r"http://\S+", printed)) is None:
        ready, _, _ = select.select([process.stdout], [], [], max(0, deadline - time.monotonic()))
        line = process.stdout.readline() if ready else ""
        if not line:
            process.kill()
            pytest.fail(f"the shop did not open; it printed {printed!r} and {process.stderr.read()!r}")
        printed += line
    return found[0].rstrip("/")


def ended(process: subprocess.Popen[str], with_signal: signal.Signals = signal.SIGINT) -> str:
    """End the shop as a person does; what it wrote to stderr."""
    process.send_signal(with_signal)
    _, errors = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0, errors
    return errors


def fetch(url: str, body: object = None) -> Any:
    request = Request(url, None if body is None else json.dumps(body).encode(), {"Content-Type": "application/json"})
    with urlopen(request, timeout=PATIENCE) as response:
        return json.load(response)


def test_the_first_run_makes_a_shop_with_example_data(instance: Path) -> None:
    with started(instance) as (process, address):
        assert fetch(f"{address}/api/products")["total"] >= 60
        assert fetch(f"{address}/api/customers")["total"] >= 12
        assert fetch(f"{address}/api/orders")["total"] > 0
        ended(process)
    assert (instance / "corner_shop.db").exists()


def test_the_second_run_keeps_the_data(instance: Path) -> None:
    with started(instance) as (process, address):
        order = {"customer_id": 1, "lines": [{"product_id": 1, "quantity": 1}]}
        placed = fetch(f"{address}/api/orders", order)
        ended(process)
    with started(instance) as (process, address):
        assert fetch(f"{address}{placed['url']}") == placed
        assert fetch(f"{address}/api/products")["total"] == 74
        ended(process)


def test_the_shop_runs_on_every_database(database_url: str, instance: Path) -> None:
    with started(instance, {"FLASK_UNITOFWORK_DATABASES": database_url}) as (process, address):
        assert fetch(f"{address}/api/orders")["total"] == 18
        assert "Traceback" not in ended(process)
    assert not (instance / "corner_shop.db").exists()


@pytest.mark.parametrize("with_signal", [signal.SIGINT, signal.SIGTERM], ids=lambda one: one.name)
def test_ctrl_c_and_sigterm_end_it_cleanly(instance: Path, with_signal: signal.Signals) -> None:
    with started(instance) as (process, address):
        fetch(f"{address}/api/orders", {"customer_id": 1, "lines": [{"product_id": 1, "quantity": 1}]})
        errors = ended(process, with_signal)
    assert "Traceback" not in errors
    assert "Exception ignored" not in errors
    # SQLite folds its log into the database when the last connection is closed: nothing was left open.
    assert sorted(path.name for path in instance.iterdir()) == ["corner_shop.db", "outbox", "secret_key"]


def test_ctrl_c_closes_a_shop_with_an_idle_visitor(instance: Path) -> None:
    with started(instance) as (process, address):
        host, port = address.removeprefix("http://").split(":")
        with socket.create_connection((host, int(port))):
            ended(process)


def test_a_taken_port_is_an_error_that_says_how_to_choose_another(instance: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        command = [sys.executable, "-m", "example_app", "--port", str(port), "--instance", str(instance)]
        process = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert process.returncode == 1
    assert f"port {port} of 127.0.0.1 is taken" in process.stderr
    assert "make run PORT=" in process.stderr
    assert "Traceback" not in process.stderr
    assert process.stdout == ""
    assert not instance.exists()


@pytest.mark.parametrize(
    ("arguments", "environment", "words"),
    [
        (["--port", "70000"], {}, "from 0 to 65535"),
        (["--host", "256.0.0.1"], {}, "example_app: "),
        (["--port", "0"], {"FLASK_UNITOFWORK_DATABASES": "nonsense"}, "UNITOFWORK_DATABASES is not a database URL"),
        (["--port", "0"], {"FLASK_UNITOFWORK_DATABASES": "sqlite:////no/such/folder/x.db"}, "unable to open database"),
    ],
)
def test_what_keeps_it_from_opening_is_told_in_a_line(
    instance: Path, arguments: list[str], environment: dict[str, str], words: str
) -> None:
    command = [sys.executable, "-m", "example_app", "--instance", str(instance), *arguments]
    process = subprocess.run(
        command,
        cwd=ROOT,
        env=os.environ | environment,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert process.returncode == 1
    assert words in process.stderr
    assert "Traceback" not in process.stderr
