"""Programs (``programs.py``) that Hypothesis makes up."""

from __future__ import annotations

from typing import Final

from hypothesis import strategies as st

from tests.transaction.programs import (
    Add,
    Block,
    Body,
    Call,
    Catch,
    Clash,
    Commit,
    Doom,
    FailureError,
    Flush,
    Hook,
    Insert,
    Look,
    Raise,
    Redirect,
    Request,
    Rollback,
    Step,
)

__all__ = ["bodies", "requests"]

_INDEPENDENT: Final = ("scope", "independent_transaction")
_JOINING: Final = ("transaction", "transaction_required")

_CLASH: Final = st.builds(Clash, st.sampled_from(("flush", "statement")))
_SIMPLE: Final = st.one_of(
    # Work first: it is what a program is shrunk to.
    st.builds(Add),
    st.builds(Insert),
    st.builds(Flush),
    st.builds(Look),
    st.builds(Raise, st.just(FailureError)),
    st.builds(Doom),
    st.builds(Commit),
    st.builds(Rollback),
    _CLASH,
    # What is done after a failure that nobody hears of is where work gets lost.
    _CLASH.map(lambda clash: Catch((clash,))),
    st.builds(Raise, st.just(Redirect)),
)


def bodies(*, independent: bool) -> st.SearchStrategy[Body]:
    """Programs.

    Args:
        independent: whether two transactions of one program may write at the same time. On SQLite the second would wait
            for the first in vain.
    """
    blocks = ("savepoint", *_JOINING, *(_INDEPENDENT if independent else ()))
    functions = ("durable", *_JOINING, *(_INDEPENDENT if independent else ()))

    def nest(steps: st.SearchStrategy[Step]) -> st.SearchStrategy[Step]:
        body = st.lists(steps, max_size=4).map(tuple)
        moments = st.sampled_from(("on_commit", "before_commit", "on_rollback"))
        return st.one_of(
            st.builds(Block, st.sampled_from(blocks), body),
            st.builds(Catch, body),
            st.builds(Hook, moments, st.booleans(), body),
            st.builds(Call, st.sampled_from(functions), body),
        )

    return st.lists(st.recursive(_SIMPLE, nest, max_leaves=20), max_size=6).map(tuple)


def requests(*, independent: bool) -> st.SearchStrategy[Request]:
    """Requests. The argument is that of `bodies`."""
    body = bodies(independent=independent)
    return st.builds(
        Request,
        body,
        status=st.sampled_from((200, 409)),
        explicit=st.booleans(),
        handler=st.none() | body,
        handler_status=st.sampled_from((500, 200)),
    )
