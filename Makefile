# Two commands do everything on a machine with Python (3.11 to 3.13), pip and make: `make demo` and `make test`.
# PYTHON= names the Python to use; without it one is looked for (requirements/find_python.sh).
PYTHON ?=
VENV ?= .venv
BIN := $(VENV)/bin
PORT ?= 3000
SWEEP ?= pipelines/sweeps/quickstart.yaml

export DAGSTER_HOME ?= $(CURDIR)/.dagster
export ISOCOST_DATA ?= $(CURDIR)/data
export DAGSTER_DISABLE_TELEMETRY := 1
export GX_ANALYTICS_ENABLED := false
# Without a home folder that can be written the caches of pip, vLLM and Matplotlib lie here.
ifneq ($(shell test -w "$$HOME" || echo no),)
export XDG_CACHE_HOME ?= $(CURDIR)/.cache
export XDG_CONFIG_HOME ?= $(CURDIR)/.cache/config
endif

.PHONY: help setup home model demo test unit doctests ui bench attack coverage dictionary lock lint clean tools
help:  ## list the commands
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## /  make \1\t/'

setup:  ## make the virtual environment from the lock of its Python
	@sh requirements/setup.sh "$(VENV)" "$(PYTHON)"

# A rule with a file as its target would break where a path has a space.
home:
	@mkdir -p "$$DAGSTER_HOME" && { test "$$DAGSTER_HOME/dagster.yaml" -nt pipelines/profiles/dagster.yaml \
	  || cp pipelines/profiles/dagster.yaml "$$DAGSTER_HOME/dagster.yaml"; }

model: setup  ## convert SmolLM2-135M-Instruct once, into .cache
	@"$(BIN)/python" -m isocost.engines.prepare smollm2-135m-instruct

demo: model home  ## run the sweep `quickstart` through Dagster and show the frontier
	@"$(BIN)/python" -m pipelines.run "$(SWEEP)"

ui: setup home  ## serve the Dagster UI on localhost
	@exec "$(BIN)/python" -m pipelines.ui --port $(PORT)

tools:  # headless Chromium for the UI test, bubblewrap for model-written code, where apt and the rights for it are there
	@command -v chromium >/dev/null && command -v bwrap >/dev/null || { command -v apt-get >/dev/null && [ "$$(id -u)" = 0 ] \
	  && (apt-get update -qq && apt-get install -y -qq chromium bubblewrap) >/dev/null 2>&1 \
	  || echo "no chromium or no bubblewrap: the tests that need them will be skipped"; }

# Hundreds of Python processes start: without stored bytecode each would compile every module again.
test unit: export PYTHONDONTWRITEBYTECODE :=
# Tests sync thousands of small files: a file system in memory does that in no time, if it has room and may run programs.
SHM_KIB := $(shell df -Pk /dev/shm 2>/dev/null | awk 'NR == 2 {print $$4}')
ifneq ($(shell test -w /dev/shm && test "$(SHM_KIB)" -gt 8000000 && test "$$(awk '/MemAvailable/ {print $$2}' /proc/meminfo)" -gt 12000000 \
  && ! grep -q " /dev/shm .*noexec" /proc/mounts && echo yes),)
test unit: export TMPDIR := /dev/shm
endif

test: setup tools  ## style, types and all tests
	@$(MAKE) --no-print-directory -j2 lint doctests
	@"$(BIN)/python" -m pytest tests -n 3 --dist loadgroup -q  # one more than cores: tests wait for processes, too

unit: setup  ## the fast tests
	@"$(BIN)/python" -m pytest tests/unit -m "not slow" -n 2 -q

doctests: setup
	@"$(BIN)/python" -m pytest --doctest-modules isocost/api.py isocost/registry.py isocost/costs isocost/curves isocost/frontier isocost/items isocost/meter isocost/methods isocost/strategies -q

bench: setup  ## ratios against named baselines, and peak memory
	@"$(BIN)/python" -m benchmarks

attack: setup tools  ## an hour of seeded attacks, and what it made of them (docs/results/attack.md)
	@"$(BIN)/python" -m tests.attack --minutes 60 --least 2000 --before docs/results/attack_before.json --out docs/results/attack.md

coverage: setup  ## do the 95 % intervals contain the truth? (long)
	@"$(BIN)/python" -m benchmarks.coverage

dictionary: setup  ## write docs/data-dictionary.md from the definitions
	@"$(BIN)/python" -m isocost.schema.dictionary docs/data-dictionary.md

lint: setup  ## style and types
	@"$(BIN)/ruff" check --quiet . && "$(BIN)/ruff" format --check --quiet . && "$(BIN)/basedpyright" --pythonpath "$(BIN)/python" --level error

# The CPU build of PyTorch is on no index that everybody has, so the locks name its version only; install.py finds the build.
# Two packages have no wheel; both are pure Python. pip wants its options in this order: the first clears the second.
WHEELS := --only-binary=:all: --no-binary=cellpylib --no-binary=zss
COMPILE := uv pip compile --python-platform x86_64-manylinux_2_31 --no-emit-index-url --no-emit-find-links --no-annotate --no-header --quiet
lock:  # needs uv; UPGRADE=1 takes the newest versions that fit
	for version in 3.11 3.12 3.13; do \
	  $(COMPILE) pyproject.toml --extra cpu --extra ui --extra dev --override requirements/overrides.txt --python-version $$version \
	    $(WHEELS) $(if $(UPGRADE),--upgrade) -o requirements/cpu-$$version.lock || exit 1; \
	  printf '%s\n' $(WHEELS) | cat - requirements/cpu-$$version.lock > requirements/lock.new \
	    && mv requirements/lock.new requirements/cpu-$$version.lock || exit 1; done
	grep '^torch==' requirements/cpu-3.11.lock | $(COMPILE) - --constraint requirements/cpu-3.11.lock --python-version 3.11 \
	  | grep -vxFf requirements/cpu-3.11.lock > requirements/lock.new && mv requirements/lock.new requirements/cuda-libraries.lock

clean:  ## remove everything derived; keeps data/lake
	if test -d "$(ISOCOST_DATA)"; then cd "$(ISOCOST_DATA)" && rm -rf core out warehouse.duckdb exports report; fi
