# The whole workflow. Each target sets up what it needs, once; a second run starts in seconds.
#
#   make up      run the product           ARGS="--port 9000" passes options on
#   make demo    … with realistic traffic and 7 days of history
#   make test    all tests, in a real browser too
#   make test-cluster  the tests that need real servers: Kafka
#   make lint    formatting, lint, types, import rules
#   make bench   measure speed
#   make lock    bring the locked dependencies up to date
#   make clean   remove what was set up (not your data)

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DELETE_ON_ERROR:
.PHONY: up demo test test-cluster lint bench lock clean setup format

BIN := .venv/bin
STAMPS := .make
UI_SOURCES := $(shell find ui -path ui/node_modules -prune -o -type f -print 2>/dev/null)
STATIC := src/streamgauge/api/static
ARGS ?=

up: setup
	@exec $(BIN)/streamgauge up $(ARGS)

demo: setup
	@exec $(BIN)/streamgauge demo $(ARGS)

setup: $(STAMPS)/python $(STATIC)/index.html

test: setup $(STAMPS)/ui-packages
	cd ui && npm test --silent
	tools/require.sh postgres
	browser="$$(tools/require.sh browser)"; CHROMIUM="$$browser" $(BIN)/pytest $(ARGS)

test-cluster: setup
	@if jars="$$(tools/require.sh kafka)"; then KAFKA_JARS="$$jars" $(BIN)/pytest -m cluster $(ARGS); \
	else test $$? -eq 3 && echo "streamgauge: SKIPPED: the cluster tests need Maven Central, which can't be reached"; fi

lint: $(STAMPS)/python $(STAMPS)/ui-packages
	$(BIN)/ruff format --check src tests bench
	$(BIN)/ruff check src tests bench
	$(BIN)/mypy
	$(BIN)/lint-imports
	cd ui && npm run --silent lint

format: $(STAMPS)/python
	$(BIN)/ruff format src tests bench
	$(BIN)/ruff check --fix src tests bench

bench: setup
	$(BIN)/python bench/spine.py $(ARGS)

lock: $(STAMPS)/python
	$(BIN)/uv pip compile pyproject.toml --extra dev --universal --generate-hashes --upgrade \
	  --no-emit-index-url --no-header --output-file requirements.lock
	cd ui && npm update --package-lock-only --silent

clean:
	rm -rf .venv $(STAMPS) $(STATIC) ui/node_modules

$(STAMPS)/python: requirements.lock pyproject.toml
	@mkdir -p $(STAMPS)
	@python="$$(tools/require.sh python)"; test -x $(BIN)/python || "$$python" -m venv .venv
	@echo "streamgauge: installing Python packages"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

$(STAMPS)/ui-packages: ui/package.json ui/package-lock.json
	@mkdir -p $(STAMPS)
	@tools/require.sh node
	@echo "streamgauge: installing npm packages"
	@cd ui && npm ci --silent --no-audit --no-fund
	@touch $@

$(STATIC)/index.html: $(STAMPS)/ui-packages $(UI_SOURCES)
	@echo "streamgauge: building the dashboard"
	@cd ui && npm run --silent build
	@touch $@
