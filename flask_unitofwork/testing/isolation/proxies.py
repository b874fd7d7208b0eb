"""What looks like a driver's connection or cursor, and is that in all but transactions."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from types import TracebackType
from typing import Any, Self

from .logical import LogicalConnection

__all__ = ["ConnectionProxy", "CursorProxy"]


class ConnectionProxy:
    """A driver's connection. What is not defined here or in a subclass is the driver's own.

    Args:
        logical: whose transactions it shows.
        driver: the driver's connection, which others use too.

    Attributes:
        is_connecting: its pool's listeners are told of it, and do what the test's connection has had done to it.
    """

    _own = frozenset({"_driver", "_logical", "is_connecting"})
    _unitofwork_simulates_commits = True  # SIMULATES_COMMITS

    def __init__(self, logical: LogicalConnection, driver: Any) -> None:
        self._logical = logical
        self._driver = driver
        self.is_connecting = True

    def move(self, logical: LogicalConnection, driver: Any, _database: Any) -> None:
        """Be on another connection of the driver's from now on."""
        self._logical = logical
        self._driver = driver

    def __getattr__(self, name: str) -> Any:
        return getattr(self._driver, name)

    def __setattr__(self, name: str, value: Any) -> None:
        if name in self._own or hasattr(type(self), name):
            object.__setattr__(self, name, value)
        else:
            setattr(self._driver, name, value)

    def commit(self) -> None:
        self._logical.commit()

    def rollback(self) -> None:
        self._logical.rollback()

    def close(self) -> None:
        self._logical.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None
    ) -> None:
        if exc is None:
            self.commit()
        else:
            self.rollback()


class CursorProxy:
    """A driver's cursor. What is not defined here or in a subclass is the driver's own.

    Args:
        connection: what `connection` is to be.
        driver: the driver's cursor.
        execute: runs a statement. It is given its text and its parameters as the user gave them, what sends it on a cursor
            of the driver, and the cursor.
    """

    _own = frozenset({"_driver", "_execute", "connection"})

    def __init__(
        self, connection: Any, driver: Any, execute: Callable[[Any, Any, Callable[[Any], Any], Any], Any]
    ) -> None:
        # Not one by one by __setattr__, which is for users: each statement has a cursor.
        self.__dict__.update(connection=connection, _driver=driver, _execute=execute)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._driver, name)

    def __setattr__(self, name: str, value: Any) -> None:
        if name in self._own:
            object.__setattr__(self, name, value)
        else:
            setattr(self._driver, name, value)

    def execute(self, statement: Any, *arguments: Any, **options: Any) -> Any:
        def send(cursor: Any) -> Any:
            return cursor.execute(statement, *arguments, **options)

        parameters = arguments[0] if arguments else None
        return self._result(self._execute(statement, parameters, send, self._driver))

    def executemany(self, statement: Any, *arguments: Any, **options: Any) -> Any:
        def send(cursor: Any) -> Any:
            return cursor.executemany(statement, *arguments, **options)

        parameters = arguments[0] if arguments else None
        return self._result(self._execute(statement, parameters, send, self._driver))

    def _result(self, result: Any) -> Any:
        # Some drivers return the cursor.
        return self if result is self._driver or result is None else result

    def __iter__(self) -> Iterator[Any]:
        return iter(self._driver)

    def __next__(self) -> Any:
        return next(self._driver)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None
    ) -> None:
        self._driver.close()
