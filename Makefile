SHELL := /bin/bash
PYTHON := .venv/bin/python
READY := .venv/.ready
SERVICES := tests/contracts/farm tests/contracts/facts
UNMEASURED := tests/cases tests/contracts tests/docs tests/unit/scan tests/unit/tools

.DEFAULT_GOAL := help
.PHONY: coverage services serve-all help setup demo test smoke check faults bench million docs serve

help:
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-9s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

$(READY): requirements/dev.txt pyproject.toml tools/setup.sh
	@bash tools/setup.sh

setup: $(READY) ## .venv with every dependency and outlive itself, in editable mode

demo: $(READY) ## a JSON-file service under load goes to PostgreSQL and back, killed on the way; under three minutes
	@$(PYTHON) -m services.home_budget.demo

test: $(READY) ## the tests; services in three of their six forms, two services in all (make services: all)
	@bash tools/test_needs.sh
	OUTLIVE_MODEL_EXAMPLES=400 $(PYTHON) -m pytest -n 2 --dist worksteal $(addprefix --ignore=,$(SERVICES))
	$(PYTHON) -m pytest -n 2 --dist loadgroup $(SERVICES)

coverage: $(READY) ## the tests of the rooms, with their coverage floors (long)
	@bash tools/test_needs.sh
	@rm -f .coverage .coverage.*
	$(PYTHON) -m pytest -n 2 --dist worksteal --cov --cov-report= $(addprefix --ignore=,$(UNMEASURED))
	@$(PYTHON) -m coverage json -q -o .coverage.json
	@$(PYTHON) tools/coverage_floor.py .coverage.json

smoke: $(READY) ## health, CRUD and connectivity, in under ten seconds
	$(PYTHON) -m pytest -m smoke -q

check: $(READY) ## lint, format, types, import direction, sizes, no registry named
	$(PYTHON) -m ruff check .
	$(PYTHON) -m ruff format --check .
	$(PYTHON) -m mypy
	.venv/bin/lint-imports --no-logo
	@$(PYTHON) tools/check_sizes.py
	@$(PYTHON) tools/check_hosts.py

services: $(READY) ## every service: more generated requests, kill -9 and phase changes under load (long)
	@bash tools/test_needs.sh
	OUTLIVE_ALL_SERVICES=1 OUTLIVE_EXAMPLES=25 $(PYTHON) -m pytest -n 2 --dist loadgroup $(SERVICES)

faults: $(READY) ## 300 seeded runs with real kills (long); OUTLIVE_SEED repeats one
	@$(PYTHON) -m tests.faults

bench: $(READY) ## each goal beside its peer (long); B=writes, away, reads, http, transfer or services runs one
	@$(PYTHON) -m pip install -q --require-hashes --no-deps -r requirements/bench.txt
	@$(PYTHON) -m benchmarks$(if $(B),.$(B))

million: $(READY) ## a million records loaded, verified, damaged by hand, found in both modes, repaired, verified (long)
	@$(PYTHON) -m benchmarks.million

docs: $(READY) ## every link works; every command, error and setting has its entry
	$(PYTHON) -m pytest tests/docs -q

serve-all: $(READY) ## every service on one PostgreSQL, with the memory and processor time of each
	@$(PYTHON) -m services.serve_all

serve: $(READY) ## a service on its port: make serve S=equipment; without S the home budget
	@$(PYTHON) -m services.$(if $(S),$(if $(wildcard services/farm/$(S)),farm.$(S),$(S)),home_budget)
