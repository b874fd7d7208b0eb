"""An app without a cache refuses what asks for one: a statement that silently is not cached would be a riddle.

Only who imports the options can ask, so nobody else pays for this.
"""

from __future__ import annotations

from sqlalchemy import event
from sqlalchemy.orm import ORMExecuteState

from ..exceptions import CacheError
from ..session import Session, attachment_of
from .options import FromCache, option_of

__all__ = ["refuse_without_cache"]


def refuse_without_cache() -> None:
    """From now on refuse statements with a `FromCache` in sessions that have no cache."""
    event.listen(Session, "do_orm_execute", _refuse)


def _refuse(state: ORMExecuteState) -> None:
    option: FromCache | None = option_of(state)
    if option is None:
        return
    attachment = attachment_of(state.session)
    if attachment is None or attachment.cache is None:
        raise CacheError(
            f"A statement says FromCache({option.region!r}), and its session has no cache. Write"
            f' app.config["UNITOFWORK_CACHE_REGIONS"] = {{{option.region!r}: region}} before init_app, with a region of'
            " dogpile.cache; one with the backend dogpile.cache.null keeps nothing."
        )
