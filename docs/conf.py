"""How Sphinx builds this documentation."""

from __future__ import annotations

import sys
from importlib.metadata import version as version_of
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

project = "flask_unitofwork"
author = "flask_unitofwork contributors"
copyright = f"2026, {author}"  # noqa: A001 - the name that Sphinx reads
release = version = version_of("flask-unitofwork")

extensions = ["_ext.layers", "myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
exclude_patterns = ["_build"]

html_theme = "furo"
html_title = project
html_static_path = ["_static"]
html_css_files = ["layers.css"]
html_copy_source = False

myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 3

# Docstrings are read in editors too: a name in single backticks is code, and a link where there is something to link.
default_role = "py:obj"
autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_typehints_format = "short"
autodoc_inherit_docstrings = False
napoleon_google_docstring = True
napoleon_numpy_docstring = False
napoleon_use_rtype = False

# A link to a name of this package that does not exist fails the build. Names of others need their servers to be
# looked up, and a build needs no network. Type variables (T, F) have no page.
nitpicky = True
nitpick_ignore_regex = [
    (r"py:.*", r"(?!flask_unitofwork).*"),
    (r"py:.*", r"flask_unitofwork\..*\.[A-Z][a-z]?\d?"),
    # Types in signatures of the test plugin that nobody has to name.
    (r"py:class", r"flask_unitofwork\..*\.(Expectation|Place|SentStatement)"),
]
