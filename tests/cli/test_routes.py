"""``flask uow routes``: a row for each endpoint."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest
from flask import Blueprint, Response, stream_with_context
from flask.typing import ResponseReturnValue
from flask.views import MethodView, View
from werkzeug.routing import Rule

from tests.cli.table import app_with, output_of, row_of, rows_of, uow


def view() -> str:
    return "done"


class TestTheTable:
    def test_looks_like_that_of_flask_routes(self) -> None:
        server = app_with()
        server.add_url_rule("/orders", "orders", view)
        server.add_url_rule("/orders", "order", uow.transaction(attempts=3)(view), methods=["POST"])

        assert output_of(server).splitlines() == [
            "Endpoint  Methods  Rule     Commit   Reads        Isolation  Attempts  Read-only  Streaming",
            "--------  -------  -------  -------  -----------  ---------  --------  ---------  ---------",
            "order     POST     /orders  success  transaction  default    3         no         no",
            "orders    GET      /orders  success  autocommit   default    1         no         no",
        ]

    def test_has_one_row_for_an_endpoint_with_several_rules(self) -> None:
        server = app_with()
        server.add_url_rule("/orders/", "view", view)
        server.add_url_rule("/orders/<int:id>", "view", view, methods=["PUT", "DELETE"])

        row = row_of(server)
        assert (row["Methods"], row["Rule"]) == ("DELETE, GET, PUT", "/orders/, /orders/<int:id>")

    def test_lists_blueprints_and_static_files(self) -> None:
        server = app_with(static_folder="static")
        shelf = Blueprint("shelf", __name__, url_prefix="/shelf")
        shelf.add_url_rule("/<name>", "view", uow.explicit_commit(lambda name: name))
        server.register_blueprint(shelf)

        rows = rows_of(server)
        assert list(rows) == ["shelf.view", "static"]
        assert (rows["shelf.view"]["Rule"], rows["shelf.view"]["Commit"]) == ("/shelf/<name>", "explicit")
        assert (rows["static"]["Rule"], rows["static"]["Streaming"]) == ("/static/<path:filename>", "yes")

    def test_of_an_app_without_routes_says_so(self) -> None:
        assert output_of(app_with()) == "No routes were registered.\n"

    def test_leaves_out_what_only_builds_urls(self) -> None:
        server = app_with()
        server.add_url_rule("/cdn/<name>", "cdn", build_only=True)
        server.add_url_rule("/", "view", view)

        assert list(rows_of(server)) == ["view"]

    def test_lists_a_rule_whose_view_is_missing(self) -> None:
        server = app_with()
        server.add_url_rule("/", "nobody")

        assert row_of(server, "nobody")["Commit"] == "success"

    def test_never_shows_what_the_configuration_holds(self) -> None:
        server = app_with("postgresql+psycopg://shop:s3cr3t@localhost/shop", SECRET_KEY="s3cr3t")
        server.add_url_rule("/", "view", view)

        assert "s3cr3t" not in output_of(server)


class TestMethods:
    def test_are_without_those_that_flask_adds(self) -> None:
        server = app_with()
        server.add_url_rule("/", "view", view, methods=["GET", "POST"])

        assert row_of(server)["Methods"] == "GET, POST"

    def test_are_with_those_that_the_view_answers_itself(self) -> None:
        class Own(MethodView):
            def get(self) -> str:
                return "got"

            def head(self) -> str:
                return ""

        server = app_with()
        server.add_url_rule("/own", view_func=Own.as_view("own"))
        server.add_url_rule("/head", "head", view, methods=["HEAD"])
        server.add_url_rule("/options", "options", view, methods=["OPTIONS"])

        rows = rows_of(server)
        assert {name: row["Methods"] for name, row in rows.items()} == {
            "own": "GET, HEAD",
            "head": "HEAD",
            "options": "OPTIONS",
        }

    def test_may_be_any(self) -> None:
        server = app_with()
        server.url_map.add(Rule("/", endpoint="view"))
        server.endpoint("view")(uow.explicit_commit(view_that_is_marked))

        row = row_of(server)
        assert (row["Methods"], row["Commit"]) == ("any", "explicit")

    def test_may_be_none(self) -> None:
        server = app_with()
        server.add_url_rule("/", "view", view, methods=[])

        row = row_of(server)
        assert (row["Methods"], row["Commit"]) == ("", "success")


def view_that_is_marked() -> str:
    return "done"


class TestMethodsThatDiffer:
    def test_are_named_in_the_cells(self) -> None:
        class Orders(MethodView):
            def get(self) -> str:
                return "got"

            @uow.explicit_commit
            @uow.transaction(isolation_level="SERIALIZABLE", attempts=3, timeout=2.5)
            def post(self) -> str:
                return "posted"

            @uow.read_only()
            def put(self) -> str:
                return "put"

            def delete(self) -> ResponseReturnValue:
                return stream_with_context(iter(["deleted"])), 200

        server = app_with()
        server.add_url_rule("/", view_func=Orders.as_view("view"))

        assert row_of(server) == {
            "Endpoint": "view",
            "Methods": "DELETE, GET, POST, PUT",
            "Rule": "/",
            "Commit": "explicit (POST), success (DELETE, GET, PUT)",
            "Reads": "autocommit (GET), transaction (DELETE, POST, PUT)",
            "Isolation": "SERIALIZABLE (POST), default (DELETE, GET, PUT)",
            "Timeout": "2.5 s (POST), none (DELETE, GET, PUT)",
            "Attempts": "1 (DELETE, GET, PUT), 3 (POST)",
            "Read-only": "no (DELETE, GET, POST), yes (PUT)",
            "Streaming": "no (GET, POST, PUT), yes (DELETE)",
        }

    def test_are_one_where_the_whole_class_is_marked(self) -> None:
        @uow.explicit_commit
        class Orders(MethodView):
            decorators = [uow.transaction(attempts=2)]  # noqa: RUF012

            def get(self) -> str:
                return "got"

            def post(self) -> str:
                return "posted"

        server = app_with()
        server.add_url_rule("/", view_func=Orders.as_view("view"))

        row = row_of(server)
        assert (row["Commit"], row["Attempts"]) == ("explicit", "2")

    def test_do_not_exist_in_a_view_of_one_function(self) -> None:
        class Report(View):
            methods = ["GET", "POST"]  # noqa: RUF012

            @uow.read_only()
            def dispatch_request(self) -> str:
                return "report"

        server = app_with()
        server.add_url_rule("/", view_func=Report.as_view("view"))

        assert row_of(server)["Read-only"] == "yes"


class TestReads:
    def test_are_in_autocommit_where_the_method_is_safe_and_the_view_asks_for_no_transaction(self) -> None:
        server = app_with()
        server.add_url_rule("/get", "get", view)
        server.add_url_rule("/head", "head", view, methods=["HEAD"])
        server.add_url_rule("/own", "own", uow.explicit_commit(lambda: "done"))
        server.add_url_rule("/post", "post", view, methods=["POST"])
        server.add_url_rule("/both", "both", view, methods=["GET", "POST"])
        server.add_url_rule("/whole", "whole", uow.transaction()(view))
        server.add_url_rule("/moment", "moment", uow.read_only(isolation_level="REPEATABLE READ")(view))

        assert {name: row["Reads"] for name, row in rows_of(server).items()} == {
            "get": "autocommit",
            "head": "autocommit",
            "own": "autocommit",
            "post": "transaction",
            "both": "autocommit (GET), transaction (POST)",
            "whole": "transaction",
            "moment": "transaction",
        }

    def test_are_in_transactions_where_the_app_asks_for_that(self) -> None:
        server = app_with(UNITOFWORK_READS="transaction")
        server.add_url_rule("/", "view", view)

        assert row_of(server)["Reads"] == "transaction"

    @pytest.mark.parametrize(
        ("reads", "told"),
        [("autocommit", "autocommit (safe methods), transaction (others)"), ("transaction", "transaction")],
    )
    def test_of_a_view_for_any_method_depend_on_it(self, reads: str, told: str) -> None:
        server = app_with(UNITOFWORK_READS=reads)
        server.url_map.add(Rule("/", endpoint="view"))
        server.endpoint("view")(view)

        assert row_of(server)["Reads"] == told

    @pytest.mark.parametrize(
        ("database", "told"),
        [
            ("sqlite://", "autocommit"),
            ("postgresql+psycopg://db.internal/shop", "autocommit"),
            ("postgresql+psycopg2://db.internal/shop", "transaction"),
            ("mysql+pymysql://db.internal/shop", "autocommit"),
            ("mariadb+pymysql://db.internal/shop", "autocommit"),
            ({"url": "mysql+pymysql://db.internal/shop", "connect_args": {"autocommit": False}}, "transaction"),
            ({"url": "mysql+pymysql://db.internal/shop", "isolation_level": "READ COMMITTED"}, "transaction"),
        ],
    )
    def test_are_in_transactions_where_the_driver_or_its_options_allow_nothing_else(
        self, database: Any, told: str
    ) -> None:
        server = app_with({"default": database})
        server.add_url_rule("/", "view", view)

        assert row_of(server)["Reads"] == told
        assert "Reads on" not in output_of(server)

    def test_come_with_a_note_that_names_the_databases_on_which_all_are_in_transactions(self) -> None:
        server = app_with({"default": "sqlite://", "archive": "postgresql+psycopg2://db.internal/archive"})
        server.add_url_rule("/", "view", view)

        assert row_of(server)["Reads"] == "autocommit"
        assert output_of(server).endswith(
            "\n\nReads on 'archive' are in a transaction everywhere: the driver, or what was chosen for the database,"
            " allows nothing else.\n"
        )

    def test_that_are_all_in_transactions_need_no_note(self) -> None:
        server = app_with({"default": "sqlite://", "archive": "postgresql+psycopg2://db.internal/archive"})
        server.add_url_rule("/", "view", view, methods=["POST"])

        assert "Reads on" not in output_of(server)


class TestTheCommitRule:
    def test_may_be_explicit_for_all(self) -> None:
        server = app_with(UNITOFWORK_COMMIT="explicit")
        server.add_url_rule("/", "view", view)

        assert row_of(server)["Commit"] == "explicit"

    def test_comes_with_a_note_that_names_the_policy(self) -> None:
        server = app_with(UNITOFWORK_COMMIT_POLICY=also_conflicts)
        server.add_url_rule("/", "view", view)

        note = output_of(server).splitlines()[-2:]
        assert note == ["", f"Success is what {__name__}.also_conflicts says it is (UNITOFWORK_COMMIT_POLICY)."]

    @pytest.mark.parametrize("kind", ["partial", "method", "object"])
    def test_names_a_policy_of_any_kind_without_showing_what_is_in_it(self, kind: str) -> None:
        policy, name = {
            "partial": (partial(also_conflicts, key="s3cr3t"), "also_conflicts"),
            "method": (Policy("s3cr3t").accepts, "Policy.accepts"),
            "object": (Policy("s3cr3t"), "Policy"),
        }[kind]
        server = app_with(UNITOFWORK_COMMIT_POLICY=policy)
        server.add_url_rule("/", "view", view)

        assert f"Success is what {__name__}.{name} says" in output_of(server)
        assert "s3cr3t" not in output_of(server)

    def test_comes_without_a_note_where_no_policy_decides(self) -> None:
        server = app_with(UNITOFWORK_COMMIT="explicit", UNITOFWORK_COMMIT_POLICY=also_conflicts)
        server.add_url_rule("/", "view", view)

        assert "also_conflicts" not in output_of(server)


def also_conflicts(response: Response, key: str = "") -> bool:
    return response.status_code < 400 or response.status_code == 409


class Policy:
    def __init__(self, key: str) -> None:
        self.key = key

    def __repr__(self) -> str:
        return f"Policy({self.key})"

    def __call__(self, response: Response) -> bool:
        return self.accepts(response)

    def accepts(self, response: Response) -> bool:
        return response.status_code < 400
