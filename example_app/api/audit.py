"""The audit trail."""

from __future__ import annotations

from typing import Any

from flask.typing import ResponseReturnValue
from sqlalchemy import select

from ..extensions import uow
from ..models import AuditEntry
from .blueprint import api

__all__: list[str] = []


@api.get("/audit")
def list_audit_entries() -> ResponseReturnValue:
    page = uow.paginate_by_key(select(AuditEntry).order_by(AuditEntry.id.desc()), max_per_page=100)
    return {"items": [_represent(entry) for entry in page.items], "next": page.next, "previous": page.previous}


def _represent(entry: AuditEntry) -> dict[str, Any]:
    return {
        "id": entry.id,
        "at": entry.at.isoformat(),
        "action": entry.action,
        "detail": entry.detail,
        "order_id": entry.order_id,
    }
