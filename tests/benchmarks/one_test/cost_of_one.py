"""The same test under each way of isolation, in rounds; the order within a round is the round's own."""

from __future__ import annotations

import os
import random
from collections.abc import Iterator

import pytest
from flask import Flask
from sqlalchemy import make_url

from tests.benchmarks.one_test.ways import NONE, OURS, WAYS, Place

ROUNDS = int(os.environ["ONE_TEST_ROUNDS"])
TURNS = 5  # one after the other, so that what another way did to the caches is not everything


def in_rounds() -> Iterator[object]:
    for number in range(-1, ROUNDS):  # the first warms up
        order = list(WAYS)
        random.Random(number).shuffle(order)
        for way in order:
            marks = [pytest.mark.uow_isolated] if way == OURS else []
            for turn in range(TURNS if way in {NONE, OURS, "join, rollback only"} else 1):
                yield pytest.param(way, id=f"{way}-{number}-{turn}", marks=marks)


# Here, where they take the place of the plugin's.
@pytest.fixture(scope="session")
def places() -> dict[str, Place]:
    url = make_url(os.environ["ONE_TEST_SERVER"])
    return {way: Place.made(url.set(database=f"one_test_{number}")) for number, way in enumerate(WAYS)}


@pytest.fixture
def place(places: dict[str, Place], way: str) -> Place:
    return places[way]


@pytest.fixture
def uow_app(place: Place) -> Flask:
    return place.app


@pytest.fixture
def kept_apart(place: Place, way: str) -> Iterator[None]:
    with WAYS[way](place):
        yield


@pytest.mark.parametrize("way", in_rounds())
def test_one_request(place: Place, kept_apart: None) -> None:
    assert place.app.test_client().post("/rows").text == "added"
