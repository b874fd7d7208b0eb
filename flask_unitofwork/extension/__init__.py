"""`UnitOfWork`: what an app imports. It wires the layers to apps and decides nothing itself."""

from .unit_of_work import UnitOfWork

__all__ = ["UnitOfWork"]
