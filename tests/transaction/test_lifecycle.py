"""The state machine of a unit, without any database."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flask_unitofwork import State
from flask_unitofwork.transaction.lifecycle import MOVES, Lifecycle

OVER = {State.COMMITTED, State.ROLLED_BACK, State.UNKNOWN}


def test_every_state_has_its_moves() -> None:
    assert set(MOVES) == set(State)
    assert all(moves for moves in MOVES.values())


@given(st.lists(st.sampled_from(State)))
def test_only_moves_of_the_table_are_made(wishes: list[State]) -> None:
    life, seen = Lifecycle(), [State.ACTIVE]
    for wish in wishes:
        if wish in MOVES[life.state]:
            life.move(wish)
            seen.append(wish)
        else:
            with pytest.raises(AssertionError, match=f"cannot become {wish.value}"):
                life.move(wish)
        assert life.state is seen[-1]
    assert all(after in MOVES[before] for before, after in pairwise(seen))


@given(st.sampled_from(State))
def test_a_doomed_unit_is_never_committed(wish: State) -> None:
    reachable, found = {State.DOOMED}, {State.DOOMED}
    while found:
        # A unit that is over, or whose failed part was taken back, is a unit that is no longer doomed.
        found = {to for state in found for to in MOVES[state] if state not in OVER | {State.ACTIVE}} - reachable
        reachable |= found
    assert not reachable & {State.COMMITTING, State.COMMITTED}


def test_work_makes_a_unit_that_is_over_active_and_leaves_others_as_they_are() -> None:
    for state in State:
        life = Lifecycle()
        life.state = state
        life.begin()
        assert life.state is (State.ACTIVE if state in OVER else state)
