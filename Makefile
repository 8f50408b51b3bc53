# Every target sets up what it needs. `make` alone lists them.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
CONSTRAINTS := .ci/constraints.txt
SHELL := /bin/bash
PICTURES := four-way simultaneous-close half-close lost-syn refused time-wait-reopened
INSTALL := $(BIN)/python -m pip install -qq --disable-pip-version-check --constraint $(CONSTRAINTS)
# An editable install leaves it to the first run, which PYTHONDONTWRITEBYTECODE makes every run: 0.2 s each.
COMPILE := $(BIN)/python -m compileall -q handshake_inspect

.DEFAULT_GOAL := help
.PHONY: help demo test check soak lint types format pictures bench clean

help: ## list the targets
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## /\1\t/' | expand -t 10

demo: $(VENV)/installed ## run a real echo session over real sockets, captured live, drawn as a ladder
	@$(BIN)/handshake-inspect demo $(ARGS)

test: $(VENV)/installed-dev ## run the tests (root sees more; what is skipped says why)
	@$(BIN)/pytest -n auto --dist worksteal $(ARGS)

check: $(VENV)/installed ## hold the recorded captures against what is expected of them
	@$(BIN)/handshake-inspect check pcaps $(ARGS)

soak: $(VENV)/installed ## run every scenario of the lab 20 times, many at once; all must be as promised
	@$(BIN)/handshake-inspect lab soak --times 20 $(ARGS)

lint: $(VENV)/installed-dev ## check style
	@$(BIN)/ruff check . && $(BIN)/ruff format --check .

types: $(VENV)/installed-dev ## check types, strictly
	@$(BIN)/mypy

format: $(VENV)/installed-dev ## put the source into shape
	@$(BIN)/ruff check --fix . && $(BIN)/ruff format .

pictures: $(VENV)/installed-dev ## make the pictures of the README from the recorded captures
	@mkdir -p pictures && for name in $(PICTURES); do \
	  $(BIN)/handshake-inspect show pcaps/$$name.pcap --stream 0 --format svg > pictures/$$name.svg || exit; done
	@$(BIN)/python -m tests.pictures
	@$(BIN)/python -m tests.screen.pictures pictures

bench: $(VENV)/installed-dev ## make the captures of the README's section on speed, and time them beside what others have
	@$(BIN)/python -m tests.bench.measure $(ARGS)

clean: ## remove what the other targets made
	rm -rf $(VENV) build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis

$(VENV)/pyvenv.cfg:
	@.ci/make-venv $(PYTHON) $(VENV)

$(VENV)/installed: $(VENV)/pyvenv.cfg pyproject.toml setup.py $(CONSTRAINTS)
	@echo 'make: installing handshake-inspect into $(VENV)' >&2
	@$(INSTALL) --editable '.[report,screen]'
	@$(COMPILE)
	@touch $@

$(VENV)/installed-dev: $(VENV)/pyvenv.cfg pyproject.toml setup.py $(CONSTRAINTS)
	@echo 'make: installing handshake-inspect and the tools of its tests into $(VENV)' >&2
	@$(INSTALL) --editable '.[dev]'
	@$(COMPILE)
	@touch $@ $(VENV)/installed
