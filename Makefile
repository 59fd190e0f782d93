# One virtual environment, .venv, made from nothing and reused until pyproject.toml or constraints.txt changes.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
MAKEFLAGS += --no-print-directory

VENV := .venv
PYTHON := $(VENV)/bin/python
# Airbyte's checks want other versions than the connector's tests.
QA := .venv-qa
INSTALLED := $(VENV)/.installed
LOG := $(VENV)/install.log
IMAGE := airbyte/source-backlog:dev
PYTEST_ARGS :=
# For two cores: a test keeps one busy, and some only wait, for a window of the rate limit or an installation. The files
# go out in the order of integration_tests/conftest.py, slow ones first.
PARALLEL := --numprocesses 3 --dist loadfile --no-loadscope-reorder

# pip's stream of lines becomes one dot per package; the whole of it is kept in the log,
# whose end is shown if pip fails.
DOTS := awk '/^ *Collecting |^ *Requirement already/ { printf "."; fflush() } \
	/^Installing collected/ { printf " installing"; fflush() } END { print "" }'

.DEFAULT_GOAL := help
.PHONY: help demo sync config-given unit test lint qa format form image benchmark constraints lock dist canary clean

help: ## List the commands
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: $(INSTALLED) ## Read an emulated Backlog space into DuckDB, change it, read the changes
	@$(PYTHON) -m integration_tests.demo

sync: config-given $(INSTALLED) ## Read a real space into backlog.duckdb: make sync CONFIG=secrets/config.json
	@$(VENV)/bin/backlog-sync --config "$(CONFIG)" --to duckdb:///backlog.duckdb

config-given:
	@test -n "$(CONFIG)" || { echo "Which space? make sync CONFIG=secrets/config.json" >&2; exit 2; }

unit: $(INSTALLED) ## The unit tests alone, in less than a minute
	@$(PYTHON) -m pytest $(PARALLEL) unit_tests $(PYTEST_ARGS)

test: lint ## Run every check: lint, types, unit tests, emulator, standard tests
	@$(PYTHON) -m pytest $(PARALLEL) $(PYTEST_ARGS)

lint: $(INSTALLED) ## Formatting, lint and types
	@$(VENV)/bin/ruff format --check --quiet . || { $(VENV)/bin/ruff format --diff . ; exit 1; }
	@$(VENV)/bin/ruff check --quiet .
	@$(VENV)/bin/mypy --no-error-summary
	@mkdir -p build
	@$(VENV)/bin/lint-imports --no-cache >build/imports.log || { cat build/imports.log; exit 1; }

qa: $(QA)/.installed ## Airbyte's own checks, at community and certified level
	@$(QA)/bin/python integration_tests/qa/run.py $(ARGS)

$(QA)/.installed: integration_tests/qa/requirements.txt .ci/make-venv
	@.ci/make-venv $(QA)
	@: > $(QA)/install.log
	@echo "Installing Airbyte's checks into $(QA) (about 220 packages, a minute or more)"
	@{ $(QA)/bin/python -m pip install --progress-bar off --no-deps --no-compile --requirement $< 2>>$(QA)/install.log \
		| tee -a $(QA)/install.log | $(DOTS); } || { tail -n 60 $(QA)/install.log >&2; exit 1; }
	@touch $@

format: $(INSTALLED) ## Format the code and apply the safe fixes
	@$(VENV)/bin/ruff format .
	@$(VENV)/bin/ruff check --fix .

form: $(INSTALLED) ## Type a config into the connection form and take the pictures in docs/ (needs Node.js and Chromium)
	@mkdir -p build/form && cp integration_tests/form/package.json build/form/
	@$(VENV)/bin/source-backlog spec > build/form/spec.jsonl
	@cd build/form && npm install --no-audit --no-fund --silent && \
		node ../../integration_tests/form/render.mjs spec.jsonl "$$PWD" "$$(command -v chromium || command -v google-chrome)"
	@cp build/form/form.png docs/form.png && cp build/form/form-errors.png docs/form-errors.png

image: $(INSTALLED) ## Build the image and try it, with Docker or (as root, without a daemon) with podman
	@$(PYTHON) -m integration_tests.image --tag $(IMAGE)

benchmark: $(INSTALLED) ## Measure the connector beside a bare loop and dlt: make benchmark [ARGS="--quick"]
	@$(PYTHON) -m benchmarks.run $(ARGS)

constraints: ## Resolve the dependencies anew and write constraints.txt (Python 3.11) and poetry.lock
	@rm -rf build/constraints
	@.ci/make-venv build/constraints
	@echo "Resolving the dependencies"
	@build/constraints/bin/python -m pip -q install '.[test,warehouse,report]' 2>build/constraints/log \
		|| { tail -n 60 build/constraints/log >&2; exit 1; }
	@{ sed '/^[^#]/,$$d' constraints.txt; \
		build/constraints/bin/python -m pip freeze --exclude airbyte-source-backlog 2>/dev/null; } > build/constraints/new
	@mv build/constraints/new constraints.txt
	@$(MAKE) lock

lock: ## Write poetry.lock, with the versions of constraints.txt
	@.ci/make-venv build/poetry
	@build/poetry/bin/python -m pip -q install 'poetry>=2.2,<3' 2>build/poetry/log || { tail -n 60 build/poetry/log >&2; exit 1; }
	@build/poetry/bin/python .ci/make-lock

dist: ## Make what a release consists of: wheel, SBOM, release text, checksums
	@.ci/make-dist $(TAG)

canary: ## Run the tests on the newest CDK and dlt, pre-releases too
	@.ci/canary

clean: ## Remove what the other commands have written, except backlog.duckdb
	rm -rf $(VENV) .venv-dlt $(QA) build dist .tmp .cache .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(INSTALLED): pyproject.toml constraints.txt .ci/make-venv
	@.ci/make-venv $(VENV)
	@: > $(LOG)
	@echo "Installing the connector, dlt and the test tools into $(VENV) (about 250 packages, a minute or more)"
	@{ $(PYTHON) -m pip install --progress-bar off --constraint constraints.txt --editable '.[test,warehouse,report]' \
		2>>$(LOG) | tee -a $(LOG) | $(DOTS); } \
		|| { tail -n 60 $(LOG) >&2; echo "pip failed; the whole log is $(LOG)" >&2; exit 1; }
	@touch $@
