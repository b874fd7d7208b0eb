"""The tables as Django's models. They exist already: Django neither makes nor migrates them."""

# Without a configured Django, which its mypy plugin would ask for, fields are of no particular type.
# mypy: disable-error-code="var-annotated"

from __future__ import annotations

from typing import TYPE_CHECKING

from django.db import models

if TYPE_CHECKING:
    from django.db.models.fields.related_descriptors import RelatedManager

__all__ = ["Author", "Book", "Entry", "World"]


class World(models.Model):
    id = models.IntegerField(primary_key=True)
    number = models.IntegerField()

    class Meta:
        managed = False
        db_table = "world"


class Author(models.Model):
    books: RelatedManager[Book]

    id = models.IntegerField(primary_key=True)
    name = models.TextField()

    class Meta:
        managed = False
        db_table = "author"


class Book(models.Model):
    id = models.IntegerField(primary_key=True)
    author = models.ForeignKey(Author, models.CASCADE, related_name="books")
    title = models.TextField()

    class Meta:
        managed = False
        db_table = "book"
        ordering = ("id",)


class Entry(models.Model):
    id = models.AutoField(primary_key=True)
    text = models.TextField()

    class Meta:
        managed = False
        db_table = "entry"
