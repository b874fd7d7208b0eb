"""Both type checkers infer what they should, and refuse what they should."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

HERE: Final = Path(__file__).parent
ROOT: Final = HERE.parents[1]
EXPECTED: Final = re.compile(r"  # type: ignore\[([\w-]+)\]$")

CHECKERS: Final = {
    "mypy": ["mypy", "--strict", "--no-error-summary"],
    "basedpyright": ["basedpyright", "--pythonpath", sys.executable],
}
with_each_checker = pytest.mark.parametrize("checker", CHECKERS)


def complaints(checker: str, *files: Path, folder: Path = ROOT) -> tuple[int, str]:
    """The exit status and output of a type checker that looks at files, by the settings of the folder."""
    done = subprocess.run(
        [sys.executable, "-m", *CHECKERS[checker], *map(str, files)],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    return done.returncode, done.stdout + done.stderr


@with_each_checker
def test_it_agrees_with_every_line(checker: str) -> None:
    status, output = complaints(checker, HERE / "inferred.py", HERE / "mistakes.py")

    assert status == 0, output


@with_each_checker
def test_it_complains_of_each_mistake_and_of_nothing_else(checker: str, tmp_path: Path) -> None:
    lines = (HERE / "mistakes.py").read_text(encoding="utf-8").splitlines()
    mistakes = {number: match[1] for number, line in enumerate(lines, start=1) if (match := EXPECTED.search(line))}
    bare = tmp_path / "bare.py"
    bare.write_text("\n".join(EXPECTED.sub("", line) for line in lines), encoding="utf-8")

    status, output = complaints(checker, bare, folder=tmp_path)

    assert status == 1, output
    assert {int(number) for number in re.findall(r"bare\.py:(\d+):.*\berror\b", output)} == set(mistakes), output
    if checker == "mypy":
        assert re.findall(r"bare\.py:\d+: error: .*\[([\w-]+)\]$", output, re.MULTILINE) == list(mistakes.values())
    assert len(mistakes) > 10, "the comments were found"
