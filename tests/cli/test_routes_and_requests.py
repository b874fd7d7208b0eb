"""``flask uow routes`` beside requests: what it says of an endpoint is what they get there."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest
from flask import request
from flask.views import MethodView
from sqlalchemy import select, text

from tests.cli.table import app_with, rows_of, uow
from tests.conftest import Outside


class TestARequest:
    @pytest.mark.parametrize("config", [{}, {"UNITOFWORK_STATEMENT_TIMEOUT": 7}])
    def test_gets_the_transaction_that_the_table_tells(self, postgresql_url: str, config: dict[str, Any]) -> None:
        def transaction() -> dict[str, str]:
            shown = {
                name: str(uow.session.scalar(text(f"SHOW {name}")))
                for name in ("transaction_isolation", "transaction_read_only", "statement_timeout")
            }
            return {
                "Isolation": {"read committed": "default"}.get(
                    shown["transaction_isolation"], shown["transaction_isolation"].upper()
                ),
                "Read-only": {"on": "yes", "off": "no"}[shown["transaction_read_only"]],
                "Timeout": {"0": "none", "2500ms": "2.5 s", "7s": "7 s"}[shown["statement_timeout"]],
            }

        class ByMethod(MethodView):
            @uow.transaction(timeout=2.5)
            def get(self) -> dict[str, str]:
                return transaction()

        server = app_with(postgresql_url, **config)
        server.add_url_rule("/plain", "plain", transaction)
        server.add_url_rule("/level", "level", uow.transaction(isolation_level="SERIALIZABLE")(transaction))
        server.add_url_rule("/read", "read", uow.read_only(isolation_level="REPEATABLE READ")(transaction))
        server.add_url_rule("/own", "own", uow.explicit_commit(uow.transaction(read_only=True)(transaction)))
        server.add_url_rule("/method", view_func=ByMethod.as_view("method"))

        for endpoint, row in rows_of(server).items():
            got = server.test_client().get(row["Rule"]).get_json()
            assert {name: row[name] for name in got} == got, endpoint
        with server.app_context():
            uow.dispose()

    @pytest.mark.parametrize("reads", ["autocommit", "transaction"])
    def test_reads_as_the_table_tells(self, postgresql_url: str, reads: str) -> None:
        def read() -> dict[str, str]:
            uow.session.execute(select(1))
            return {request.method: "transaction" if uow.engine.pool.checkedout() else "autocommit"}  # type: ignore[attr-defined]

        server = app_with(postgresql_url, UNITOFWORK_READS=reads)
        server.add_url_rule("/plain", "plain", read, methods=["GET", "POST"])
        server.add_url_rule("/whole", "whole", uow.transaction()(read))
        server.add_url_rule("/moment", "moment", uow.read_only(isolation_level="REPEATABLE READ")(read))
        server.add_url_rule("/own", "own", uow.explicit_commit(partial(read)))

        for endpoint, row in rows_of(server).items():
            got: dict[str, str] = {}
            for method in row["Methods"].split(", "):
                got |= server.test_client().open(row["Rule"], method=method).get_json()
            apart = ", ".join(f"{how} ({method})" for method, how in sorted(got.items(), key=lambda one: one[1]))
            assert row["Reads"] == (apart if len(set(got.values())) > 1 else got["GET"]), endpoint
        with server.app_context():
            uow.dispose()

    @pytest.mark.parametrize("app_wide", [1, 2])
    def test_gets_as_many_attempts_as_the_table_tells(self, sqlite_url: str, outside: Outside, app_wide: int) -> None:
        runs: list[str | None] = []

        def write() -> str:
            runs.append(request.endpoint)
            uow.session.execute(text("CREATE TABLE orders (id INTEGER)"))
            return "written"

        server = app_with(sqlite_url, UNITOFWORK_LOCK_TIMEOUT=0.01, UNITOFWORK_ATTEMPTS=app_wide)
        server.add_url_rule("/plain", "plain", write, methods=["POST"])
        server.add_url_rule("/thrice", "thrice", uow.transaction(attempts=3)(write), methods=["POST"])
        server.add_url_rule("/own", "own", uow.explicit_commit(uow.transaction(attempts=2)(write)), methods=["POST"])

        rows = rows_of(server)
        with outside(sqlite_url) as connection:
            connection.exec_driver_sql("BEGIN IMMEDIATE")
            for row in rows.values():
                assert server.test_client().post(row["Rule"]).status_code == 500
        assert {endpoint: str(runs.count(endpoint)) for endpoint in rows} == {
            endpoint: row["Attempts"] for endpoint, row in rows.items()
        }
        with server.app_context():
            uow.dispose()

    @pytest.mark.parametrize("config", [{}, {"UNITOFWORK_COMMIT": "explicit"}])
    def test_is_committed_by_its_success_where_the_table_tells_so(
        self, sqlite_url: str, config: dict[str, Any]
    ) -> None:
        def write() -> str:
            uow.session.execute(text("INSERT INTO orders VALUES (:name)"), {"name": request.endpoint})
            return "written"

        class ByMethod(MethodView):
            @uow.explicit_commit
            def post(self) -> str:
                return write()

        server = app_with(sqlite_url, **config)
        server.add_url_rule("/plain", "plain", write, methods=["POST"])
        server.add_url_rule("/marked", "marked", uow.explicit_commit(partial(write)), methods=["POST"])
        server.add_url_rule("/method", view_func=ByMethod.as_view("method"))
        with uow.scope(server) as session:
            session.execute(text("CREATE TABLE orders (name TEXT)"))

        rows = rows_of(server)
        for row in rows.values():
            server.test_client().post(row["Rule"])
        with uow.scope(server) as session:
            kept = set(session.scalars(text("SELECT name FROM orders")))
        assert kept == {endpoint for endpoint, row in rows.items() if row["Commit"] == "success"}
        with server.app_context():
            uow.dispose()
