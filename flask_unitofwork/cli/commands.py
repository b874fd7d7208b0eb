"""The commands of ``flask uow``."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Final, Protocol, cast

import click
from flask import current_app
from flask.cli import AppGroup
from sqlalchemy import Connection, Engine, MetaData, Table, event
from sqlalchemy.exc import DBAPIError

from ..exceptions import UnitOfWorkError
from ..web import APP_STATE, AppState
from .address import address, without_secrets
from .check import ask
from .recover import recover
from .routes import table_of_routes

__all__ = ["uow_commands"]

uow_commands: Final = AppGroup("uow", help="Create, drop, check and recover the app's databases; list its routes.")


class Databases(Protocol):
    """What the commands need of the app's UnitOfWork."""

    @property
    def engines(self) -> Mapping[str, Engine]: ...

    @property
    def metadata(self) -> MetaData: ...

    def create_all(self) -> None: ...

    def drop_all(self) -> None: ...


@uow_commands.command()
def create() -> None:
    """Create the tables that do not exist yet."""
    uow = _databases()
    _change(uow, uow.create_all, "after_create", "created")


@uow_commands.command()
@click.option("--yes", is_flag=True, help="Do not ask.")
def drop(*, yes: bool) -> None:
    """Drop all tables of the models, with their rows."""
    uow = _databases()
    if not yes:
        click.echo("All tables of the models, and all their rows, will be dropped in:")
        for name, engine in uow.engines.items():
            click.echo(f"  {name}: {address(engine.url)}")
        click.confirm("Drop them?", abort=True)
    _change(uow, uow.drop_all, "after_drop", "dropped")


@uow_commands.command()
def check() -> None:
    """Ask every database for an answer. The exit status is 1 if one gives none."""
    failed = False
    for name, engine in _databases().engines.items():
        answer = ask(engine)
        failed = failed or not answer.ok
        click.echo(f"{name}: {'ok' if answer.ok else 'FAILED'}: {address(engine.url)}")
        click.echo(f"  {answer.text}")
    sys.exit(failed)


@uow_commands.command()
def routes() -> None:
    """Show what the requests to each endpoint get."""
    for line in table_of_routes(current_app):
        click.echo(line)


@uow_commands.command("recover")
@click.option("--dry-run", is_flag=True, help="Tell what would be done, and do nothing.")
@click.option(
    "--older-than",
    type=click.FloatRange(min=0),
    default=60,
    show_default=True,
    metavar="SECONDS",
    help="Leave to its process what was prepared later.",
)
def recover_prepared(*, dry_run: bool, older_than: float) -> None:
    """Finish commits in two phases that were broken off."""
    engines = _databases().engines
    well = recover(engines, current_app.name, click.echo, older_than=older_than, dry_run=dry_run)
    state: AppState = current_app.extensions[APP_STATE]
    if state.cache is not None and not dry_run:
        state.cache.invalidate()  # nobody knows any more which tables were written in what is committed now
    sys.exit(not well)


def _databases() -> Databases:
    return cast(Databases, current_app.extensions["unitofwork"])


def _change(uow: Databases, change: Callable[[], None], event_name: str, done: str) -> None:
    """Change the tables, and tell which became more or fewer in each database."""
    changed: dict[Engine, list[str]] = {}

    def note(_: MetaData, connection: Connection, tables: Sequence[Table], **__: object) -> None:
        changed.setdefault(connection.engine, []).extend(table.fullname for table in tables)

    try:
        metadata = uow.metadata
        event.listen(metadata, event_name, note)
        try:
            change()
        finally:
            event.remove(metadata, event_name, note)
    except UnitOfWorkError as error:
        raise click.ClickException(str(error)) from error
    except DBAPIError as error:
        message = str(error.orig)
        for engine in uow.engines.values():
            message = without_secrets(message, engine.url)
        raise click.ClickException(f"{message} (flask uow check tells which databases answer)") from error
    for name, engine in uow.engines.items():
        tables = ", ".join(sorted(changed.get(engine, ()))) or "no tables"
        click.echo(f"{name}: {done} {tables} in {address(engine.url)}")
