"""Transactions that are prepared on a test's connection: they wait for the second phase of a commit."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

from .journal import Transaction

__all__ = ["Prepared", "PreparedTransactions"]


@dataclass(frozen=True, slots=True)
class Prepared:
    """A transaction that is prepared.

    Attributes:
        transaction: it.
        since: since when.
        holder: the connection that has prepared it. Some databases let nobody else finish it before that is closed.
    """

    transaction: Transaction
    since: datetime
    holder: object


class PreparedTransactions:
    """Those of a test in one database, by name. Nothing of them is prepared in the database itself."""

    def __init__(self) -> None:
        self._prepared: dict[str, Prepared] = {}

    def __contains__(self, name: str) -> bool:
        return name in self._prepared

    def __iter__(self) -> Iterator[tuple[str, Prepared]]:
        return iter(list(self._prepared.items()))

    def add(self, name: str, transaction: Transaction, holder: object) -> None:
        """*transaction* is prepared from now on."""
        self._prepared[name] = Prepared(transaction, datetime.now(UTC), holder)

    def find(self, name: str) -> Prepared | None:
        """The one of that name, if there is one."""
        return self._prepared.get(name)

    def take(self, name: str) -> Transaction | None:
        """The one of that name, which is committed or rolled back now."""
        found = self._prepared.pop(name, None)
        return None if found is None else found.transaction

    def only(self, names: frozenset[str]) -> None:
        """Forget all but those: a part of the test has been rolled back, and the others with it."""
        for name in self._prepared.keys() - names:
            del self._prepared[name]

    @property
    def names(self) -> frozenset[str]:
        """Their names."""
        return frozenset(self._prepared)
