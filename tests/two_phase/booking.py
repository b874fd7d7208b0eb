"""A process that books once: ``python -m tests.two_phase.booking URL URL NAME``. The tests kill it."""

from __future__ import annotations

import sys

from tests.two_phase.ledger import Booking, Trace, configured


def main(default: str, audit: str, name: str) -> None:
    app, uow = configured({"default": default, "audit": audit})
    with uow.scope(app) as session:
        session.add(Booking(name=name))
        session.flush()
        session.add(Trace(name=name))


if __name__ == "__main__":
    main(*sys.argv[1:])
