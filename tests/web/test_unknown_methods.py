"""Requests by methods that nobody knows leave nothing behind in the app."""

from __future__ import annotations

from sqlalchemy import select

from flask_unitofwork.web import APP_STATE, AppState
from tests.stage import Item, MakeStage


def test_what_becomes_of_a_request_is_not_remembered_for_methods_that_clients_invent(
    sqlite_url: str, make_stage: MakeStage
) -> None:
    stage = make_stage(sqlite_url)
    state: AppState = stage.app.extensions[APP_STATE]

    @stage.app.before_request
    def look() -> None:
        stage.uow.session.scalars(select(Item)).all()

    @stage.app.get("/")
    def home() -> str:
        return "home"

    assert stage.client.get("/").text == "home"
    known = len(state.demarcations)
    for number in range(20):
        assert stage.client.open("/", method=f"INVENTED{number}").status_code == 405
    assert len(state.demarcations) == known == 1
