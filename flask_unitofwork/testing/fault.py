"""One fault that a test has asked for: what fails, with what, and how often."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from ..transaction.places import Place

__all__ = ["Fault", "Moment"]

Moment = Literal["commit", "flush", "statement", "checkout"]


@dataclass(slots=True, eq=False, kw_only=True)
class Fault:
    """A fault that waits for its moment.

    Attributes:
        moment: what is to fail.
        what: the name of the database's error, or the exception itself.
        times: how often it is to fail.
        bind: the database whose it is; None for whichever comes first.
        containing: a part of the statement's text; None for any statement.
        place: the line that asked for it; None where a rehearsal did.
        happened: how often it has failed.
    """

    moment: Moment
    what: str | Exception
    times: int
    bind: str | None
    containing: str | None
    place: Place | None
    happened: int = 0

    def __str__(self) -> str:
        what = self.what if isinstance(self.what, str) else type(self.what).__name__
        where = "" if self.bind is None else f" on {self.bind!r}"
        containing = "" if self.containing is None else f" containing {self.containing!r}"
        return f"{self.moment}{where}{containing}: {what}, {self.happened} of {self.times}, asked for at {self.place}"

    @property
    def note(self) -> str:
        """What its error says of where it comes from."""
        if self.place is None:
            return "A failure that rehearse_retries has provoked, so that the work is run again."
        return f"A fault that the test asked for at {self.place}."

    def is_due(self, moment: Moment, bind: str, text: str | None) -> bool:
        """Whether it is the one that fails now."""
        return (
            self.moment == moment
            and self.happened < self.times
            and self.bind in (None, bind)
            and (self.containing is None or (text is not None and self.containing in text))
        )
