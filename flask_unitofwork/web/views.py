"""What a view says of its own unit of work, by its decorators."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import reduce
from typing import Any, Final, TypeVar

from flask import Flask

from ..config import Settings
from ..database.intent import NO_INTENT, Intent
from ..transaction import TransactionOptions, declaration_of

__all__ = [
    "RequestDemarcation",
    "ViewDemarcation",
    "demarcation_of_endpoint",
    "explicit_commit",
    "intent_of_method",
    "intent_of_stream",
    "marks_explicit_commit",
    "parts_of_view",
]

_EXPLICIT: Final = "_unitofwork_explicit_commit"

# Blocks around a view that are the request's transaction, or all of its work, rather than one beside it.
_WHOLE: Final = frozenset({"durable", "read_only", "transaction"})

_SAFE_METHODS: Final = frozenset({"GET", "HEAD", "OPTIONS"})
_WRITES: Final = Intent(writes=True)
_READS: Final = Intent(reads_in_autocommit=True)
_STREAMS: Final = Intent(reads_in_autocommit=True, read_only=True)
_STREAMS_IN_TRANSACTION: Final = Intent(read_only=True)

V = TypeVar("V")


@dataclass(frozen=True, slots=True)
class ViewDemarcation:
    """What the view of a request says.

    Attributes:
        explicit: it is marked with `explicit_commit`.
        options: what the block around it asks for; None where there is none.
    """

    explicit: bool = False
    options: TransactionOptions | None = None

    def commits_on_success(self, settings: Settings) -> bool:
        """Whether the request is committed by its success, in an app with these *settings*."""
        return settings.commit == "success" and not self.explicit

    def attempts(self, settings: Settings) -> int:
        """How often the view may run, in an app with these *settings*."""
        return max(settings.attempts, 1 if self.options is None else self.options.attempts)

    def intent(self, settings: Settings, method: str) -> Intent:
        """What a request with *method* means to do, in an app with these *settings*."""
        if self.options is None:
            return intent_of_method(settings, method)
        return Intent(
            writes=not self.options.read_only,
            read_only=bool(self.options.read_only),
            isolation_level=self.options.isolation_level,
            timeout=self.options.timeout,
        )


@dataclass(frozen=True, slots=True)
class RequestDemarcation:
    """What becomes of a request: what its view says, or else what its app's settings do.

    Attributes:
        commits_on_success: it is committed by its success.
        attempts: how often its view may run.
        view_intent: what its view means to do, as far as its method and its decorators tell.
        method_intent: what it means to do before and after its view, as far as its method tells.
    """

    commits_on_success: bool
    attempts: int
    view_intent: Intent
    method_intent: Intent

    @classmethod
    def of_endpoint(cls, app: Flask, endpoint: str | None, method: str, settings: Settings) -> RequestDemarcation:
        """What becomes of the requests with *method* to *endpoint*, in an app with these *settings*."""
        view = demarcation_of_endpoint(app, endpoint, method)
        return cls(
            view.commits_on_success(settings),
            view.attempts(settings),
            view.intent(settings, method),
            intent_of_method(settings, method),
        )


def intent_of_method(settings: Settings, method: str) -> Intent:
    """What a request with *method* means to do, as far as that alone tells, in an app with these *settings*."""
    if method not in _SAFE_METHODS:
        return _WRITES
    return _READS if settings.reads == "autocommit" else NO_INTENT


def intent_of_stream(settings: Settings) -> Intent:
    """What the body of a streamed response means to do, in an app with these *settings*: it reads, as its requests do."""
    return _STREAMS if settings.reads == "autocommit" else _STREAMS_IN_TRANSACTION


_SAYS_NOTHING: Final = ViewDemarcation()


def explicit_commit(view: V) -> V:
    """Turn commit on success off for one view: only what its code commits is kept.

    Goes on a view function, a method of a ``MethodView``, or a ``View`` class.

    Example:
        >>> @explicit_commit
        ... def import_prices():
        ...     ...
    """
    setattr(view, _EXPLICIT, True)
    return view


def marks_explicit_commit(part: object) -> bool:
    """Whether *part* (a view function, a ``View`` class or a method of one) is marked with `explicit_commit`."""
    return bool(getattr(part, _EXPLICIT, False))


def demarcation_of_endpoint(app: Flask, endpoint: str | None, method: str) -> ViewDemarcation:
    """What the view at *endpoint* says of the requests with *method*."""
    view = app.view_functions.get(endpoint or "")
    if view is None:
        return _SAYS_NOTHING
    parts = list(parts_of_view(view, method))
    declarations = (declaration_of(part) for part in parts)
    options = [one.options for one in declarations if one is not None and one.kind in _WHOLE]
    return ViewDemarcation(
        any(map(marks_explicit_commit, parts)),
        reduce(TransactionOptions.around, options) if options else None,
    )


def parts_of_view(view: Any, method: str) -> Iterator[object]:
    """What may be decorated of *view*, where it answers *method*: its function, its class and the class's method."""
    yield view
    view_class = getattr(view, "view_class", None)
    if view_class is None:
        return
    yield view_class
    handler = getattr(view_class, method.lower(), None)
    if handler is None and method == "HEAD":
        handler = getattr(view_class, "get", None)  # as Flask's MethodView does
    if handler is None:
        handler = getattr(view_class, "dispatch_request", None)
    if handler is not None:
        yield handler
