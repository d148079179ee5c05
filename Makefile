# Two commands do everything on a machine with Python 3.11, pip and make: `make demo` and `make test`.
PYTHON ?= python3.11
VENV ?= .venv
LOCK := requirements/cpu.lock
STAMP := $(VENV)/.isocost-installed
BIN := $(VENV)/bin
PORT ?= 3000
SWEEP ?= pipelines/sweeps/quickstart.yaml

export DAGSTER_HOME ?= $(CURDIR)/.dagster
export ISOCOST_DATA ?= $(CURDIR)/data
export DAGSTER_DISABLE_TELEMETRY := 1
export GX_ANALYTICS_ENABLED := false

.PHONY: help setup model demo test unit ui bench coverage dictionary lock lint clean browser
help:  ## list the commands
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## /  make \1\t/'

setup: $(STAMP)  ## make the virtual environment from the lock
$(STAMP): $(LOCK) requirements/install.py pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or newer is needed: make PYTHON=/path/to/python3.11"; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python requirements/install.py $(BIN)/python $(LOCK) . $(STAMP)

$(DAGSTER_HOME)/dagster.yaml: pipelines/profiles/dagster.yaml
	@mkdir -p $(DAGSTER_HOME) && cp $< $@

model: setup  ## convert SmolLM2-135M-Instruct once, into .cache
	@$(BIN)/python -m isocost.engines.prepare smollm2-135m-instruct

demo: setup model $(DAGSTER_HOME)/dagster.yaml  ## run the sweep `quickstart` through Dagster and show the frontier
	@$(BIN)/python -m pipelines.run "$(SWEEP)"

ui: setup $(DAGSTER_HOME)/dagster.yaml  ## serve the Dagster UI on localhost
	@$(BIN)/dagster dev -w workspace.yaml -h 127.0.0.1 -p $(PORT)

browser:  # headless Chromium for the UI test, where apt and the rights for it are there
	@command -v chromium >/dev/null || { command -v apt-get >/dev/null && [ "$$(id -u)" = 0 ] \
	  && (apt-get update -qq && apt-get install -y -qq chromium) >/dev/null 2>&1 || echo "no chromium: the UI test will be skipped"; }

test: setup browser  ## all tests
	@$(BIN)/python -m pytest tests/unit -m "not slow" -n 2 -q
	@$(BIN)/python -m pytest tests/unit -m slow -q
	@$(BIN)/python -m pytest tests/real -n 2 -q
	@$(BIN)/python -m pytest tests/dagster tests/pipeline tests/gpu -q

unit: setup  ## the fast tests
	@$(BIN)/python -m pytest tests/unit -m "not slow" -n 2 -q

bench: setup  ## ratios against named baselines, and peak memory
	@$(BIN)/python -m benchmarks

coverage: setup  ## do the 95 % intervals contain the truth? (long)
	@$(BIN)/python -m benchmarks.coverage

dictionary: setup  ## write docs/data-dictionary.md from the definitions
	@$(BIN)/python -m isocost.schema.dictionary docs/data-dictionary.md

lint: setup
	@$(BIN)/ruff check . && $(BIN)/ruff format --check .

lock:  # needs uv; WHEELS names a folder or index that has PyTorch's CPU build
	uv pip compile pyproject.toml --extra cpu --extra ui --extra dev $(if $(WHEELS),--find-links $(WHEELS)) \
	  --override requirements/overrides.txt --python-version 3.11 --no-emit-find-links --no-emit-index-url --no-annotate -o $(LOCK)

clean:  ## remove everything derived; keeps data/lake
	if test -d "$(ISOCOST_DATA)"; then cd "$(ISOCOST_DATA)" && rm -rf core out warehouse.duckdb exports report; fi
