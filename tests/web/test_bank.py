"""A bank whose customers all move money at once: none is made, none is lost, and every answer is true.

For five seconds; for thirty where the environment variable ``CI`` is set.
"""

from __future__ import annotations

import os
import random
import threading
import time
import uuid
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

import pytest
from flask import abort, request
from flask.typing import ResponseReturnValue
from sqlalchemy import ForeignKey, select
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from flask_unitofwork import UnitOfWork, unit_retried
from tests.stage import MakeStage, Stage
from tests.web.clients import Address, Client, served

SECONDS: Final = 30 if os.environ.get("CI") else 5
CUSTOMERS: Final = 16
ACCOUNTS: Final = 10
BALANCE: Final = 100
TOTAL: Final = ACCOUNTS * BALANCE


class Base(DeclarativeBase):
    pass


class Account(Base):
    __tablename__ = "account"

    id: Mapped[int] = mapped_column(primary_key=True)
    balance: Mapped[int]


class Transfer(Base):
    __tablename__ = "transfer"

    id: Mapped[str] = mapped_column(primary_key=True)  # the customer's choice: who hears nothing can ask for it
    source_id: Mapped[int] = mapped_column(ForeignKey("account.id"))
    target_id: Mapped[int] = mapped_column(ForeignKey("account.id"))
    amount: Mapped[int]


@pytest.fixture
def bank(postgresql_url: str, make_stage: MakeStage) -> Stage:
    uow = UnitOfWork(metadata=Base.metadata)
    stage = make_stage(postgresql_url, uow=uow)
    with uow.scope(stage.app) as session:
        session.add_all([Account(id=number, balance=BALANCE) for number in range(ACCOUNTS)])

    @stage.app.post("/transfer")
    @uow.transaction(isolation_level="SERIALIZABLE", attempts=5)
    def transfer() -> ResponseReturnValue:
        wish = Transfer(**request.get_json())
        uow.session.add(wish)
        source, target = uow.get_or_404(Account, wish.source_id), uow.get_or_404(Account, wish.target_id)
        source.balance -= wish.amount
        target.balance += wish.amount
        if source.balance < 0:
            abort(409)
        return "moved"

    @stage.app.get("/total")
    @uow.transaction(isolation_level="SERIALIZABLE", read_only=True, attempts=5)
    def total() -> ResponseReturnValue:
        # One account after the other, so that only a transaction that stands still adds up.
        return str(sum(uow.get_or_404(Account, number).balance for number in range(ACCOUNTS)))

    @stage.app.errorhandler(OperationalError)
    def busy(_: OperationalError) -> ResponseReturnValue:
        return "come back later", 503

    return stage


def move_money(address: Address, seed: int, until: float) -> list[tuple[str, int]]:
    """Be a customer: the transfers that were asked for, and how each was answered."""
    chance, answers = random.Random(seed), list[tuple[str, int]]()
    with Client(address) as client:
        while time.monotonic() < until:
            source, target = chance.sample(range(ACCOUNTS), 2)
            name, amount = str(uuid.UUID(int=chance.getrandbits(128))), chance.randint(1, BALANCE // 2)
            wish = {"id": name, "source_id": source, "target_id": target, "amount": amount}
            status, _ = client.post("/transfer", wish)
            answers.append((name, status))
    return answers


def audit(address: Address, over: threading.Event) -> set[str]:
    """Add all accounts up, again and again: the sums that were seen."""
    seen = set[str]()
    with Client(address) as client:
        while not over.is_set():
            status, total = client.get("/total")
            seen.add(total if status == 200 else str(status))
    return seen


def test_a_bank_keeps_its_money_and_its_word(bank: Stage) -> None:
    retried, over = Counter[int](), threading.Event()

    def count(_sender: object, **_: Any) -> None:
        retried[threading.get_ident()] += 1

    unit_retried.connect(count, bank.app)
    with served(bank.app, threads=CUSTOMERS + 1) as address, ThreadPoolExecutor(CUSTOMERS + 1) as people:
        auditor = people.submit(audit, address, over)
        until = time.monotonic() + SECONDS
        customers = [people.submit(move_money, address, seed, until) for seed in range(CUSTOMERS)]
        answers = [answer for customer in customers for answer in customer.result()]
        over.set()
        seen = auditor.result()

    with bank.outside(bank.engine) as connection:
        balances = {row.id: row.balance for row in connection.execute(select(Account.id, Account.balance))}
        transfers = connection.execute(select(Transfer)).all()
    assert seen - {"503"} == {str(TOTAL)}
    assert sum(balances.values()) == TOTAL
    assert sorted(transfer.id for transfer in transfers) == sorted(name for name, status in answers if status == 200)
    for number, balance in balances.items():
        came = sum(transfer.amount for transfer in transfers if transfer.target_id == number)
        went = sum(transfer.amount for transfer in transfers if transfer.source_id == number)
        assert balance == BALANCE + came - went >= 0
    # It was worth the trouble: there were transfers, and there were attempts that the database refused.
    assert {200, 409} <= {status for _, status in answers} <= {200, 409, 503}
    assert retried.total() > 0
    assert bank.checked_out() == 0
