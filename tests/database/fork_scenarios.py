"""Programs that fork, run by `test_fork.py` as processes of their own: ``python -m … <scenario> <url> <ending>``.

A child tells its parent what it saw through a pipe, and ends as *ending* says: ``exit`` (the interpreter finalises
everything) or ``_exit`` (at once). The program prints what both saw, as JSON.
"""

from __future__ import annotations

import faulthandler
import json
import os
import select
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final

from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import OperationalError, PendingRollbackError

from flask_unitofwork.config import Settings
from flask_unitofwork.database import Engines

PATIENCE_SECONDS: Final = 60
CHILDREN: Final = 5
THREADS: Final = 3
# Enough to leave the child a turn to write, where there is one writer at a time.
READS_PER_WRITE: Final = 20

Seen = dict[str, Any]


def main(scenario: str, url: str, ending: str) -> None:
    faulthandler.enable()
    engines = Engines(Settings.from_config({"UNITOFWORK_DATABASES": url}, instance_path="/nowhere"))
    engine = engines["default"]
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE note (name VARCHAR(20))"))
    seen = SCENARIOS[scenario](engine, ending)
    engines.dispose()
    sys.stdout.write(json.dumps(seen))


class Child:
    """A forked process that does *work*."""

    def __init__(self, engine: Engine, work: Callable[[], Seen], ending: str) -> None:
        self._output, output = os.pipe()
        self._pid = os.fork()
        if self._pid:
            os.close(output)
            return
        seen = json.dumps(work())
        engine.dispose()
        os.write(output, seen.encode())
        os.close(output)
        if ending == "exit":
            sys.exit(0)
        os._exit(0)

    def seen(self) -> Seen:
        """What the child saw, once it has ended."""
        ready, _, _ = select.select([self._output], [], [], PATIENCE_SECONDS)
        if not ready:
            os.kill(self._pid, signal.SIGABRT)  # says on stderr where it hangs
        with os.fdopen(self._output) as output:
            told = output.read()
        _, status = os.waitpid(self._pid, 0)
        if status or not told:
            raise RuntimeError(f"the child ended with status {status} and said {told!r}")
        seen: Seen = json.loads(told)
        return seen


def backend(connection: Connection) -> int:
    """Who serves *connection*: a process of PostgreSQL, a connection number of MariaDB; 0 on SQLite."""
    function = {"postgresql": "pg_backend_pid()", "mysql": "connection_id()"}.get(connection.dialect.name, "0")
    number: int = connection.execute(text(f"SELECT {function}")).scalar_one()
    return number


def names(connection: Connection) -> list[str]:
    return list(connection.scalars(text("SELECT name FROM note ORDER BY name")))


def add(connection: Connection, name: str) -> None:
    connection.execute(text("INSERT INTO note VALUES (:name)"), {"name": name})


def committed(engine: Engine) -> list[str]:
    with engine.connect() as connection:
        return names(connection)


# -- scenarios -------------------------------------------------------------------------------------------------------


def idle_pool(engine: Engine, ending: str) -> Seen:
    """A preloading server: connections were used, and are idle when it forks."""
    with engine.connect() as first, engine.connect() as second:
        before = [backend(first), backend(second)]

    def work() -> Seen:
        with engine.begin() as connection:
            add(connection, "child")
            return {"backend": backend(connection)}

    children = [Child(engine, work, ending), Child(engine, work, ending)]
    seen = [child.seen() for child in children]
    with engine.connect() as first, engine.connect() as second:
        after = [backend(first), backend(second)]
    return {"before": before, "after": after, "children": seen, "committed": committed(engine)}


def in_transaction(engine: Engine, ending: str) -> Seen:
    """A request forks while its own transaction is open."""
    with engine.connect() as connection:
        add(connection, "parent")
        before = backend(connection)

        def work() -> Seen:
            seen: Seen = {"invalidated": connection.invalidated}
            try:
                names(connection)
            except PendingRollbackError:
                seen["refused"] = True
            connection.rollback()
            try:
                seen |= {"backend": backend(connection), "names": names(connection)}
            except OperationalError as error:
                seen["error"] = str(error.orig)
            connection.close()
            return seen

        child = Child(engine, work, ending).seen()
        after = backend(connection)
        inside = names(connection)
        connection.commit()
    return {"before": before, "after": after, "inside": inside, "child": child, "committed": committed(engine)}


def after_reading(engine: Engine, ending: str) -> Seen:
    """A request forks after it has read: it holds a connection. The parent's connections are closed before the child's."""
    with engine.begin() as connection:
        add(connection, "before")
    with engine.connect() as connection:
        names(connection)
        parent_is_done, tell = os.pipe()

        def work() -> Seen:
            with engine.begin() as own:
                add(own, "child, first")
            os.read(parent_is_done, 1)
            with engine.begin() as own:
                add(own, "child, second")
            return {"names": committed(engine)}

        child = Child(engine, work, ending)
    engine.pool.dispose()
    os.write(tell, b".")
    return {"child": child.seen(), "committed": committed(engine)}


def file_is_gone(engine: Engine, ending: str) -> Seen:
    """A process forks inside a transaction on a file that somebody deletes."""
    with engine.connect() as connection:
        add(connection, "parent")
        Path(engine.url.database or "").unlink()
        return Child(engine, lambda: {"invalidated": connection.invalidated}, ending).seen()


def while_streaming(engine: Engine, ending: str) -> Seen:
    """A request forks while it reads rows as they come."""
    with engine.begin() as connection:
        connection.execute(text("INSERT INTO note VALUES (:name)"), [{"name": f"{n:05}"} for n in range(2000)])
    with engine.connect() as connection:
        rows = connection.execution_options(yield_per=10).execute(text("SELECT name FROM note ORDER BY name"))
        first = rows.fetchone()

        def work() -> Seen:
            try:
                rows.fetchmany(500)
            except Exception as error:  # noqa: BLE001  # which one depends on the driver
                return {"error": type(error).__name__}
            finally:
                rows.close()
            return {}

        child = Child(engine, work, ending).seen()
        rest = rows.fetchall()
        return {"child": child, "rows": len(rest) + (first is not None)}


def busy_threads(engine: Engine, ending: str) -> Seen:
    """A server forks again and again while its threads serve requests."""
    stop = threading.Event()

    def serve(worker: int) -> int:
        count = 0
        while not stop.is_set():
            for _ in range(READS_PER_WRITE):
                with engine.connect() as connection:
                    names(connection)
            with engine.begin() as connection:
                add(connection, f"{worker}-{count}")
            count += 1
        return count

    def work() -> Seen:
        try:
            with engine.begin() as connection:
                add(connection, "child")
        except OperationalError as error:
            return {"error": str(error.orig)}
        return {"added": True}

    with ThreadPoolExecutor(THREADS) as threads:
        served = [threads.submit(serve, worker) for worker in range(THREADS)]
        try:
            children = [Child(engine, work, ending).seen() for _ in range(CHILDREN)]
        finally:
            stop.set()
        count = sum(each.result() for each in served)
    return {"children": children, "served": count, "committed": committed(engine)}


def while_connecting(engine: Engine, ending: str) -> Seen:
    """A server forks while one of its threads connects to a database that is slow to answer."""
    return _connecting(engine, ending, lambda _forked: time.sleep(0.3))


def while_connecting_in_vain(engine: Engine, ending: str) -> Seen:
    """A server forks while one of its threads connects to a database that does not answer."""
    return _connecting(engine, ending, lambda forked: forked.wait())


def _connecting(engine: Engine, ending: str, delay: Callable[[threading.Event], object]) -> Seen:
    order: list[str] = []
    asked, forked = threading.Event(), threading.Event()

    def refuse(server: socket.socket) -> None:
        connection, _ = server.accept()
        with connection:
            connection.recv(1)
            asked.set()
            delay(forked)

    def connect(url: str) -> None:
        slow = Engines(Settings.from_config({"UNITOFWORK_DATABASES": url}, instance_path="/nowhere"))["default"]
        try:
            slow.connect()
        except OperationalError:
            order.append("answered")

    def work() -> Seen:
        return {"order": order, "committed": committed(engine)}

    with socket.create_server(("127.0.0.1", 0)) as server, ThreadPoolExecutor(2) as threads:
        ends = [
            threads.submit(refuse, server),
            threads.submit(connect, f"postgresql+psycopg://127.0.0.1:{server.getsockname()[1]}/slow"),
        ]
        asked.wait()
        child = Child(engine, work, ending)
        order.append("forked")
        forked.set()
        for end in ends:
            end.result()
    return {"child": child.seen(), "order": order}


SCENARIOS: Final[dict[str, Callable[[Engine, str], Seen]]] = {
    "idle_pool": idle_pool,
    "in_transaction": in_transaction,
    "after_reading": after_reading,
    "file_is_gone": file_is_gone,
    "while_streaming": while_streaming,
    "busy_threads": busy_threads,
    "while_connecting": while_connecting,
    "while_connecting_in_vain": while_connecting_in_vain,
}

if __name__ == "__main__":
    main(*sys.argv[1:])
