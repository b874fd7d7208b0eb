"""Object states made visible: what is known of an object, and what the next flush would do."""

from .attributes import Absent, AttributeChange
from .cascades import Cascade
from .inspection import Inspection, ObjectState, inspect_object

__all__ = [
    "Absent",
    "AttributeChange",
    "Cascade",
    "Inspection",
    "ObjectState",
    "inspect_object",
]
