"""Going through all pages, forth and back."""

from __future__ import annotations

from typing import Any, Final

from sqlalchemy import Select
from sqlalchemy.orm import Session

from flask_unitofwork.models import paginate_by_key

ENOUGH: Final = 200


def walk(session: Session, statement: Select[*tuple[Any, ...]], per_page: int) -> tuple[list[Any], list[Any]]:
    """The items on all pages from the first to the last, and from the last back to the first."""
    page = paginate_by_key(session, statement, per_page=per_page)
    forth = [list(page)]
    while page.next is not None:
        page = paginate_by_key(session, statement, per_page=per_page, after=page.next)
        forth.append(list(page))
        assert len(forth) < ENOUGH
    back = [list(page)]
    while page.previous is not None:
        page = paginate_by_key(session, statement, per_page=per_page, before=page.previous)
        back.insert(0, list(page))
        assert len(back) < ENOUGH
    return [item for items in forth for item in items], [item for items in back for item in items]
