# Everything a developer does here. `make help` lists it. Needs Python 3.11 or newer and make, nothing else.

PYTHON ?= python3
PORT ?= 5000
VENV ?= .venv
PYTEST_ARGS ?=
RUN_ARGS ?=

PY := $(VENV)/bin/python
PIP := $(PY) -m pip --disable-pip-version-check --require-virtualenv

# Tests and documentation start hundreds of processes. Without compiled files, each compiles the package anew.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help run test coverage check docs bench clean
.PHONY: check-style check-mypy check-basedpyright check-layers check-docs

help: ## list these commands
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-8s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

# -- the virtual environment ------------------------------------------------------------------------------------------
# A stamp is written when its step has succeeded, so an interrupted step is done again.

$(VENV)/.created:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
		echo "flask_unitofwork needs Python 3.11 or newer, and '$(PYTHON)' is not." >&2; \
		echo "Name one that is: make $(MAKECMDGOALS) PYTHON=python3.12" >&2; exit 1; }
	@echo "Making a virtual environment in $(VENV) …"
	@$(PYTHON) -m venv --clear $(VENV)
	@touch $@

# Dependency groups need pip 25.1.
$(VENV)/.run: pyproject.toml $(VENV)/.created
	@echo "Installing what the app needs …"
	@$(PIP) install --quiet --upgrade 'pip>=25.1'
	@$(PIP) install --quiet --editable . --group example
	@touch $@

$(VENV)/.dev: pyproject.toml $(VENV)/.created
	@echo "Installing what tests, checks and documentation need …"
	@$(PIP) install --quiet --upgrade 'pip>=25.1'
	@$(PIP) install --quiet --editable . --group dev
	@touch $(VENV)/.run $@

# -- what people do ---------------------------------------------------------------------------------------------------

# Ctrl-C reaches the terminal's whole foreground job, and make answers it with an error of its own. So in a terminal
# the app becomes that foreground job alone (`set -m`), ends by itself, and make sees its exit status. Elsewhere the
# app takes the shell's place (`exec`), so that whoever ends make ends the app.
run: $(VENV)/.run ## start the Corner Shop on http://127.0.0.1:5000 (PORT=5001 for another port)
	@if $(PY) -c 'import os, sys; sys.exit(not (os.isatty(0) and os.tcgetpgrp(0) == os.getpgrp()))'; then \
		set -m; $(PY) -m example_app --port $(PORT) $(RUN_ARGS); exit $$?; \
	else \
		exec $(PY) -m example_app --port $(PORT) $(RUN_ARGS); \
	fi

# loadfile: the blocks of a page of documentation build on one another, so one worker runs them all.
test: $(VENV)/.dev ## run the whole test suite (PYTEST_ARGS=… for pytest)
	$(PY) -m pytest -n auto --dist loadfile $(PYTEST_ARGS)

# Not a part of `test`: measuring takes two thirds of the time again.
coverage: $(VENV)/.dev ## run it, and hold the package to its coverage
	@rm -f .coverage .coverage.*
	$(PY) -m coverage run -m pytest -n auto --dist loadfile $(PYTEST_ARGS)
	@$(PY) -m coverage combine --quiet
	$(PY) -m coverage report

# Parts, so that `make -j` does several at a time.
check: check-style check-mypy check-basedpyright check-layers check-docs ## format, lint, types, layers, docs: everything but the tests

check-style: $(VENV)/.dev
	$(PY) -m ruff format --check .
	$(PY) -m ruff check .

check-mypy: $(VENV)/.dev
	$(PY) -m mypy

check-basedpyright: $(VENV)/.dev
	$(PY) -m basedpyright --pythonpath $(PY)

check-layers: $(VENV)/.dev
	$(PY) -c 'from importlinter.cli import lint_imports_command; lint_imports_command()'

check-docs: $(VENV)/.dev
	$(PY) -m sphinx -W --keep-going --quiet -b html docs docs/_build/html

docs: $(VENV)/.dev ## build the documentation into docs/_build/html
	$(PY) -m sphinx -b html docs docs/_build/html

# UNITOFWORK_BENCH_… in the environment chooses a part of it: see docs/explanation/performance.md.
bench: $(VENV)/.dev ## measure what a request costs with the extension, and with others
	$(PY) -m tests.benchmarks
	$(PY) -m pytest tests/benchmarks -o python_files='bench_*.py' -s $(PYTEST_ARGS)

clean: ## remove the virtual environment, caches and built files; keeps instance/ and its data
	rm -rf $(VENV) .coverage .coverage.* htmlcov docs/_build dist
	rm -rf .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
