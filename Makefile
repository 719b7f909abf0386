# The whole development interface; `make help` lists it.
.DEFAULT_GOAL := help
.PHONY: help demo demo-down test test-unit coverage test-audit test-engine test-cluster test-slow fuzz bench generate released lint types format build clean

CACHE := $(or $(HOMEPORT_CACHE),$(or $(XDG_CACHE_HOME),$(HOME)/.cache)/homeport)
UV := $(or $(shell command -v uv),$(CACHE)/uv/bin/uv)
RUN := $(UV) run --frozen
PYTEST := $(RUN) pytest
# Generated files must not depend on the shell: these variables override the files.
BY_FILES_ALONE := env -u HOMEPORT_CONTEXT -u HOMEPORT_REGISTRY
# Tests beside each other, those of a module on one worker, in the order of tests/conftest.py.
BESIDE := --dist=loadscope --no-loadscope-reorder

help: ## List these targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: .venv/synced ## Build what is missing, start the sandbox, deploy stack dev and request a prediction from its model
	@$(RUN) python -m sandbox.demo up

demo-down: .venv/synced ## Destroy stack dev and stop the sandbox
	@$(RUN) python -m sandbox.demo down

test: lint types coverage test-audit test-engine test-cluster ## Run every test except the slow ones; some build and start a sandbox

test-unit: .venv/synced ## Run the tests that need only Python (seconds); ARGS="-k name" is passed to pytest
	$(PYTEST) tests/unit tests/fuzz $(ARGS)

coverage: .venv/synced ## Run the unit tests, and list the lines of the library that they do not run
	$(RUN) coverage run -m pytest tests/unit tests/fuzz $(ARGS)
	$(RUN) coverage report

test-audit: .venv/synced ## Run independent auditors over the manifests of every example
	@$(RUN) python -m tests.prepare audit
	$(PYTEST) tests/audit $(BESIDE) --numprocesses=2

test-engine: .venv/synced ## Run the tests with a real engine and API server
	@$(RUN) python -m tests.prepare engine
	$(PYTEST) tests/engine $(BESIDE) --numprocesses=3

test-cluster: .venv/synced ## Run the tests with a real node, pods and network
	@$(RUN) python -m tests.prepare cluster
	$(PYTEST) tests/cluster tests/server -m 'not slow and not load' $(BESIDE) --numprocesses=3
	$(PYTEST) tests/cluster tests/server -m 'load and not slow'

test-slow: .venv/synced ## Run the tests that take longest, with a real engine and a real node
	@$(RUN) python -m tests.prepare slow
	$(PYTEST) tests/engine -m slow
	$(PYTEST) tests/server tests/cluster -m slow

fuzz: .venv/synced ## Try new hostile inputs until one fails, for an hour; ARGS="--minutes 5" for less
	@$(RUN) python -m tests.prepare cluster
	@$(RUN) python -m tests.fuzz $(ARGS)

bench: .venv/synced ## Compare a thousand models with Helm and Kustomize (a few minutes)
	@$(RUN) python -m benchmarks.render

generate: .venv/synced ## Write every generated file: schemas/, tables of docs/, tests/golden/
	@$(BY_FILES_ALONE) $(RUN) python -m tests.generated

released: .venv/synced ## For a release: save its pods, with which the next release is compared
	@$(BY_FILES_ALONE) $(RUN) python -m tests.upgrade

lint: .venv/synced ## Check style, format and English
	$(RUN) ruff check
	$(RUN) ruff format --check
	$(RUN) python -m docs.style

types: .venv/synced ## Check types
	$(RUN) mypy

format: .venv/synced ## Format the code, and fix what can be fixed automatically
	$(RUN) ruff check --fix
	$(RUN) ruff format

build: .venv/synced ## Build the wheel and the source distribution into dist/
	$(UV) build

clean: ## Remove the files that these targets made in the checkout
	rm -rf .venv dist .mypy_cache .ruff_cache .pytest_cache .hypothesis

.venv/synced: pyproject.toml uv.lock $(UV)
	$(UV) sync --frozen --quiet
	@touch $@

$(CACHE)/uv/bin/uv:
	python3 -m venv $(CACHE)/uv
	$(CACHE)/uv/bin/pip install --quiet uv==0.13.9
