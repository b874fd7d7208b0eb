"""Every error that this package raises, in one tree.

SQLAlchemy's own errors pass through untouched. Each message here says what happened, why, and the
line to write instead::

    UnitOfWorkError
     ├── ConfigurationError          a setting is missing, unknown or of the wrong type
     ├── AlreadyInitializedError     a second UnitOfWork on one app
     ├── NotInitializedError         use before init_app
     ├── OutsideScopeError           use where no scope is in progress
     ├── UnknownBindError            a database name that nobody configured
     ├── DemarcationError            a commit or a block where the demarcation in force forbids it
     │    └── DoomedError            a commit of a unit that can only be rolled back
     ├── UnknownCommitError          a commit whose answer was lost: nobody knows its outcome
     ├── ReadOnlyError               a write where only reads are allowed
     ├── LostWriteError              a success that would discard work
     ├── CacheError                  a statement that cannot be answered from a cache
     ├── IsolationError              what an isolated test cannot do, or could not be rolled back after
     └── PaginationError             a page, size or bookmark that cannot be served
"""

from __future__ import annotations

__all__ = [
    "AlreadyInitializedError",
    "CacheError",
    "ConfigurationError",
    "DemarcationError",
    "DoomedError",
    "IsolationError",
    "LostWriteError",
    "NotInitializedError",
    "OutsideScopeError",
    "PaginationError",
    "ReadOnlyError",
    "UnitOfWorkError",
    "UnknownBindError",
    "UnknownCommitError",
]


class UnitOfWorkError(Exception):
    """Root of this package's errors: catch it to catch them all."""


class ConfigurationError(UnitOfWorkError, ValueError):
    """A setting is missing, unknown, of the wrong type, or asks for what is not installed.

    Raised by ``UnitOfWork.init_app`` before anything is registered on the app.
    """


class AlreadyInitializedError(UnitOfWorkError, RuntimeError):
    """The app already has a UnitOfWork. Raised by ``UnitOfWork.init_app``."""


class NotInitializedError(UnitOfWorkError, RuntimeError):
    """The current app was never given to ``UnitOfWork.init_app``."""


class OutsideScopeError(UnitOfWorkError, RuntimeError):
    """There is no scope here: no request, no app context, no ``scope()`` block."""


class UnknownBindError(UnitOfWorkError, LookupError):
    """A database was asked for by a name that ``UNITOFWORK_DATABASES`` does not have."""


class DemarcationError(UnitOfWorkError):
    """A commit, rollback or block where the demarcation in force does not allow it."""


class DoomedError(DemarcationError):
    """The unit can only be rolled back, and was about to be committed.

    The message names the place that doomed it; ``__cause__`` is the exception that did, where there was one.
    """


class UnknownCommitError(UnitOfWorkError):
    """The connection was lost after COMMIT was sent and before its answer came: the work may be committed, or not.

    Raised where the database cannot tell afterwards, or could not be reached. It is not retried, and no hooks run.
    ``__cause__`` is the driver's error.
    """


class ReadOnlyError(UnitOfWorkError):
    """A write where only reads are allowed, such as in the generator of a streamed response."""


class LostWriteError(UnitOfWorkError):
    """A successful response would have discarded work that nobody committed.

    Raised in debug and testing; in production the same message is logged.
    """


class CacheError(UnitOfWorkError, ValueError):
    """A statement that cannot be answered from a cache, or a cache, a region or a table that is not there."""


class IsolationError(UnitOfWorkError):
    """An isolated test did what it cannot be rolled back after, or what has no place in one.

    Raised in tests only. Most tests that meet it are to be marked with ``uow_real_commits``.
    """


class PaginationError(UnitOfWorkError, ValueError):
    """A page, a page size or a bookmark that cannot be served, given by code rather than by a request."""
