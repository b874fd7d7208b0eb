"""The audit trail."""

from __future__ import annotations

from flask import render_template
from flask.typing import ResponseReturnValue
from sqlalchemy import select

from ..extensions import uow
from ..models import AuditEntry
from .blueprint import pages

__all__: list[str] = []


@pages.get("/audit")
def list_audit_entries() -> ResponseReturnValue:
    # By key, not by number: the trail only grows, and its hundredth page must cost no more than its first.
    page = uow.paginate_by_key(select(AuditEntry).order_by(AuditEntry.id.desc()), per_page=20)
    return render_template("audit.html", page=page)
