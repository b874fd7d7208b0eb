"""What the type checkers of users must refuse. Checked, never run.

A line ends with the code of the error that mypy gives; both checkers complain of such a comment where there is none.
"""

from __future__ import annotations

from sqlalchemy import MetaData, select, text
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from flask_unitofwork import Pagination, UnitOfWork

uow = UnitOfWork(metadata=MetaData())


class Base(DeclarativeBase):
    query = uow.query_property()


class User(Base):
    __tablename__ = "users"

    id: Mapped[int] = mapped_column(primary_key=True)


class Pet(Base):
    __tablename__ = "pets"

    id: Mapped[int] = mapped_column(primary_key=True)


@uow.transaction()
def place(product: str, quantity: int = 1) -> list[int]:
    return [len(product), quantity]


pet: Pet = User.query.get_or_404(1)  # type: ignore[assignment]
another: Pet = uow.get_or_404(User, 1)  # type: ignore[assignment]
maybe: User = User.query.first()  # type: ignore[assignment]
number: str = uow.first_or_404(select(User.id))  # type: ignore[assignment]
page = uow.paginate(select(User))
pets: Pagination[Pet] = page  # type: ignore[assignment]
count: int = uow.paginate(select(User)).total  # type: ignore[assignment]
bookmark: str = uow.paginate_by_key(select(User)).next  # type: ignore[assignment]
User.query.get_or_404()  # type: ignore[call-arg]
User.query.no_such_method()  # type: ignore[attr-defined]
uow.paginate(User)  # type: ignore[call-overload]
uow.paginate(text("SELECT 1"))  # type: ignore[call-overload]
uow.paginate(select(User), page="2")  # type: ignore[call-overload]
uow.paginate_by_key(select(User), after=1)  # type: ignore[call-overload]
uow.transaction(isolation_level="SNAPSHOT")  # type: ignore[arg-type]
uow.transaction("SERIALIZABLE")  # type: ignore[call-arg]
uow.durable(read_only=True)  # type: ignore[call-overload]
place(1)  # type: ignore[arg-type]
place("tea").append("two")  # type: ignore[arg-type]
