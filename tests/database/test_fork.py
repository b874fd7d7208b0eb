"""Real processes that fork. What they do is in `fork_scenarios`; here is what must come of it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from typing import Any

import pytest
from sqlalchemy import make_url

from tests.servers.mariadb import WITHOUT_TLS

REFUSAL = "this process was forked while a connection to"

# What the interpreter finalises at its end can do harm; where it is skipped, there is less that could.
every_ending = pytest.mark.parametrize("ending", ["exit", "_exit"])


def run(scenario: str, url: str, ending: str = "exit", *, without: str = "") -> dict[str, Any]:
    """What parent and child saw, *without* a variable of the environment."""
    program = subprocess.run(
        [sys.executable, "-W", "error", "-m", "tests.database.fork_scenarios", scenario, url, ending],
        env={
            **{name: value for name, value in os.environ.items() if name != without},
            "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
        },
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )
    assert program.returncode == 0, program.stderr
    seen: dict[str, Any] = json.loads(program.stdout)
    return seen


def is_sqlite(url: str) -> bool:
    return make_url(url).get_backend_name() == "sqlite"


@every_ending
def test_children_of_a_preloading_server_never_share_its_idle_connections(database_url: str, ending: str) -> None:
    seen = run("idle_pool", database_url, ending)

    assert seen["committed"] == ["child", "child"]
    assert sorted(seen["after"]) == sorted(seen["before"]), "the parent has lost a connection"
    if not is_sqlite(database_url):
        backends = seen["before"] + [child["backend"] for child in seen["children"]]
        assert len(set(backends)) == 4, "a child speaks to a server process of somebody else"


@every_ending
def test_a_fork_inside_a_transaction_leaves_the_transaction_to_the_parent(database_url: str, ending: str) -> None:
    seen = run("in_transaction", database_url, ending)

    assert seen["inside"] == ["parent"]
    assert seen["committed"] == ["parent"]
    assert seen["after"] == seen["before"]
    child = seen["child"]
    assert child["invalidated"]
    assert child["refused"], "the child went on in a transaction that is not its own"
    if is_sqlite(database_url):
        assert child["error"].startswith(REFUSAL)
    else:
        assert child["names"] == [], "the child sees what its parent has not committed"
        assert child["backend"] != seen["before"]


def test_what_a_child_commits_stays_when_its_parent_closes_its_connections(database_url: str) -> None:
    seen = run("after_reading", database_url)

    assert seen["child"]["names"] == ["before", "child, first", "child, second"]
    assert seen["committed"] == seen["child"]["names"]


def test_a_fork_does_not_mind_a_database_that_is_gone(sqlite_url: str) -> None:
    assert run("file_is_gone", sqlite_url) == {"invalidated": True}


def test_a_child_cannot_take_rows_from_a_result_that_its_parent_is_reading(database_url: str) -> None:
    seen = run("while_streaming", database_url)

    assert seen["rows"] == 2000


def test_forking_while_threads_serve_requests_corrupts_neither(database_url: str) -> None:
    # Threads that prepare for TLS hold locks of OpenSSL.
    url = make_url(database_url).difference_update_query(WITHOUT_TLS).render_as_string(hide_password=False)
    # coverage keeps its data in SQLite, which may hang where a process forked while its threads were inside SQLite.
    seen = run("busy_threads", url, without="COVERAGE_PROCESS_CONFIG" if is_sqlite(database_url) else "")

    children = Counter("added" if child.get("added") else child["error"][: len(REFUSAL)] for child in seen["children"])
    if is_sqlite(database_url):
        assert set(children) <= {"added", REFUSAL}
    else:
        assert set(children) == {"added"}
    rows = Counter(seen["committed"])
    assert rows["child"] == children["added"]
    assert rows.total() == seen["served"] + children["added"]
    assert all(count == 1 for name, count in rows.items() if name != "child")


def test_a_fork_waits_for_threads_that_connect(sqlite_url: str) -> None:
    # The locks that the thread holds meanwhile, of libc and of OpenSSL, would be held in the child for ever.
    seen = run("while_connecting", sqlite_url)

    assert seen["order"] == ["answered", "forked"]
    assert seen["child"]["order"] == ["answered"]


def test_a_fork_does_not_wait_for_a_server_that_never_answers(sqlite_url: str) -> None:
    seen = run("while_connecting_in_vain", sqlite_url)

    assert seen["order"] == ["forked", "answered"]
    assert seen["child"]["committed"] == [], "a child connects by itself, whatever its parent's threads were doing"
