"""The pages of the reference that are written by hand, compared with the code that they describe."""

from __future__ import annotations

import ast
import re
from dataclasses import MISSING, fields
from pathlib import Path

import pytest

from flask_unitofwork import ConfigurationError, Settings, UnitOfWorkError, exceptions

REFERENCE = Path(__file__).parents[2] / "docs" / "reference"
ROW = re.compile(r"^\| `(UNITOFWORK_\w+)` \| (.+?) \|", re.MULTILINE)

SAID_IN_WORDS = {
    "UNITOFWORK_COMMIT_POLICY": "status below 400",
    "UNITOFWORK_DATABASES": "required",
}


def documented_defaults() -> dict[str, str]:
    return dict(ROW.findall((REFERENCE / "configuration.md").read_text()))


def known_settings() -> list[str]:
    with pytest.raises(ConfigurationError) as caught:
        Settings.from_config({f"UNITOFWORK_{'X' * 50}": True}, instance_path=".")
    return re.findall(r"UNITOFWORK_\w+", str(caught.value).partition("settings are:")[2])


def test_the_configuration_page_has_a_row_for_each_setting() -> None:
    assert sorted(documented_defaults()) == known_settings()


def test_the_configuration_page_tells_the_defaults() -> None:
    documented = documented_defaults()
    for setting in fields(Settings):
        key = f"UNITOFWORK_{setting.name.upper()}"
        if key not in documented:
            continue  # not a key of an app's configuration
        if key in SAID_IN_WORDS:
            assert documented[key] == SAID_IN_WORDS[key]
            continue
        default = setting.default if setting.default_factory is MISSING else setting.default_factory()
        assert ast.literal_eval(documented[key].strip("`")) == default, key


def test_the_tree_of_errors_is_the_real_one() -> None:
    drawn: list[tuple[str, str]] = []
    above = [(-1, "Exception")]
    for line in (exceptions.__doc__ or "").splitlines():
        branch = re.match(r"( +(?:[│ ]+)?(?:├── |└── )?)(\w+(?:Error|Warning))\b", line)
        if branch is None:
            continue
        while above[-1][0] >= len(branch[1]):
            above.pop()
        drawn.append((branch[2], above[-1][1]))
        above.append((len(branch[1]), branch[2]))
    real = [(name, getattr(exceptions, name).__mro__[1].__name__) for name in exceptions.__all__]
    assert sorted(drawn) == sorted(real)
    assert all(issubclass(getattr(exceptions, name), UnitOfWorkError) for name, _ in drawn)
