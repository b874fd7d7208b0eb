"""What an isolated test does otherwise than production, as ``docs/explanation/testing.md`` tells it."""

from __future__ import annotations

from sqlalchemy import func, select, text

from flask_unitofwork.testing import isolated
from tests.stage import Item, MakeStage, Stage


def number_of_a_row(stage: Stage, name: str) -> int:
    with stage.uow.scope(stage.app) as session:
        session.add(item := Item(name=name))
        session.flush()
        return item.id


def test_numbers_are_used_up_where_the_database_does_not_roll_them_back(stage: Stage) -> None:
    numbers: list[int] = []
    for _ in range(3):
        with isolated(stage.app):
            numbers.append(number_of_a_row(stage, "tea"))
    assert numbers == ([1, 1, 1] if stage.engine.dialect.name == "sqlite" else [1, 2, 3])


def test_now_is_when_the_test_began_on_postgresql(postgresql_url: str, make_stage: MakeStage) -> None:
    stage = make_stage(postgresql_url)

    def now() -> tuple[object, object]:
        with stage.uow.scope(stage.app) as session:
            at, clock = session.execute(select(func.now(), func.clock_timestamp())).one()
            return at, clock

    first, second = now(), now()
    assert first[0] != second[0]
    with isolated(stage.app):
        first, second = now(), now()
        assert first[0] == second[0]
        assert first[1] != second[1]


def test_now_goes_on_on_mariadb(mariadb_url: str, make_stage: MakeStage) -> None:
    stage = make_stage(mariadb_url)
    with isolated(stage.app):
        times: list[object] = []
        for _ in range(2):
            with stage.uow.scope(stage.app) as session:
                times.append(session.scalar(text("SELECT NOW(6)")))
    assert times[0] != times[1]


def test_a_transaction_sees_what_others_have_not_committed(stage: Stage) -> None:
    with isolated(stage.app), stage.app.app_context():
        stage.add("flushed")
        stage.uow.session.flush()
        with stage.engine.connect() as connection:
            assert connection.scalars(select(Item.name)).all() == ["flushed"]


def test_levels_of_isolation_have_no_effect(postgresql_url: str, make_stage: MakeStage) -> None:
    stage = make_stage(postgresql_url)
    with isolated(stage.app), stage.app.app_context():
        with stage.uow.transaction(isolation_level="REPEATABLE READ"):
            assert stage.uow.session.scalar(select(func.count()).select_from(Item)) == 0
            with stage.engine.begin() as connection:
                connection.execute(Item.__table__.insert().values(name="tea"))  # type: ignore[attr-defined]
            assert stage.uow.session.scalar(select(func.count()).select_from(Item)) == 1
