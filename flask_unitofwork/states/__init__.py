"""Object states made visible: what is known of an object, and what the next flush would do."""

from .attributes import Absent, AttributeChange
from .cascades import Cascade
from .changes import Action, PendingChange, PendingChanges, Unloaded
from .inspection import Inspection, ObjectState, inspect_object
from .pending import pending_changes

__all__ = [
    "Absent",
    "Action",
    "AttributeChange",
    "Cascade",
    "Inspection",
    "ObjectState",
    "PendingChange",
    "PendingChanges",
    "Unloaded",
    "inspect_object",
    "pending_changes",
]
