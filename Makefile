# make demo   the main job on a small real picture, results in runs/demo
# make test   the test suite
# make check  lint and types
# make bench  what everything costs, beside what one would write without dipray
# make faults kills drivers, workers and nodes of running sweeps, and counts what is lost
PYTHON ?= python3
BIN := .venv/bin
INSTALLED := .venv/.installed

.PHONY: demo test check bench faults clean
.DEFAULT_GOAL := test

$(INSTALLED): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "dipray needs Python 3.11 or later, this is " + sys.version.split()[0] + "; write make PYTHON=/path/to/python3.11")'
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --disable-pip-version-check -q -c constraints.txt -e '.[dev]'
	@touch $@

demo: $(INSTALLED)
	@$(BIN)/python -m experiments.demo

test: $(INSTALLED)
	@$(BIN)/python -m pytest -q

check: $(INSTALLED)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench: $(INSTALLED)
	@$(BIN)/python -m experiments.bench

faults: $(INSTALLED)
	@$(BIN)/python -m experiments.faults

clean:
	rm -rf .venv runs build *.egg-info
