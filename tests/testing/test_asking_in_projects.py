"""What tests ask of an app, as a project with pytest-flask sees it: fixtures, ini options, and what failures say."""

from __future__ import annotations

import re

from .conftest import Project

N_PLUS_ONE = """
@pytest.fixture(autouse=True)
def view(app):
    @app.get("/one-by-one")
    def one_by_one():
        return [uow.session.scalars(select(Item.name).where(Item.id == n)).all() for n in range(4)]

    @app.get("/at-once")
    def at_once():
        return list(uow.session.scalars(select(Item.name).where(Item.id.in_(range(4)))))
"""


def test_fixtures_ask_of_the_app_of_the_test(project: Project) -> None:
    tests = """
def test_statements(client, assert_statements, assert_max_statements, assert_no_lazy_loads):
    with assert_statements(1) as sent, assert_max_statements(1), assert_no_lazy_loads():
        assert client.post("/items/tea").status_code == 201
    assert "INSERT INTO item" in sent[0].text

def test_outcomes(client, assert_committed, assert_rolled_back, uow_outcomes):
    client.post("/items/tea")
    assert_committed()
    client.post("/items/tea")
    assert_rolled_back()
    assert "IntegrityError" in uow_outcomes.endings[-1].reason

def test_hooks(app, captured_hooks):
    ran = []
    with uow.scope(app):
        uow.on_commit(lambda: ran.append("now"))
    assert ran == []
    assert len(captured_hooks.run()) == 1
    assert ran == ["now"]

def test_faults(client, uow_faults):
    uow_faults.flush("unique_violation")
    assert client.post("/items/tea").status_code == 409
    assert client.post("/items/tea").status_code == 201

def test_rehearsal(app, client, rehearse_retries):
    @app.post("/again")
    @uow.transaction(attempts=2)
    def again():
        uow.session.add(Item(name="tea"))
        return "done"
    assert client.post("/again").status_code == 200
    assert rehearse_retries.rehearsed == ["POST /again"]
"""
    project(tests).assert_outcomes(passed=5)


def test_a_failure_shows_the_test_s_line_and_the_statements(sqlite_project: Project) -> None:
    tests = """
def test_too_many(client, assert_statements):
    with assert_statements(0):
        client.get("/items")
"""
    result = sqlite_project(tests)
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        [
            ">       with assert_statements(0):",
            "E       AssertionError: 0 statements were expected, and 1 statement was sent:",
            "E       1. SELECT item.name FROM item ORDER BY item.id",
            "E *shop.py:*, in create_app.<locals>.names",
        ]
    )
    assert "recorder" not in result.stdout.str()


def test_a_fault_that_never_happens_fails_the_test_itself(sqlite_project: Project) -> None:
    tests = """
def test_unused(client, uow_faults):
    uow_faults.commit("deadlock")

def test_that_fails_anyway(client, uow_faults):
    uow_faults.commit("deadlock")
    assert 1 == 2
"""
    result = sqlite_project(tests)
    result.assert_outcomes(failed=2)
    result.stdout.fnmatch_lines(
        ["Faults were asked for that never happened*", "- commit: deadlock, 0 of 1*test_shop.py:5, in test_unused"]
    )
    result.stdout.fnmatch_lines(["E*assert 1 == 2"])
    assert "During handling" not in result.stdout.str()


def test_repeated_statements_are_an_error_where_the_project_says_so(sqlite_project: Project) -> None:
    tests = f"""{N_PLUS_ONE}
def test_loop(client):
    client.get("/one-by-one")

def test_one_query(client):
    for _ in range(5):
        client.get("/at-once")

@pytest.mark.uow_repeated_statements("off")
def test_loop_that_may_be(client):
    client.get("/one-by-one")
"""
    result = sqlite_project(tests, "-o", "uow_repeated_statements=error")
    result.assert_outcomes(passed=2, failed=1)
    result.stdout.fnmatch_lines(
        [
            "One query was sent 4 times in one unit of work. Fetch the rows with one query*",
            "*SELECT item.name FROM item WHERE item.id = ?",
            "*test_shop.py:*, in view.<locals>.one_by_one*",
        ]
    )


def test_repeated_statements_are_a_warning_at_their_line(sqlite_project: Project) -> None:
    tests = f"""{N_PLUS_ONE}
def test_loop(client):
    client.get("/one-by-one")
"""
    warn = ("-o", "uow_repeated_statements=warn", "-W", "default::flask_unitofwork.testing.RepeatedStatementWarning")
    result = sqlite_project(tests, *warn)
    result.assert_outcomes(passed=1, warnings=1)
    assert re.search(r"test_shop\.py:8: RepeatedStatementWarning: One query was sent 4 times", result.stdout.str())
    sqlite_project(tests, *warn, "-o", "uow_repeated_statements_threshold=5").assert_outcomes(passed=1)


def test_repeated_statements_are_looked_for_only_if_asked(sqlite_project: Project) -> None:
    sqlite_project(f"{N_PLUS_ONE}\ndef test_loop(client):\n    client.get('/one-by-one')\n").assert_outcomes(passed=1)


def test_retries_are_rehearsed_in_every_test_where_the_project_says_so(sqlite_project: Project) -> None:
    tests = """
from itertools import count
numbers = count()

def test_counter(app, client):
    @app.post("/count")
    @uow.transaction(attempts=2)
    def counted():
        uow.session.add(Item(name=f"item {next(numbers)}"))
        return "done"
    client.post("/count")
"""
    sqlite_project(tests).assert_outcomes(passed=1)
    result = sqlite_project(tests, "-o", "uow_rehearse_retries=true")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["POST /count: the value of 'name' differs in:"])


def test_an_option_that_cannot_be_is_refused_before_any_test(sqlite_project: Project) -> None:
    for option, says in (
        ("uow_repeated_statements=sometimes", '*uow_repeated_statements must be "off", "warn" or "error"*sometimes*'),
        ("uow_repeated_statements_threshold=1", "*uow_repeated_statements_threshold must be a number from 2 on*'1'*"),
    ):
        result = sqlite_project("def test_nothing():\n    pass\n", "-o", option)
        result.stderr.fnmatch_lines([says])


def test_tests_without_an_app_are_left_alone(sqlite_project: Project) -> None:
    tests = "def test_nothing():\n    pass\n"
    sqlite_project(tests, "-o", "uow_repeated_statements=error", "-o", "uow_rehearse_retries=true").assert_outcomes(
        passed=1
    )
