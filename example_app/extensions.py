"""The extensions of the shop, made once and given to each app by the factory."""

from __future__ import annotations

from typing import Final

from sqlalchemy import MetaData

from flask_unitofwork import UnitOfWork

__all__ = ["metadata", "uow"]

# Named constraints: a migration tool can only drop what has a name.
metadata: Final = MetaData(
    naming_convention={
        "ix": "ix_%(column_0_label)s",
        "uq": "uq_%(table_name)s_%(column_0_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
        "pk": "pk_%(table_name)s",
    }
)

# The metadata stands here rather than on the models' base, because the base takes its `query` from `uow`.
uow: Final = UnitOfWork(metadata=metadata)
