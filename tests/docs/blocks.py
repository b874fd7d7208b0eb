"""How the documentation is run: every code block of a page, from top to bottom, in a folder made for that page.

================================ =============================================================================
block                            what the test does with it
================================ =============================================================================
``python``                       runs it in the page's module; what begins with ``>>>`` is a doctest
any language with ``:caption:``  writes it to a file of that name in the page's folder
``console``                      runs the lines that begin with ``$`` in the page's folder, and compares the output
                                 with the lines that follow, if there are any (``...`` stands for anything)
`NOT_RUN`                        nothing: it is no code, or would install something
================================ =============================================================================
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from doctest import ELLIPSIS, NORMALIZE_WHITESPACE, OutputChecker
from pathlib import Path
from types import ModuleType
from typing import Any, Final, cast

from flask import Flask
from sybil import Document, Example, Region
from sybil.evaluators.doctest import DocTestEvaluator
from sybil.evaluators.python import PythonEvaluator
from sybil.parsers.abstract.doctest import DocTestStringParser
from sybil.parsers.abstract.lexers import LexerCollection
from sybil.parsers.markdown.lexers import DirectiveInHTMLCommentLexer, FencedCodeBlockLexer
from sybil.parsers.myst.lexers import DirectiveInPercentCommentLexer, DirectiveLexer

__all__ = ["NOT_RUN", "Page", "code_blocks", "set_up", "tear_down"]

NOT_RUN: Final = frozenset({"shell", "text"})

_LEXERS = LexerCollection(
    [
        FencedCodeBlockLexer("[a-z]+", mapping={"language": "arguments", "source": "source"}),
        DirectiveLexer("code-block", arguments="[a-z]+"),
        DirectiveInPercentCommentLexer("invisible-code-block", arguments="[a-z]+"),
        DirectiveInHTMLCommentLexer("invisible-code-block", arguments="[a-z]+"),
    ]
)
_run_python = PythonEvaluator()
_doctests = DocTestStringParser(DocTestEvaluator(ELLIPSIS))
_COMMAND_SECONDS: Final = 120


class Page(Document):
    """A page whose blocks share a real module, because Flask and SQLAlchemy look up the module that a class is in."""

    def __init__(self, text: str, path: str) -> None:
        super().__init__(text, path)
        self.module = ModuleType(f"page_{Path(path).stem.replace('-', '_').lower()}")
        self.namespace: dict[str, Any] = self.module.__dict__
        self.namespace["PAGE"] = self


def code_blocks(document: Document) -> Iterator[Region]:
    """The blocks of *document* that do something, each with what it does.

    Raises:
        ValueError: a language that this module's table does not have.
    """
    for region in _LEXERS(document):
        language = region.lexemes["arguments"]
        source = region.parsed = region.lexemes["source"]
        if "caption" in region.lexemes.get("options", {}):
            region.evaluator = _write_file
        elif language == "console":
            region.evaluator = _run_console
        elif language == "python" and source.startswith(">>>"):
            for example in _doctests(source, document.path):
                example.adjust(region, source)
                yield example
            continue
        elif language == "python":
            region.evaluator = _run_python
        elif language in NOT_RUN:
            continue
        else:
            where = document.line_column(region.start)
            raise ValueError(f"{document.path}, {where}: nobody said what to do with a block of {language}.")
        yield region


def set_up(namespace: dict[str, Any]) -> None:
    """Give the page its folder, and go there."""
    folder = Path(tempfile.mkdtemp(prefix="docs-")).resolve()
    page: Page = namespace["PAGE"]
    # Flask looks for templates beside this file.
    page.module.__file__ = str(folder / "app.py")
    namespace["FOLDER"] = folder
    namespace["BEFORE"] = Path.cwd()
    sys.modules[page.module.__name__] = page.module
    sys.path.insert(0, str(folder))
    os.chdir(folder)


def tear_down(namespace: dict[str, Any]) -> None:
    """Close the pools of the page's apps, forget its modules, and remove its folder."""
    folder: Path = namespace["FOLDER"]
    modules = [module for module in list(sys.modules.values()) if _is_in(folder, module)]
    for app in {value for module in modules for value in vars(module).values() if isinstance(value, Flask)}:
        if "unitofwork" in app.extensions:
            with app.app_context():
                app.extensions["unitofwork"].dispose()
    for module in modules:
        del sys.modules[module.__name__]
    sys.path.remove(str(folder))
    os.chdir(namespace["BEFORE"])
    shutil.rmtree(folder)


def _is_in(folder: Path, module: ModuleType) -> bool:
    file = cast("str | None", getattr(module, "__file__", None))
    return file is not None and folder in Path(file).parents


def _write_file(example: Example) -> None:
    file: Path = example.namespace["FOLDER"] / example.region.lexemes["options"]["caption"]
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(example.parsed)
    if file.suffix == ".py":
        compile(example.parsed, str(file), "exec")


def _run_console(example: Example) -> str | None:
    """Run the commands of a block one after the other.

    Returns:
        what went otherwise than shown; None where all is well.
    """
    for part in f"\n{example.parsed}".split("\n$ ")[1:]:
        command, _, shown = part.partition("\n")
        done = subprocess.run(
            ["/bin/sh", "-c", command],
            cwd=example.namespace["FOLDER"],
            env={
                # As on a reader's machine: where `CI` is set, pytest writes more than it writes there.
                **{name: value for name, value in os.environ.items() if name != "CI"},
                "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
                "COLUMNS": "100",
                # pytest-asyncio warns of a default that it will change one day.
                "PYTEST_ADDOPTS": "-W 'ignore:The configuration option'",
            },
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=_COMMAND_SECONDS,
            check=False,
        )
        as_shown = OutputChecker().check_output(shown, done.stdout, ELLIPSIS | NORMALIZE_WHITESPACE)
        if done.returncode or (shown.strip() and not as_shown):
            return (
                f"$ {command}\nended with status {done.returncode} and wrote:\n{done.stdout}\nThe page shows:\n{shown}"
            )
    return None
