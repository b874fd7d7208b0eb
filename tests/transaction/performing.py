"""Programs (``programs.py``) on the package itself: in a scope, in an app context, in a request."""

from __future__ import annotations

import logging
from collections.abc import Callable, Generator
from contextlib import AbstractContextManager, contextmanager
from itertools import count
from typing import Final

from flask.typing import ResponseReturnValue
from sqlalchemy import insert, select
from sqlalchemy.exc import SQLAlchemyError

from flask_unitofwork import State, UnitOfWorkError
from tests.stage import Base, Item, Stage
from tests.transaction.programs import Body, Clashing, FailureError, Moment, Request, kind_of, play

__all__ = ["Performance", "Performer"]

ITEMS: Final = Base.metadata.tables["item"]
TAKEN: Final = "taken"


class Performance:
    """One program, being performed on the package. Its rows are told from those of other programs by a prefix."""

    def __init__(self, stage: Stage, prefix: str) -> None:
        self._uow = stage.uow
        self.prefix = prefix
        self.log: list[tuple[str, ...]] = []

    def block(self, kind: str) -> AbstractContextManager[object]:
        blocks: dict[str, Callable[[], AbstractContextManager[object]]] = {
            "transaction": self._uow.transaction,
            "transaction_required": self._uow.transaction_required,
            "savepoint": self._uow.savepoint,
            "scope": self._uow.scope,
            "independent_transaction": self._uow.independent_transaction,
        }
        return blocks[kind]()

    def call(self, kind: str, function: Callable[[], None]) -> None:
        decorators: dict[str, Callable[[Callable[[], None]], Callable[[], None]]] = {
            "transaction": self._uow.transaction(),
            "transaction_required": self._uow.transaction_required(),
            "durable": self._uow.durable,
            "scope": self._uow.scope(),
            "independent_transaction": self._uow.independent_transaction(),
        }
        decorators[kind](function)()

    def add(self, name: str) -> None:
        self._uow.session.add(Item(name=self.prefix + name))

    def insert(self, name: str) -> None:
        self._uow.session.execute(insert(ITEMS), {"name": self.prefix + name})

    def flush(self) -> None:
        self._uow.session.flush()

    def clash(self, how: Clashing) -> None:
        if how == "flush":
            self._uow.session.add(Item(name=TAKEN))
            self._uow.session.flush()
        else:
            self._uow.session.execute(insert(ITEMS), {"name": TAKEN})

    def names(self) -> list[str]:
        seen = self._uow.session.scalars(select(Item.name).where(Item.name.startswith(self.prefix)))
        return sorted(name.removeprefix(self.prefix) for name in seen)

    def doom(self) -> None:
        self._uow.doom("the program says so")

    def commit(self) -> None:
        self._uow.session.commit()

    def rollback(self) -> None:
        self._uow.session.rollback()

    def hook(self, moment: Moment, function: Callable[[], None], *, robust: bool) -> None:
        if moment == "on_commit":
            self._uow.on_commit(function, robust=robust)
        elif moment == "before_commit":
            self._uow.before_commit(function)
        else:
            self._uow.on_rollback(function)

    def state(self) -> str:
        state = self._uow.current.state
        # Where a commit failed, the unit stays in its midst until it is rolled back. The model knows no such moments.
        value: str = (State.ACTIVE if state is State.COMMITTING else state).value
        return value


class Performer(logging.Handler):
    """Performs programs on one stage, one after the other, and hears what the package logs meanwhile."""

    def __init__(self, stage: Stage) -> None:
        super().__init__()
        self._stage = stage
        self._numbers = count()
        self._request: Request | None = None
        self._handled = False
        self._performance = Performance(stage, "")
        self._set_up_views()
        with stage.uow.scope(stage.app):
            stage.add(TAKEN)

    @contextmanager
    def performance(self) -> Generator[Performance]:
        """For one program."""
        self._performance = Performance(self._stage, f"{next(self._numbers)}:")
        logger = logging.getLogger("flask_unitofwork")
        logger.addHandler(self)
        logger.propagate, propagates = False, logger.propagate
        try:
            yield self._performance
        finally:
            logger.propagate = propagates
            logger.removeHandler(self)

    def emit(self, record: logging.LogRecord) -> None:
        if record.exc_info:
            _, error, _ = record.exc_info
            assert error is not None
            self._performance.log.append(("a hook failed", kind_of(error)))

    def checked_out(self) -> int:
        """How many connections are lent out: none, between two programs."""
        return self._stage.checked_out()

    # -- where programs are performed ------------------------------------------------------------------------------

    def in_scope(self, body: Body) -> None:
        with self._stage.uow.scope(self._stage.app):
            play(body, self._performance, "0")

    def in_context(self, body: Body) -> None:
        with self._stage.app.app_context():
            play(body, self._performance, "0")

    def in_request(self, request: Request) -> int:
        self._request, self._handled = request, False
        return self._stage.client.post("/explicit" if request.explicit else "/").status_code

    def _set_up_views(self) -> None:
        app = self._stage.app
        app.logger.disabled = True  # failures are what programs are about

        def view() -> ResponseReturnValue:
            assert self._request is not None
            play(self._request.body, self._performance, "0")
            return "", self._request.status

        def explicit_view() -> ResponseReturnValue:
            return view()

        def handle(error: Exception) -> ResponseReturnValue:
            assert self._request is not None
            if self._request.handler is None:
                raise error
            if not self._handled:
                self._handled = True
                play(self._request.handler, self._performance, "1")
            return "", self._request.handler_status

        def note_bug(error: AssertionError) -> ResponseReturnValue:
            self._performance.log.append(("the package is in an impossible state", str(error)))
            raise error

        app.post("/")(view)
        app.register_error_handler(AssertionError, note_bug)
        app.post("/explicit")(self._stage.uow.explicit_commit(explicit_view))
        for failure in (FailureError, UnitOfWorkError, SQLAlchemyError):
            app.register_error_handler(failure, handle)
