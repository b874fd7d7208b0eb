"""What a piece of work has done by the time it is committed: what it wrote, what it will do after, what it answered."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from typing import Any

from werkzeug.wrappers import Response

from ..transaction import SentStatement
from .sameness import Keys, Sameness
from .statements import described

__all__ = ["Answer", "Effects", "differences"]


@dataclass(frozen=True, slots=True)
class Answer:
    """A view's response.

    Attributes:
        status: such as ``"200 OK"``.
        location: where it redirects to.
        body: parsed, where it is JSON; None where it is streamed.
    """

    status: str
    location: str | None
    body: Any

    @classmethod
    def of(cls, response: Response) -> Answer:
        """That of *response*, whose body is left as it is."""
        body: Any = None
        if not response.is_streamed and not response.direct_passthrough:
            body = response.get_data().decode(errors="replace")
        if response.is_json and body:
            try:
                body = json.loads(body)
            except ValueError:
                pass
        return cls(response.status, response.headers.get("Location"), body)


@dataclass(frozen=True, slots=True)
class Effects:
    """What one run has done.

    Attributes:
        writes: the statements that write, in order.
        hooks: the names of the after-commit hooks, in order.
        answer: the response; None where it is not known yet.
        keys: those of its new rows.
    """

    writes: Sequence[SentStatement]
    hooks: Sequence[str]
    answer: Answer | None
    keys: Keys


def differences(first: Effects, second: Effects, ignored: Collection[str]) -> list[str]:
    """In what the *second* run differs from the *first*, in words.

    Args:
        first: what the first run did.
        second: what the second did.
        ignored: names of columns, and of what is in JSON, that may differ.
    """
    same = Sameness(first.keys, second.keys, ignored)
    found = [*_of_writes(first.writes, second.writes, same)]
    if list(first.hooks) != list(second.hooks):
        found.append(f"after-commit hooks: first {_names(first.hooks)}, then {_names(second.hooks)}")
    if first.answer is not None and second.answer is not None:
        found += _of_answers(first.answer, second.answer, same)
    return found


def _of_writes(first: Sequence[SentStatement], second: Sequence[SentStatement], same: Sameness) -> Iterator[str]:
    for one, other in zip_longest(first, second):
        if one is None or other is None:
            sent: Any = one or other
            yield f"only the {'second' if one is None else 'first'} run sent:\n  {_described(sent)}"
            return
        if (one.bind, one.text) != (other.bind, other.text):
            yield f"the first run sent:\n  {_described(one)}\n  and the second:\n  {_described(other)}"
            return
        part = same.difference(list(one.parameters), list(other.parameters))
        if part is not None:
            yield f"the value of {part.partition('.')[2] or part!r} differs in:\n  {_described(other)}"


def _of_answers(first: Answer, second: Answer, same: Sameness) -> Iterator[str]:
    if first.status != second.status:
        yield f"status: first {first.status}, then {second.status}"
    if same.difference(first.location, second.location, "Location") is not None:
        yield f"Location: first {first.location}, then {second.location}"
    part = same.difference(first.body, second.body)
    if part is not None:
        where = f" at {part!r}" if part else ""
        yield f"body{where}: first {_shortened(first.body)}, then {_shortened(second.body)}"


def _described(statement: SentStatement) -> str:
    return described(statement, parameters=False).replace("\n", "\n  ")


def _names(hooks: Sequence[str]) -> str:
    return ", ".join(hooks) or "none"


def _shortened(body: Any) -> str:
    text = repr(body)
    return text if len(text) <= 500 else f"{text[:500]} …"
