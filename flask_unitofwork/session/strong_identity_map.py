"""Persistent objects that a session holds on to, up to a number: SQLAlchemy's own identity map forgets what nobody uses.

Note: why a bound
    A session that keeps all it has ever loaded grows with each query, and every flush and commit looks at what is there.
    So the oldest object goes when one too many comes. It is then where every object of a session is by default: kept as
    long as somebody refers to it, or until its changes are written.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from typing import Any, Final, cast

from sqlalchemy import event, inspect, orm

from ..exceptions import ConfigurationError

__all__ = ["IdentityMapLimitWarning", "StrongIdentityMap"]

_COMES: Final = ("loaded_as_persistent", "pending_to_persistent", "detached_to_persistent", "deleted_to_persistent")
_GOES: Final = ("persistent_to_deleted", "persistent_to_detached", "persistent_to_transient")


class IdentityMapLimitWarning(ResourceWarning):
    """A session with ``strong_identity_map`` got more objects than its limit, and lets the oldest go from now on."""


class StrongIdentityMap:
    """The persistent objects that a session holds on to, oldest first.

    It is made by ``strong_identity_map=1000``, an option of a session, and found as ``session.strong_identity_map``. An
    object is in it from when it is loaded, flushed or attached until it is deleted, expunged or rolled back; or until it is
    the oldest of one too many.

    Args:
        session: the session whose objects are held. It is told by SQLAlchemy's events, which no other session has.
        limit: the greatest number of objects.

    Raises:
        ConfigurationError: *limit* is no whole number, or below 1.

    Attributes:
        limit: the greatest number of objects.

    Example:
        >>> from flask_unitofwork import Session
        >>> session = Session(strong_identity_map=1000)
        >>> session.strong_identity_map
        <StrongIdentityMap: 0 of at most 1000 objects>
    """

    __slots__ = ("_has_warned", "_held", "limit")

    def __init__(self, session: orm.Session, limit: int) -> None:
        if not isinstance(cast(object, limit), int) or isinstance(limit, bool) or limit < 1:
            raise ConfigurationError(
                "strong_identity_map must be a whole number, 1 or more: how many objects the session holds on to."
                f" It is {limit!r}. Leave it out, or write None, for a session that holds on to none."
            )
        self.limit = limit
        self._held: dict[int, object] = {}
        self._has_warned = False
        for names, listener in ((_COMES, self._hold), (_GOES, self._let_go)):
            for name in names:
                event.listen(session, name, listener)

    def __repr__(self) -> str:
        return f"<StrongIdentityMap: {len(self)} of at most {self.limit} objects>"

    def __len__(self) -> int:
        """How many objects are held."""
        return len(self._held)

    def __iter__(self) -> Iterator[Any]:
        """The objects that are held, oldest first."""
        return iter(list(self._held.values()))

    def __contains__(self, obj: object) -> bool:
        """Whether *obj* itself, not an object like it, is held."""
        return id(obj) in self._held

    def prune(self) -> int:
        """Let go of all objects that have no changes to write. The session keeps those that somebody refers to.

        Returns:
            how many it let go of.
        """
        clean = [key for key, obj in self._held.items() if not inspect(obj).modified]
        for key in clean:
            del self._held[key]
        return len(clean)

    def _hold(self, _session: object, obj: object) -> None:
        self._held[id(obj)] = obj
        if len(self._held) > self.limit:
            del self._held[next(iter(self._held))]
            if not self._has_warned:
                self._has_warned = True
                warnings.warn(
                    f"A session holds on to {self.limit} objects at most (strong_identity_map), and got one more: from now"
                    " on it lets the oldest go. Raise the limit, or call session.strong_identity_map.prune() when a part"
                    " of the work is done.",
                    IdentityMapLimitWarning,
                    stacklevel=2,
                )

    def _let_go(self, _session: object, obj: object) -> None:
        self._held.pop(id(obj), None)
