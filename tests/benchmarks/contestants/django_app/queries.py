"""What the views ask Django's ORM for."""

from __future__ import annotations

from django.db import transaction

from tests.benchmarks.contestants.views import AuthorAnswer, Row

from .models import Author, Entry, World

__all__ = ["DjangoViews"]


class DjangoViews:
    def row(self, key: int) -> Row:
        return _row(World.objects.get(pk=key))

    def rows(self, keys: list[int]) -> list[Row]:
        return [_row(World.objects.get(pk=key)) for key in keys]

    def page(self, above: int) -> list[Row]:
        return [_row(world) for world in World.objects.filter(id__gt=above).order_by("id")[:100]]

    def authors(self, above: int) -> list[AuthorAnswer]:
        found = Author.objects.filter(id__gt=above).order_by("id").prefetch_related("books")[:20]
        return [
            {"id": author.id, "name": author.name, "books": [book.title for book in author.books.all()]}
            for author in found
        ]

    def create(self, text: str) -> str:
        given: str = Entry.objects.create(text=text).text
        return given

    def created(self, text: str) -> int:
        given: int = Entry.objects.create(text=text).id
        return given

    def updates(self, keys: list[int]) -> list[Row]:
        with transaction.atomic():
            worlds = [World.objects.get(pk=key) for key in keys]
            for world in worlds:
                world.number += 1
            World.objects.bulk_update(worlds, ["number"])
        return [_row(world) for world in worlds]


def _row(world: World) -> Row:
    return {"id": world.id, "number": world.number}
