"""Which steps of a flush wait for which: parents are written before their children, and deleted after them.

Note: what this mirrors
    The rules are SQLAlchemy's, which draws the same graph while it flushes. Tests flush what was foretold and compare
    the order, too.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from sqlalchemy.orm import Mapper
from sqlalchemy.orm.interfaces import RelationshipDirection

from .related import Relationship
from .steps import Edge, Kind, Step

__all__ = ["waits_of_classes", "waits_of_object"]


def waits_of_classes(relationship: Relationship) -> list[Edge]:
    """Who waits for whom because of *relationship*, where all objects of a class are written at once."""
    parent, child = relationship.parent.base_mapper, relationship.mapper.base_mapper
    return _edges(
        relationship,
        save_parent=Step(Kind.SAVE, parent),
        delete_parent=Step(Kind.DELETE, parent),
        save_child=Step(Kind.SAVE, child),
        delete_child=Step(Kind.DELETE, child),
    )


def _edges(
    relationship: Relationship, *, save_parent: Step, delete_parent: Step, save_child: Step, delete_child: Step
) -> list[Edge]:
    saved, deleted = Step(Kind.RELATE, relationship), Step(Kind.RELATE, relationship, deleted=True)
    if relationship.direction is RelationshipDirection.MANYTOMANY:
        return [
            (save_parent, saved),
            (save_child, saved),
            (saved, delete_child),
            *((deleted, step) for step in (save_parent, delete_parent, delete_child, save_child)),
        ]
    if relationship.direction is RelationshipDirection.ONETOMANY:
        if relationship.post_update:
            later, before = _post_updates(relationship.mapper.base_mapper)
            return [
                (save_child, saved),
                (save_parent, saved),
                (saved, later),
                (save_child, deleted),
                (deleted, later),
                (later, delete_parent),
                (deleted, before),
                (before, delete_parent),
                (before, delete_child),
            ]
        return [
            (save_parent, saved),
            (saved, save_child),
            (saved, delete_child),
            (save_child, delete_parent),
            (delete_child, delete_parent),
            (deleted, save_child),
            (deleted, delete_child),
        ]
    if relationship.post_update:
        later, before = _post_updates(relationship.parent.base_mapper)
        return [
            (save_child, saved),
            (save_parent, saved),
            (saved, later),
            (saved, before),
            (deleted, before),
            (before, delete_child),
            (before, delete_parent),
        ]
    return [(save_child, saved), (saved, save_parent), (save_parent, delete_child), (delete_parent, delete_child)]


def _post_updates(mapper: Mapper[Any]) -> tuple[Step, Step]:
    return Step(Kind.POST_UPDATE, mapper), Step(Kind.POST_UPDATE, mapper, deleted=True)


def waits_of_object(
    relationship: Relationship, relate: Step, own: Step, child: Step | None, *, child_deleted: bool
) -> Iterator[Edge]:
    """Who waits for whom because of *relationship* of one object.

    Args:
        relationship: the one.
        relate: the step that sets its foreign keys or association rows.
        own: the step that writes the object.
        child: the step that writes an object in it; None where the flush does nothing to that.
        child_deleted: whether it deletes it.
    """
    if relationship.direction is RelationshipDirection.MANYTOMANY:
        waits = _of_many_to_many(relate, own, child, child_deleted=child_deleted)
    elif relationship.post_update:
        waits = _of_post_update(relationship, relate, own, child, child_deleted=child_deleted)
    elif relationship.direction is RelationshipDirection.ONETOMANY:
        waits = [(relate, child), (child, own) if relate.deleted else (own, relate)]
        waits += [] if relate.deleted else [(own, child)]
    else:
        waits = _of_many_to_one(relate, own, child, child_deleted=child_deleted)
    for first, second in waits:
        if first is not None and second is not None:
            yield first, second


_Waits = list[tuple[Step | None, Step | None]]


def _of_many_to_many(relate: Step, own: Step, child: Step | None, *, child_deleted: bool) -> _Waits:
    if relate.deleted:
        return [(relate, child), (relate, own)]
    return [(own, relate), (relate, child) if child_deleted else (child, relate)]


def _of_many_to_one(relate: Step, own: Step, child: Step | None, *, child_deleted: bool) -> _Waits:
    if relate.deleted:
        return [(own, child)] if child_deleted else []
    return [(relate, own)] if child_deleted else [(child, relate), (relate, own)]


def _of_post_update(
    relationship: Relationship, relate: Step, own: Step, child: Step | None, *, child_deleted: bool
) -> _Waits:
    to_one = relationship.direction is RelationshipDirection.MANYTOONE
    later, before = _post_updates((relationship.parent if to_one else relationship.mapper).base_mapper)
    if relate.deleted:
        return [(relate, before), (before, own), *([(before, child)] if to_one else [])]
    if child_deleted and to_one:
        return [(relate, later), (later, child)]
    return [*([] if child_deleted else [(own, relate)]), (child, relate), (relate, later)]
