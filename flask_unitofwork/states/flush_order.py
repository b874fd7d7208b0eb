"""In which order the next flush would work.

All rows of a class are written at once, or object by object where classes depend on one another in a circle.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import Any

from sqlalchemy.orm import Mapper

from .fates import Fates
from .related import Relationship, State, is_unloaded, related
from .steps import Edge, Kind, Step
from .waits import waits_of_classes, waits_of_object

__all__ = ["flush_steps"]


def flush_steps(fates: Fates) -> list[tuple[Step, list[State]]]:
    """The steps of the flush, each with the objects that it is about."""
    steps: dict[Step, None] = {}
    edges: set[Edge] = set()
    for mapper in fates.mappers:
        if fates.mappers[mapper]:
            edges.add((Step(Kind.SAVE, mapper.base_mapper), Step(Kind.DELETE, mapper.base_mapper)))
    for relationship in fates.changing:
        edges.update(waits_of_classes(relationship))
        steps.update(dict.fromkeys(Step(Kind.RELATE, relationship, deleted) for deleted in (False, True)))
    steps.update(dict.fromkeys(step for edge in edges for step in edge))
    circle = _in_circles(edges, steps)
    if circle:
        edges, steps = _broken_up(circle, edges, steps, fates)
    ordered = sorted(steps, key=lambda step: step.sort_key)
    return [(step, _states(group, fates)) for layer in _layers(edges, ordered) for step, group in _groups(layer)]


# -- circles ---------------------------------------------------------------------------------------------------------


def _in_circles(edges: Iterable[Edge], steps: Iterable[Step]) -> set[Step]:
    """The steps that wait for themselves in the end."""
    after: dict[Step, set[Step]] = {}
    for first, second in edges:
        after.setdefault(first, set()).add(second)

    def reached(start: Step) -> set[Step]:
        found: set[Step] = set()
        waiting = [start]
        while waiting:
            for step in after.get(waiting.pop(), ()):
                if step not in found:
                    found.add(step)
                    waiting.append(step)
        return found

    return {step for step in steps if step in reached(step)}


def _broken_up(
    circle: set[Step], edges: set[Edge], steps: Iterable[Step], fates: Fates
) -> tuple[set[Edge], dict[Step, None]]:
    """The same graph with the steps in *circle* taken apart: one step an object."""
    broken = _Broken(circle, edges, fates)
    parts = {step: broken.parts_of(step) for step in circle}
    rewritten: set[Edge] = set()
    for first, second in broken.edges:
        if broken.dropped & {first, second} or (first in circle and second in circle):
            continue
        for one in parts.get(first, [first]):
            rewritten.update((one, other) for other in parts.get(second, [second]))
    kept = (step for step in (*steps, *broken.steps) if step not in circle and step not in broken.dropped)
    return rewritten, dict.fromkeys(kept)


class _Broken:
    """Takes steps apart, and finds who waits for whom among the parts."""

    def __init__(self, circle: set[Step], edges: set[Edge], fates: Fates) -> None:
        self.edges = set(edges)
        self.steps: dict[Step, None] = {}
        self.dropped: set[Step] = set()
        self._circle = circle
        self._fates = fates

    def parts_of(self, step: Step) -> list[Step]:
        if step.kind not in {Kind.SAVE, Kind.DELETE}:
            return []
        assert isinstance(step.about, Mapper)
        deleted = step.kind is Kind.DELETE
        states = self._fates.of(list(step.about.self_and_descendants), deleted=deleted)
        parts = [Step(step.kind, step.about, state=state) for state in states]
        self.steps.update(dict.fromkeys(parts))
        whole = Step(Kind.SAVE if deleted else Kind.DELETE, step.about)
        self.edges.update((whole, part) if deleted else (part, whole) for part in parts)
        for relationship in self._fates.changing:
            if relationship.parent.base_mapper is step.about:
                self._relate(relationship, deleted=deleted)
        return parts

    def _relate(self, relationship: Relationship, *, deleted: bool) -> None:
        self.dropped.add(Step(Kind.RELATE, relationship, deleted))
        for state in self._fates.of_relationship(relationship, deleted=deleted):
            children = _pending_of(state, relationship, deleted=deleted)
            if children is None:
                continue
            relate = Step(Kind.RELATE, relationship, deleted, state)
            self.steps[relate] = None
            own = self._part(state, relationship.parent.base_mapper, deleted=deleted)
            for step, is_deleted in self._steps_of_children(children, relationship):
                self.edges.update(waits_of_object(relationship, relate, own, step, child_deleted=is_deleted))

    def _part(self, state: State, mapper: Mapper[Any], *, deleted: bool) -> Step:
        kind = Kind.DELETE if deleted else Kind.SAVE
        whole = Step(kind, mapper)
        return Step(kind, mapper, state=state) if whole in self._circle else whole

    def _steps_of_children(
        self, children: Collection[State | None], relationship: Relationship
    ) -> Iterator[tuple[Step | None, bool]]:
        base = relationship.mapper.base_mapper
        if Step(Kind.SAVE, base) not in self._circle:
            yield from ((Step(Kind.SAVE, base), False), (Step(Kind.DELETE, base), True))
            return
        for child in children:
            fate = None if child is None else self._fates.get(child)
            if fate is None:
                yield None, False
            else:
                assert child is not None
                step = Step(Kind.DELETE if fate.deleted else Kind.SAVE, base, state=child)
                self.steps[step] = None
                yield step, fate.deleted


def _pending_of(state: State, relationship: Relationship, *, deleted: bool) -> list[State | None] | None:
    """What has a part in *relationship* of *state*; None where nothing is known of it."""
    found = related(state, relationship, deleted=deleted)
    if found:
        return list(found)
    return None if relationship.uselist or is_unloaded(state, relationship) else [None]


# -- sorting ---------------------------------------------------------------------------------------------------------


def _layers(edges: Iterable[Edge], ordered: Sequence[Step]) -> Iterator[list[Step]]:
    """*ordered* in layers: a step is in the first one in which it waits for nobody any more."""
    before: dict[Step, set[Step]] = {}
    for first, second in edges:
        before.setdefault(second, set()).add(first)
    waiting = dict.fromkeys(ordered)
    while waiting:
        layer = [step for step in waiting if waiting.keys().isdisjoint(before.get(step, ()))]
        if not layer:
            # The flush itself would raise a CircularDependencyError here.
            yield list(waiting)
            return
        yield layer
        for step in layer:
            del waiting[step]


def _groups(layer: Iterable[Step]) -> Iterator[tuple[Step, list[Step]]]:
    """Steps of one kind in a layer are done together."""
    groups: dict[Step, list[Step]] = {}
    for step in layer:
        groups.setdefault(Step(step.kind, step.about, step.deleted), []).append(step)
    yield from groups.items()


def _states(group: Sequence[Step], fates: Fates) -> list[State]:
    step = group[0]
    if step.state is not None:
        return [one.state for one in group if one.state is not None]
    deleted = step.deleted or step.kind is Kind.DELETE
    if isinstance(step.about, Mapper):
        return fates.of(list(step.about.self_and_descendants), deleted=deleted)
    return fates.of_relationship(step.about, deleted=deleted)
