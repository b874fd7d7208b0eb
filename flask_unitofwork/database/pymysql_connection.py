"""A PyMySQL connection to a server in autocommit, on which transactions begin as if it were not.

Note: why a connection of our own
    PyMySQL switches between transactions and autocommit by a statement, so by a round trip. Here the server is always in
    autocommit, and BEGIN is sent where a transaction is to begin: before the first statement of everybody but those who
    say that they only read. So who uses the driver's connection, whatever its cursors, finds what they know: nothing is
    committed until they say so. `query` is what all of PyMySQL's cursors send their statements with. PyMySQL calls it
    internal; its name is not private, and ``tests/database/test_pymysql_connection.py`` fails if it changes.

Note: when the server takes over
    Before a statement of which only the server knows what it does to transactions (`Part.UNKNOWN`), and after a failure
    that may have ended the transaction, the server begins them: ``autocommit = 0`` until the connection is back in its
    pool.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from pymysql.connections import Connection
from pymysql.constants import CLIENT, SERVER_STATUS
from pymysql.err import DataError, Error, IntegrityError, InterfaceError, ProgrammingError

from .mysql_parts import Part, part_of

__all__ = ["BeginningConnection"]

if TYPE_CHECKING:
    _Driver = Connection[Any]
else:
    _Driver = Connection

# What undoes the statement and nothing else.
_OF_A_STATEMENT: Final = (DataError, IntegrityError, ProgrammingError)


class BeginningConnection(_Driver):
    """A connection that begins its transactions itself.

    Args:
        arguments: PyMySQL's, without ``autocommit``.

    Attributes:
        begins: transactions begin by themselves. False where somebody has chosen autocommit, and while it connects.
        untouched: since the last COMMIT or ROLLBACK nothing was sent but reads that were spared.
    """

    begins = False
    untouched = True
    server_status = 0  # PyMySQL keeps what the server said last
    _spared = False
    _doubtful = False

    def __init__(self, **arguments: Any) -> None:
        # Where the server's own default is on, as usual, PyMySQL sends nothing for it.
        super().__init__(autocommit=True, **arguments)
        self.begins = True

    def connect(self, sock: Any = None) -> None:
        begins, self.begins = self.begins, False
        try:
            super().connect(sock)
        finally:
            self.begins = begins
        self.untouched, self._spared, self._doubtful = True, False, False

    @property
    def in_transaction(self) -> bool:
        """Whether a transaction may be in progress, or something that a commit or a rollback would end."""
        return not self.untouched or self._is_in_transaction or not self._is_server_in_autocommit

    def spare(self) -> None:
        """Let the next statement begin no transaction: it reads, or is for the session and not for a transaction."""
        self._spared = True

    def spare_not(self) -> None:
        """Undo `spare`, where no statement has come."""
        self._spared = False

    def settle(self) -> None:
        """Nobody uses the connection: the server is in autocommit again.

        Raises:
            pymysql.err.Error: the connection is lost.
        """
        self._spared = False
        if not self._is_server_in_autocommit and self.open:
            self.rollback()  # what is open would be committed
            super().query("SET autocommit = 1")
        self._ended()

    def fileno(self) -> int:
        """The descriptor of the socket, which mysqlclient and psycopg tell as well.

        PyMySQL has no public name for its socket. It calls it ``_sock``; the tests of forks and of connections that are
        dead already fail if that changes.

        Raises:
            pymysql.err.InterfaceError: the connection is closed.
        """
        if not self.open:
            raise InterfaceError(0, "")
        connection: Any = self
        number: int = connection._sock.fileno()
        return number

    # -- what PyMySQL's users call -----------------------------------------------------------------------------------

    def query(self, sql: Any, unbuffered: bool = False) -> int:
        if self._spared:
            self._spared = False
            return self._send(sql, unbuffered)
        part = Part.UNKNOWN if self._sends_several else part_of(sql)
        self.untouched = False
        if self.begins and self._is_server_in_autocommit:
            self._begin_for(part)
        try:
            answer = self._send(sql, unbuffered)
        except Error as error:
            self._doubtful = self._doubtful or not isinstance(error, _OF_A_STATEMENT)
            raise
        if part is Part.CHOICE:
            self.begins = not self._is_server_in_autocommit
        elif part is Part.END:
            self._ended()
        return answer

    def commit(self) -> None:
        """Commit; without a round trip where there is nothing to commit."""
        if self._has_something_to_end:
            super().commit()
            self._ended()

    def rollback(self) -> None:
        """Roll back; without a round trip where there is nothing to roll back."""
        if self._has_something_to_end:
            super().rollback()
            self._ended()

    def autocommit(self, value: bool) -> None:
        """Choose whether each statement is committed by itself. What is open is committed, as by the server's SET."""
        if value and self.begins and self._has_something_to_end:
            self._hand_over()
        self.begins = not value
        if value:
            super().autocommit(True)

    def get_autocommit(self) -> bool:
        return not self.begins and self._is_server_in_autocommit

    # -- what is behind that -----------------------------------------------------------------------------------------

    def _begin_for(self, part: Part) -> None:
        """Begin the transaction that a statement is to be in, where it needs one and there is none."""
        # To choose autocommit commits what is open, and only where it was not chosen before.
        if part in {Part.UNKNOWN, Part.CHOICE} or (part is Part.MEMBER and self._doubtful):
            self._hand_over()
        elif part is Part.MEMBER and not self._is_in_transaction:
            super().begin()

    def _hand_over(self) -> None:
        """Let the server begin transactions. What is in progress goes on."""
        if self._is_server_in_autocommit:
            super().query("SET autocommit = 0")

    def _send(self, sql: Any, unbuffered: bool) -> int:
        try:
            return super().query(sql, unbuffered)
        except Error:
            raise
        except BaseException:
            # There may be more of the answer to come: ROLLBACK finds out.
            self.untouched, self._doubtful = False, True
            raise

    def _ended(self) -> None:
        """A transaction has ended; or, if one is still in progress, something in it."""
        if not self._is_in_transaction:
            self.untouched, self._doubtful = True, False

    @property
    def _has_something_to_end(self) -> bool:
        # A connection that is closed raises what PyMySQL does.
        return not self.untouched or self._is_in_transaction or not self.open

    @property
    def _sends_several(self) -> bool:
        """Whether several statements may be in one text, by the user's choice."""
        return bool(self.client_flag & CLIENT.MULTI_STATEMENTS)

    @property
    def _is_in_transaction(self) -> bool:
        return bool(self.server_status & SERVER_STATUS.SERVER_STATUS_IN_TRANS)

    @property
    def _is_server_in_autocommit(self) -> bool:
        return bool(self.server_status & SERVER_STATUS.SERVER_STATUS_AUTOCOMMIT)
