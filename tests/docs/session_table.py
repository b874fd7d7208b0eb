"""The table at the front of docs/session, and the list of what must be in it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

__all__ = ["Row", "entries", "rows"]

_ROW: Final = re.compile(r"^\| (.+?) \| (.+?) \| (.+?) \| (.+?) \|$", re.MULTILINE)
_LINK: Final = re.compile(r"\[.+\]\((.+\.md)#(.+)\)")
_CODE: Final = re.compile(r"`([^`]+)`")
_KEYWORDS: Final = frozenset({"in"})


@dataclass(frozen=True)
class Row:
    """One row of the table.

    Attributes:
        group: the heading that it is under.
        entry: what the older documents call it.
        today: what is written now.
        page: the page that shows it; empty where there is no link to one.
        anchor: the page's section.
        proof: what proves it.
    """

    group: str
    entry: str
    today: str
    page: str
    anchor: str
    proof: str

    @property
    def names(self) -> set[str]:
        """The names that somebody would write today, as the row has them in code."""
        found: set[str] = set()
        for code in _CODE.findall(self.today):
            found.add(re.split(r"[(=\[]", code.partition(" ")[0])[0].rpartition(".")[2])
            found.update(re.findall(r"(\w+)=", code))
        return found - _KEYWORDS - {""}


def rows(text: str) -> list[Row]:
    """The rows of the tables in *text*, in order."""
    found: list[Row] = []
    for group in re.split(r"^## ", text, flags=re.MULTILINE)[1:]:
        title = group.partition("\n")[0]
        for entry, today, shown, proof in _ROW.findall(group):
            if entry in ("entry", "---"):
                continue
            link = _LINK.fullmatch(shown)
            page, anchor = link.groups() if link else ("", "")
            found.append(Row(title, entry.strip("`"), today, page, anchor, proof.strip("`")))
    return found


def entries() -> list[tuple[str, str]]:
    """Every heading and every entry that the table must have: its group and its name, in order."""
    found: list[tuple[str, str]] = []
    group = ""
    for line in Path(__file__).with_suffix("").with_name("session_entries.txt").read_text().splitlines():
        if line.startswith("# "):
            group = line.removeprefix("# ")
        elif line:
            found.append((group, line))
    return found
