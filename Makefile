# The project's commands. Each sets up what it needs in .venv and touches nothing outside this folder.
#   make demo    run the whole pipeline on twelve weeks of synthetic mentions
#   make test    run every test
SHELL := /bin/sh
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

# The newest Python of at least 3.11 that is on the path; PYTHON=/path/to/python make … chooses another.
PYTHON ?= $(shell for p in python3.13 python3.12 python3.11 python3 python; do \
  "$$p" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo "$$p" && break; done)
BIN := .venv/bin

.PHONY: help demo test kill-test lint format bench train docs lock clean

help:
	@sed -n 's/^#   //p' Makefile; echo "also: make lint | format | kill-test | bench | train DATA=folder | docs | lock | clean"

# uv is quicker where it is there; pip alone does as well. A marker file says what the environment holds.
define install
	@test -n "$(PYTHON)" || { echo "Listener needs Python 3.11 or newer: install it, or name it with PYTHON=…" >&2; exit 2; }
	@test -x $(BIN)/python || \
	  if command -v uv >/dev/null 2>&1; then uv venv --quiet --python "$(PYTHON)" .venv; \
	  else "$(PYTHON)" -m venv .venv; fi || \
	  { echo "could not make .venv: install uv, or your system's python3-venv package" >&2; exit 2; }
	@if command -v uv >/dev/null 2>&1; then \
	  uv pip install --quiet --python $(BIN)/python --require-hashes -r $(1) && \
	  uv pip install --quiet --python $(BIN)/python --no-deps --editable .; \
	else \
	  $(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r $(1) && \
	  $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --editable .; \
	fi
	@touch $@
endef

.venv/.runtime: requirements.lock pyproject.toml
	$(call install,requirements.lock)

.venv/.dev: requirements-dev.lock pyproject.toml
	$(call install,requirements-dev.lock)
	@touch .venv/.runtime

.venv/.train: requirements-train.lock pyproject.toml
	$(call install,requirements-train.lock)
	@touch .venv/.runtime .venv/.dev

.venv/.docs: requirements-docs.lock pyproject.toml
	$(call install,requirements-docs.lock)

demo: .venv/.runtime
	$(BIN)/listener demo --directory demo

test: .venv/.dev
	$(BIN)/python -m pytest -n 2 --dist worksteal --cov --cov-report=term --cov-fail-under=95

kill-test: .venv/.dev
	LISTENER_KILLS=200 $(BIN)/python -m pytest tests/jobs/test_kill.py -v --timeout 1800

lint: .venv/.dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: .venv/.dev
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: .venv/.train
	$(BIN)/python -m benchmarks

# Without the labelled texts there is nothing to set up for.
train: $(if $(DATA),.venv/.train)
	@test -n "$(DATA)" || { echo "name the folder of labelled texts: make train DATA=/path/to/folder (docs/models says what lies in it)" >&2; exit 2; }
	$(BIN)/python -m benchmarks.train --data "$(DATA)"

docs: .venv/.docs
	$(BIN)/sphinx-build -W --keep-going -q -b html docs docs/_build/html

# Exact versions with hashes, for every platform and Python at once; no registry's address is written down.
lock:
	UV_CUSTOM_COMPILE_COMMAND="make lock" uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-strip-extras \
	  --upgrade pyproject.toml -o requirements.lock
	UV_CUSTOM_COMPILE_COMMAND="make lock" uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-strip-extras \
	  -c requirements.lock pyproject.toml --extra cluster -o requirements-cluster.lock
	UV_CUSTOM_COMPILE_COMMAND="make lock" uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-strip-extras \
	  -c requirements-cluster.lock pyproject.toml --group dev -o requirements-dev.lock
	UV_CUSTOM_COMPILE_COMMAND="make lock" uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-strip-extras \
	  -c requirements.lock pyproject.toml --group docs -o requirements-docs.lock
	UV_CUSTOM_COMPILE_COMMAND="make lock" uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-strip-extras \
	  -c requirements-dev.lock pyproject.toml --group dev --extra train -o requirements-train.lock

clean:
	rm -rf .venv demo dist build docs/_build .pytest_cache .mypy_cache .ruff_cache .coverage .coverage.*
