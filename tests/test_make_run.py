"""``make run`` in a terminal: what a newcomer types first, and how it ends."""

from __future__ import annotations

import shlex
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
CTRL_C = b"\x03"
SECONDS = 60

# Runs its arguments in a terminal of their own: what arrives on stdin is typed there.
IN_A_TERMINAL = "import os, pty, sys; sys.exit(os.waitstatus_to_exitcode(pty.spawn(sys.argv[1:])))"

Type = Callable[..., "subprocess.Popen[bytes]"]


@pytest.fixture
def virtual_environment(tmp_path: Path) -> Path:
    """What ``make`` takes for an environment in which all is installed: it is the one that the tests run in."""
    folder = tmp_path / "venv"
    python = folder / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} "$@"\n')
    python.chmod(0o755)
    for stamp in (".created", ".run"):
        (folder / stamp).touch()
    return folder


@pytest.fixture
def make_run(virtual_environment: Path, tmp_path: Path) -> Iterator[Type]:
    """Type ``make run``, with other arguments if you like."""
    with ExitStack() as running:

        def type_it(port: int) -> subprocess.Popen[bytes]:
            command = [
                "make",
                "run",
                f"PORT={port}",
                f"VENV={virtual_environment}",
                f"RUN_ARGS=--instance {tmp_path}/i",
            ]
            process = running.enter_context(
                subprocess.Popen(
                    [sys.executable, "-c", IN_A_TERMINAL, *command],
                    cwd=ROOT,
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                )
            )
            running.callback(process.kill)
            return process

        yield type_it


def test_it_prints_the_address_and_ctrl_c_ends_it_with_success(make_run: Type) -> None:
    process = make_run(port=0)
    assert process.stdin is not None
    assert process.stdout is not None
    said = b""
    while b"http://127.0.0.1:" not in said:
        line = process.stdout.readline()
        assert line, said.decode()
        said += line
    process.stdin.write(CTRL_C)
    process.stdin.flush()
    rest, _ = process.communicate(timeout=SECONDS)
    assert process.returncode == 0, (said + rest).decode()
    assert b"Traceback" not in rest
    assert b"***" not in rest


def test_a_taken_port_is_an_error_that_says_how_to_choose_another(make_run: Type) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        process = make_run(port=port)
        said, _ = process.communicate(timeout=SECONDS)
    assert process.returncode != 0
    assert f"make run PORT={port + 1}" in said.decode()
