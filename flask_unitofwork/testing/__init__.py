"""What tests of an app need: isolation from one another, and ways to ask what the app did."""

from .assertions import AssertStatements, assert_max_statements, assert_statements
from .captured import CapturedHooks, captured_hooks
from .current_test import current_test_session
from .example import isolated_example
from .fault import Fault
from .faults import Faults, provoked_faults
from .isolation import isolated
from .lazy_loads import AssertNoLazyLoads, assert_no_lazy_loads
from .live_server import LiveServer
from .outcomes import Ending, Outcomes
from .rehearsal import Rehearsal, rehearsed_retries
from .repeated import RepeatedStatementWarning

__all__ = [
    "AssertNoLazyLoads",
    "AssertStatements",
    "CapturedHooks",
    "Ending",
    "Fault",
    "Faults",
    "LiveServer",
    "Outcomes",
    "Rehearsal",
    "RepeatedStatementWarning",
    "assert_max_statements",
    "assert_no_lazy_loads",
    "assert_statements",
    "captured_hooks",
    "current_test_session",
    "isolated",
    "isolated_example",
    "provoked_faults",
    "rehearsed_retries",
]
