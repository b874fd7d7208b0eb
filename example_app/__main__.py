"""``python -m example_app``: the shop on this machine, with example data."""

from __future__ import annotations

import argparse
import logging
import signal
import socket
import sys
from collections.abc import Sequence

from sqlalchemy.exc import OperationalError

from flask_unitofwork import ConfigurationError

from . import example_data
from .extensions import uow
from .factory import create_app
from .serving import FIRST_PORT, listen, serve_until_told

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Open the shop, and keep it open until Ctrl-C or SIGTERM.

    Returns:
        The exit status: 0 when it was told to end, 1 when it could not open.
    """
    options = _parser().parse_args(arguments)
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # while it opens, SIGTERM is what Ctrl-C is
    try:
        # The port comes first: where it is taken, nothing is created.
        with listen(options.host, options.port) as listener:
            _open(listener, options.instance)
    except KeyboardInterrupt:
        pass
    except (ConfigurationError, OSError, OperationalError) as error:
        print(f"example_app: {error}", file=sys.stderr)
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m example_app", description="Corner Shop, on this machine.")
    parser.add_argument("--host", default="127.0.0.1", help="the address to listen on (default: %(default)s)")
    parser.add_argument(
        "--port", type=int, default=FIRST_PORT, help="the port, 0 for any free one (default: %(default)s)"
    )
    parser.add_argument(
        "--instance", metavar="FOLDER", help="where data is kept (default: instance beside the package)"
    )
    return parser


def _open(listener: socket.socket, instance: str | None) -> None:
    app = create_app(instance_path=instance)
    try:
        with uow.scope(app):
            uow.create_all()
            if example_data.is_empty():
                example_data.fill()
                print("The shelves are filled with example data.")
        logging.basicConfig(level=logging.INFO, format="%(levelname)s %(name)s: %(message)s")
        serve_until_told(
            app,
            listener,
            lambda: print(f"Corner Shop is open: {_address(listener)}  (Ctrl-C closes it)", flush=True),
        )
    finally:
        with app.app_context():
            uow.dispose()


def _address(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    return f"http://{f'[{host}]' if ':' in host else host}:{port}/"


if __name__ == "__main__":
    sys.exit(main())
