"""One page of many: its rows, and where it is among the others."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Generic, TypeVar

__all__ = ["Pagination", "page_count"]

T = TypeVar("T")


def page_count(total: int, per_page: int) -> int:
    """How many pages *total* rows fill."""
    return -(-total // per_page)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pagination(Generic[T]):
    """One page of a select's rows. Iterating over it gives its items.

    Attributes:
        items: the rows of this page: objects for a select of one entity or column, else :class:`~sqlalchemy.Row`.
        page: this page's number, from 1.
        per_page: rows on a full page.
        total: rows on all pages; None if they were not counted.
        has_next: whether there is a page after this one.
    """

    items: list[T]
    page: int
    per_page: int
    total: int | None
    has_next: bool

    def __iter__(self) -> Iterator[T]:
        return iter(self.items)

    @property
    def pages(self) -> int | None:
        """How many pages there are; None if the rows were not counted."""
        return None if self.total is None else page_count(self.total, self.per_page)

    @property
    def has_prev(self) -> bool:
        """Whether there is a page before this one."""
        return self.page > 1

    @property
    def next_num(self) -> int | None:
        """The next page's number; None on the last page."""
        return self.page + 1 if self.has_next else None

    @property
    def prev_num(self) -> int | None:
        """The previous page's number; None on the first page."""
        return self.page - 1 if self.has_prev else None

    @property
    def first(self) -> int:
        """The number of the page's first row among all, from 1; 0 on an empty page."""
        return (self.page - 1) * self.per_page + 1 if self.items else 0

    @property
    def last(self) -> int:
        """The number of the page's last row among all, from 1; 0 on an empty page."""
        return (self.page - 1) * self.per_page + len(self.items) if self.items else 0

    def iter_pages(
        self, *, left_edge: int = 2, left_current: int = 2, right_current: int = 4, right_edge: int = 2
    ) -> Iterator[int | None]:
        """Give the page numbers for a row of links, with None where some are left out.

        If the rows were not counted, the last page that is known stands for the last page.

        Args:
            left_edge: pages shown from the first one on.
            left_current: pages shown before this one.
            right_current: pages shown after this one.
            right_edge: pages shown up to the last one.

        Example:
            >>> page = Pagination(items=["…"], page=7, per_page=1, total=20, has_next=True)
            >>> list(page.iter_pages())
            [1, 2, None, 5, 6, 7, 8, 9, 10, 11, None, 19, 20]
        """
        last = self.page + self.has_next if self.pages is None else self.pages
        shown = {
            *range(1, left_edge + 1),
            *range(self.page - left_current, self.page + right_current + 1),
            *range(last - right_edge + 1, last + 1),
        }
        before = 0
        for number in sorted(number for number in shown if 1 <= number <= last):
            if number > before + 1:
                yield None
            yield number
            before = number
        if before < last:
            yield None
