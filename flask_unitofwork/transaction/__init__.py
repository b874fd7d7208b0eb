"""Units of work: what is committed or rolled back together, and where that begins and ends. Knows nothing of Flask."""

from .demarcation import Block, Savepoint, Transaction, settle
from .doom import Doom
from .hooks import Hook
from .lifecycle import State
from .unit import Unit

__all__ = ["Block", "Doom", "Hook", "Savepoint", "State", "Transaction", "Unit", "settle"]
