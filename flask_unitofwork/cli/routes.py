"""What the requests to each endpoint get, as a table.

What a request gets is decided where it is dispatched, so the table asks the same functions, once for each method that
an endpoint answers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import groupby
from operator import attrgetter
from typing import Any, Final

from flask import Flask
from werkzeug.routing import Rule

from ..database.autocommit import reads_in_autocommit
from ..transaction import TransactionOptions
from ..web import APP_STATE, AppState
from ..web.views import ViewDemarcation, demarcation_of_endpoint, parts_of_view
from .streams import function_behind, seems_to_stream

__all__ = ["table_of_routes"]

_NO_LIMIT: Final = "none"
_ANY_METHOD: Final = "any"
_AUTOCOMMIT: Final = "autocommit"
_TRANSACTION: Final = "transaction"


def table_of_routes(app: Flask) -> Iterator[str]:
    """The lines of a table with one row for each endpoint of *app*, sorted by endpoint."""
    state: AppState = app.extensions[APP_STATE]
    # What is only there to build URLs never gets a request.
    rules = [rule for rule in app.url_map.iter_rules() if not rule.build_only]
    rules.sort(key=attrgetter("endpoint", "rule"))
    rows = [_row(app, state, endpoint, list(those)) for endpoint, those in groupby(rules, attrgetter("endpoint"))]
    if not rows:
        yield "No routes were registered."
        return
    if all(row["Timeout"] == _NO_LIMIT for row in rows):
        for row in rows:
            del row["Timeout"]
    yield from _aligned([list(rows[0]), *(list(row.values()) for row in rows)])
    policy = state.settings.commit_policy
    if policy is not None and any("success" in row["Commit"] for row in rows):
        yield ""
        yield f"Success is what {_name_of(policy)} says it is (UNITOFWORK_COMMIT_POLICY)."
    others = [name for name, engine in state.engines.items() if not reads_in_autocommit(engine)]
    if others and any(_AUTOCOMMIT in row["Reads"] for row in rows):
        yield ""
        yield (
            f"Reads on {', '.join(map(repr, others))} are in a transaction everywhere: the driver, or what was chosen"
            " for the database, allows nothing else."
        )


def _row(app: Flask, state: AppState, endpoint: str, rules: Sequence[Rule]) -> dict[str, str]:
    """The cells of *endpoint*, by the names of their columns."""
    view = app.view_functions.get(endpoint)
    methods = sorted({method for rule in rules for method in _methods(rule, view)})
    gets = {method: _what_it_gets(app, state, endpoint, method) for method in methods or [""]}
    columns = next(iter(gets.values()))
    return {
        "Endpoint": endpoint,
        "Methods": ", ".join(methods),
        "Rule": ", ".join(dict.fromkeys(rule.rule for rule in rules)),
        **{column: _cell({method: values[column] for method, values in gets.items()}) for column in columns},
    }


def _what_it_gets(app: Flask, state: AppState, endpoint: str, method: str) -> dict[str, str]:
    """What a request with *method* to *endpoint* gets, by the names of the columns."""
    settings = state.settings
    demarcation = demarcation_of_endpoint(app, endpoint, method)
    asks = demarcation.options or TransactionOptions()
    timeout = settings.statement_timeout if asks.timeout is None else asks.timeout
    parts = parts_of_view(app.view_functions.get(endpoint), method)
    return {
        "Commit": "success" if demarcation.commits_on_success(settings) else "explicit",
        "Reads": _reads(state, demarcation, method),
        "Isolation": asks.isolation_level or "default",
        "Timeout": _NO_LIMIT if timeout is None else f"{timeout:g} s",
        "Attempts": str(demarcation.attempts(settings)),
        "Read-only": _yes_or_no(bool(asks.read_only)),
        "Streaming": _yes_or_no(any(map(seems_to_stream, parts))),
    }


def _reads(state: AppState, demarcation: ViewDemarcation, method: str) -> str:
    """How a request with *method* reads."""
    if method == _ANY_METHOD:
        safe, other = (_reads(state, demarcation, each) for each in ("GET", "POST"))
        return safe if safe == other else f"{safe} (safe methods), {other} (others)"
    intends = demarcation.intent(state.settings, method).reads_in_autocommit
    return _AUTOCOMMIT if intends and any(map(reads_in_autocommit, state.engines.values())) else _TRANSACTION


def _yes_or_no(value: bool) -> str:
    return "yes" if value else "no"


def _methods(rule: Rule, view: object) -> Iterable[str]:
    """What *view* itself answers at *rule*: without the HEAD and OPTIONS that Werkzeug and Flask add."""
    methods = getattr(view, "methods", None) if rule.methods is None else rule.methods
    if methods is None:
        return {_ANY_METHOD}
    answered = set(methods)
    if "GET" in answered and not hasattr(getattr(view, "view_class", None), "head"):
        answered.discard("HEAD")
    if getattr(rule, "provide_automatic_options", False):
        answered.discard("OPTIONS")
    return answered


def _cell(values: Mapping[str, str]) -> str:
    """The value that all methods share, or each value and whose it is. *values* are by method."""
    methods: dict[str, list[str]] = {}
    for method, value in values.items():
        methods.setdefault(value, []).append(method)
    if len(methods) == 1:
        return next(iter(methods))
    return ", ".join(f"{value} ({', '.join(those)})" for value, those in sorted(methods.items()))


def _aligned(rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """The lines of a table as ``flask routes`` draws it. The first of *rows* is its head."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    head, *body = rows
    for row in (head, ["-" * width for width in widths], *body):
        yield "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()


def _name_of(function: Callable[..., Any]) -> str:
    """Where *function* is defined. Never its ``repr``: that of an object may show anything."""
    function = function_behind(function)
    named: Any = function if hasattr(function, "__qualname__") else type(function)
    return f"{named.__module__}.{named.__qualname__}"
