"""What looks like a connection of psycopg."""

from __future__ import annotations

import re
from collections.abc import Callable, Generator
from contextlib import closing, contextmanager
from functools import lru_cache, partial
from typing import TYPE_CHECKING, Any, Final

from ...database.statements import Effect, effect_of_text
from ...exceptions import IsolationError
from .commands import Verb, check_script, command_of
from .journal import Transaction
from .local_settings import local_settings
from .logical import LogicalConnection
from .postgresql import FAILED, IDLE, IN_TRANSACTION
from .proxies import CursorProxy
from .psycopg_two_phases import PREPARED_VIEW, TwoPhases, with_prepared

__all__ = ["PsycopgConnection"]

_FAILED: Final = "current transaction is aborted, commands ignored until end of transaction block"

# What may be said in a transaction that has failed.
_ENDS_FAILURE: Final = frozenset({Verb.COMMIT, Verb.ROLLBACK, Verb.ROLLBACK_TO})

# By this the user's connection ends, and not the test's, which is the same to the server.
_ENDS_ITSELF: Final = re.compile(r"\bpg_terminate_backend\s*\(\s*pg_backend_pid\s*\(\s*\)", re.IGNORECASE)

# What is asked where COMMIT got no answer. Here that is not sent, so it was not carried out.
_FATE: Final = re.compile(r"\bpg_xact_status\s*\(\s*(?P<id>[^()]+)\)", re.IGNORECASE)

_CHOICE: Final = re.compile(r"\s*SET\s+TRANSACTION\s+(?P<what>ISOLATION\s+LEVEL|READ\s+ONLY)\b", re.IGNORECASE)


class PsycopgConnection(TwoPhases):
    """A connection of psycopg, with transactions of its own.

    Attributes:
        isolation_level: what its user chose for the next transactions; the test's own is as it is.
        deferrable: likewise.
    """

    _own = TwoPhases._own | {"_parameters", "deferrable", "isolation_level"}

    def __init__(self, logical: LogicalConnection, driver: Any) -> None:
        super().__init__(logical, driver)
        self.isolation_level: Any = None
        self.deferrable: Any = None

    # -- what the driver tells of itself -----------------------------------------------------------------------------

    def __getattr__(self, name: str) -> Any:
        self._logical.shared.catch_up()
        return super().__getattr__(name)

    @property
    def transaction_status(self) -> int:
        """What libpq says of the transaction in progress."""
        transaction = self._logical.transaction
        return IDLE if transaction is None else FAILED if transaction.failed else IN_TRANSACTION

    @property
    def info(self) -> Any:
        return _WithStatus(self, self._driver.info)

    @property
    def pgconn(self) -> Any:
        return self._driver.pgconn if self.is_connecting else _WithStatus(self, self._driver.pgconn)

    if not TYPE_CHECKING:  # for whom it is what it is

        @property
        def __class__(self) -> Any:
            """That of the driver's connection: who looks up a type for it (``TypeInfo.fetch``) insists on one of those."""
            return type(self._driver)

    @property
    def closed(self) -> Any:
        return self._logical.is_closed or self._driver.closed

    @property
    def autocommit(self) -> bool:
        return self._autocommit

    @autocommit.setter
    def autocommit(self, value: bool) -> None:
        if value != self._autocommit and self._logical.transaction is not None:
            raise self._errors.ProgrammingError("can't change 'autocommit' now: connection in transaction")
        self._autocommit = value

    # -- transactions ------------------------------------------------------------------------------------------------

    @contextmanager
    def transaction(self, *arguments: Any, **options: Any) -> Generator[Any]:
        """What psycopg has for a block that is committed, or rolled back, as a whole.

        Raises:
            IsolationError: it is not a listener of the pool that looks something up for a new connection.
        """
        if not self.is_connecting:
            raise IsolationError(
                "An isolated test cannot follow psycopg's transaction(). Use SQLAlchemy's (connection.begin()), or mark the"
                " test with uow_real_commits."
            )
        with self._logical.shared.alone(), self._driver.transaction(*arguments, **options) as transaction:
            yield transaction

    # -- statements --------------------------------------------------------------------------------------------------

    def cursor(self, *arguments: Any, **options: Any) -> Any:
        """A cursor. One with a name is the client's own, too: what others do to the connection must not end it."""
        self._check_open()
        self._logical.shared.catch_up()  # a cursor's other methods go to the driver
        for option in ("name", "scrollable", "withhold"):
            options.pop(option, None)
        return CursorProxy(self, self._driver.cursor(*arguments[1:], **options), self._execute)

    def execute(self, statement: Any, *args: Any, **options: Any) -> Any:
        """What psycopg has for those who need no cursor."""
        return self.cursor().execute(statement, *args, **options)

    def _execute(self, query: Any, parameters: Any, send: Callable[[Any], Any], cursor: Any) -> Any:
        self._check_open()
        text = _text(query, self._driver)
        logical, command = self._logical, command_of(text)
        transaction = logical.transaction
        if transaction is not None and transaction.failed and (command is None or command.verb not in _ENDS_FAILURE):
            raise self._errors.errors.InFailedSqlTransaction(_FAILED)
        if command is not None and (self._settle(command) or logical.obey(command)):
            return None
        check_script(text)
        if _needs_care(text):
            text = self._asked(text)
            send = _sender(text, parameters)
        if not self._autocommit:
            transaction = logical.begin(read_only=bool(self.read_only))
        if transaction is not None and _CHOICE.match(text) and not logical.has_savepoints:
            text = _choose(transaction, text)
            if not text:
                return None
            send = _sender(text, parameters)
        effect = effect_of_text(text)
        if transaction is not None:
            self._restore_at_commit(transaction, local_settings(text, parameters))
            if transaction.read_only:
                return self._only_read(transaction, text, send, cursor)
        return logical.run(text, effect, lambda: send(cursor), lambda: send(self._driver.cursor()))

    def _asked(self, text: str) -> str:
        """*text* with what the test knows in the place of what the server would be asked and could not know.

        Raises:
            psycopg.errors.AdminShutdown: it ends the connection.
        """
        if _ENDS_ITSELF.search(text):
            self.close()
            raise self._errors.errors.AdminShutdown("terminating connection due to administrator command")
        text = _FATE.sub(r"(CASE WHEN \g<id> IS NOT NULL THEN 'aborted' END)", text)
        return with_prepared(text, self._logical.shared.prepared)

    def _only_read(self, transaction: Transaction, text: str, send: Callable[[Any], Any], cursor: Any) -> Any:
        if effect_of_text(text) is Effect.CONTROL:
            transaction.settings.append(text)
        settings = "; ".join(["SET TRANSACTION READ ONLY", *transaction.settings])
        return self._logical.shared.run_without_trace(transaction, text, settings, lambda: send(cursor))

    def _restore_at_commit(self, transaction: Transaction, names: list[str]) -> None:
        """Let the settings of these names end with the transaction, and not with the test."""
        for name in names:
            if name in transaction.last_steps:
                continue
            transaction.last_steps[name] = partial(self._set, name, self._logical.shared.ask(partial(_setting, name)))

    def _set(self, name: str, value: str) -> None:
        def send() -> None:
            with closing(self._driver.cursor()) as cursor:
                cursor.execute("SELECT set_config(%s, %s, true)", (name, value))

        self._logical.run(f"SELECT set_config('{name}', …)", Effect.CONTROL, send, send)

    def _check_open(self) -> None:
        if self._logical.is_closed:
            raise self._errors.OperationalError("the connection is closed")


@lru_cache(maxsize=1024)
def _needs_care(text: str) -> bool:
    """Whether a user's statement concerns more than its transaction. Remembered: most are sent again and again."""
    return bool(_ENDS_ITSELF.search(text) or _FATE.search(text) or PREPARED_VIEW in text)


class _WithStatus:
    """What the driver tells, with the status of the user's transaction in place of the test's."""

    __slots__ = ("_connection", "_told")

    def __init__(self, connection: PsycopgConnection, told: Any) -> None:
        self._connection = connection
        self._told = told

    @property
    def transaction_status(self) -> int:
        return self._connection.transaction_status

    def __getattr__(self, name: str) -> Any:
        return getattr(self._told, name)


def _text(query: Any, driver: Any) -> str:
    if isinstance(query, str):
        return query
    text: str = query.decode() if isinstance(query, bytes) else query.as_string(driver)
    return text


def _choose(transaction: Transaction, text: str) -> str:
    """Take from *text* what says of which kind the transaction is to be. The rest is to be sent."""
    rest: list[str] = []
    for part in text.split(";"):
        match = _CHOICE.match(part)
        if match is None:
            rest.append(part)
        elif match["what"].upper().startswith("READ"):
            transaction.read_only = True
    return "; ".join(part.strip() for part in rest if part.strip())


def _sender(text: str, parameters: Any) -> Callable[[Any], Any]:
    return lambda cursor: cursor.execute(text, parameters)


def _setting(name: str, driver: Any) -> str:
    with closing(driver.cursor()) as cursor:
        cursor.execute("SELECT current_setting(%s, true)", (name,))
        (value,) = cursor.fetchone()
    return value or ""
