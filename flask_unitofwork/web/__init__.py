"""The unit of work of each request: found, settled by the response, and closed at the end."""

from .answered import request_answered
from .app_state import APP_STATE, EXTENSION, AppState, Cache
from .custom_scopes import ScopeFunction
from .dispatch import Dispatch
from .exhaustion import answer_exhaustion
from .holder import holder_here
from .initialized import app_initialized
from .nesting import join_nested_contexts
from .policy import CommitPolicy, below_400, is_answer
from .registry import Registry
from .scope import IndependentTransaction, Scope
from .streaming import AbandonedStreamWarning
from .units import Units, own_unit_here, unit_here
from .views import explicit_commit

__all__ = [
    "APP_STATE",
    "EXTENSION",
    "AbandonedStreamWarning",
    "AppState",
    "Cache",
    "CommitPolicy",
    "Dispatch",
    "IndependentTransaction",
    "Registry",
    "Scope",
    "ScopeFunction",
    "Units",
    "answer_exhaustion",
    "app_initialized",
    "below_400",
    "explicit_commit",
    "holder_here",
    "is_answer",
    "join_nested_contexts",
    "own_unit_here",
    "request_answered",
    "unit_here",
]
