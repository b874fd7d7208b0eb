"""What ``flask shell`` knows without an import."""

from __future__ import annotations

from collections.abc import Iterable

__all__ = ["shell_context"]


def shell_context(uow: object, models: Iterable[type]) -> dict[str, object]:
    """Give the names for ``flask shell``: ``uow``, and the models by name.

    Args:
        uow: the app's UnitOfWork.
        models: the mapped classes; of two with one name, the first is meant.
    """
    names: dict[str, object] = {}
    for model in models:
        names.setdefault(model.__name__, model)
    return {**names, "uow": uow}
