# Every target sets up what it needs: Python 3.11, make and a package index are all that a machine must have.
PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin
PRACTICE ?= riverside
export DAGSTER_HOME ?= $(CURDIR)/.dagster_home
# Bytecode is kept whatever the environment says: without it every start compiles thousands of modules afresh.
export PYTHONDONTWRITEBYTECODE :=

.PHONY: help setup run test ui lock

help: ## list the targets
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 10

setup: $(VENV)/.installed ## make .venv with everything in it

$(VENV)/.installed: requirements.lock requirements-bootstrap.lock pyproject.toml
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --require-hashes -r requirements-bootstrap.lock
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --require-hashes -r requirements.lock
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation --editable .
	@# Compiles what a run imports, and no more: all of every library would take most of a minute.
	@$(BIN)/python -c "import great_expectations, fhir.resources.R4B.bundle" & \
		$(BIN)/python -c "from hygiene_pipeline import definitions; definitions.defs()" && wait
	@touch $@

run: setup ## simulate the demo practice for 60 days, run its nights, and print its scorecard
	@$(BIN)/hygiene demo --practice $(PRACTICE)

test: setup ## ruff, mypy, dg check defs and every test
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@mkdir -p $(DAGSTER_HOME) && cp -n dagster.yaml $(DAGSTER_HOME)/dagster.yaml || true
	@$(BIN)/mypy & types=$$!; $(BIN)/dg check defs; status=$$?; wait $$types && exit $$status
	@# In the order of the folders: sorted by their number of tests, the few long ones would come last, one after the other.
	@$(BIN)/pytest -n 2 --dist loadfile --no-loadscope-reorder

ui: setup ## the Dagster UI on 127.0.0.1:3000
	@mkdir -p $(DAGSTER_HOME) && cp -n dagster.yaml $(DAGSTER_HOME)/dagster.yaml || true
	@$(BIN)/dg dev --host 127.0.0.1 --port 3000

lock: ## resolve the dependencies again
	@$(BIN)/uv pip compile --quiet --python-version 3.11 --generate-hashes --no-emit-index-url --no-header --group dev pyproject.toml -o requirements.lock
