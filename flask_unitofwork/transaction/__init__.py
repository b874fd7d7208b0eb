"""Units of work: what is committed or rolled back together, and where that begins and ends. Knows nothing of Flask."""

from .block import Block
from .declaration import Declaration, declaration_of
from .demarcation import ReadOnly, RequiredTransaction, Transaction, settle
from .doom import Doom
from .durable import Durable
from .hooks import Hook, HookRunner
from .idleness import HeldConnectionWarning, IdleWatch
from .lifecycle import State
from .options import TransactionOptions
from .places import place_here
from .recording import Recorder, SentStatement, Work
from .recovery import Recovery, UnfinishedUnit
from .repeating import repeat
from .retry import Repetition
from .savepoint import Savepoint
from .signals import unit_committed, unit_retried, unit_rolled_back
from .unit import Unit

__all__ = [
    "Block",
    "Declaration",
    "Doom",
    "Durable",
    "HeldConnectionWarning",
    "Hook",
    "HookRunner",
    "IdleWatch",
    "ReadOnly",
    "Recorder",
    "Recovery",
    "Repetition",
    "RequiredTransaction",
    "Savepoint",
    "SentStatement",
    "State",
    "Transaction",
    "TransactionOptions",
    "UnfinishedUnit",
    "Unit",
    "Work",
    "declaration_of",
    "place_here",
    "repeat",
    "settle",
    "unit_committed",
    "unit_retried",
    "unit_rolled_back",
]
