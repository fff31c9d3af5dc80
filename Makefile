# The whole workflow. Each target sets up what it needs, once; a second run starts in seconds.
#
#   make up      run the product           ARGS="--port 9000" passes options on
#   make demo    … with realistic traffic and 7 days of history
#   make up-cluster    run it on Kafka, Flink (ENGINE=embedded: without), ClickHouse, PostgreSQL and Redis, all on this machine, in processes of its own
#   make demo-cluster  send the demo's traffic there
#   make test    all tests, in a real browser too
#   make test-cluster  the tests that need real servers: Kafka, Flink
#   make flink-jar     builds the jar of the job on Flink
#   make proto   writes the Python of proto/ anew
#   make lint    formatting, lint, types, import rules
#   make bench   measure speed
#   make bench-query    questions of a week of 12 million rows, beside Prometheus where it is installed
#   make bench-engines  the embedded runner and Flink, on the same events
#   make lock    bring the locked dependencies up to date
#   make clean   remove what was set up (not your data)

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DELETE_ON_ERROR:
.PHONY: up demo up-cluster demo-cluster test test-cluster flink-jar proto lint fuzz bench bench-query bench-engines lock clean setup format

BIN := .venv/bin
STAMPS := .make
UI_SOURCES := $(shell find ui -path ui/node_modules -prune -o -type f -print 2>/dev/null)
GRPC := src/streamgauge/ingest/grpc
STATIC := src/streamgauge/api/static
SDK_SOURCES := $(shell find sdk/web -name node_modules -prune -o -name dist -prune -o -type f -print 2>/dev/null)
SDK := src/streamgauge/api/sdk/sdk.js
ARGS ?=
ENGINE ?= flink

up: setup
	@exec $(BIN)/streamgauge up $(ARGS)

demo: setup
	@exec $(BIN)/streamgauge demo $(ARGS)

up-cluster: setup
	@case $(ENGINE) in flink|embedded) ;; *) echo "streamgauge: ENGINE=$(ENGINE) is not an engine: write flink or embedded"; exit 1;; esac
	@tools/require.sh postgres
	@tools/require.sh redis
	@jars="$$(tools/require.sh kafka)" && { [ $(ENGINE) != flink ] || flink="$$(tools/require.sh flink)"; } \
	  || { test $$? -eq 3 && echo "streamgauge: Kafka and Flink come from Maven Central and PyPI, one of which can't be reached"; exit 1; }; \
	PYTHONPATH="tools$${PYTHONPATH:+:$$PYTHONPATH}" KAFKA_JARS="$$jars" \
	  exec $(BIN)/python -m local_cluster $${flink:+--flink-home "$$flink"} $(ARGS)

demo-cluster: setup
	@exec $(BIN)/streamgauge demo --url http://localhost:8090 $(ARGS)

setup: $(STAMPS)/python $(STATIC)/index.html $(SDK)

test: setup $(STAMPS)/ui-packages $(STAMPS)/sdk-packages $(STAMPS)/segment-sdks
	cd ui && npm test --silent
	cd sdk/web && npm test --silent
	tools/require.sh postgres
	tools/require.sh redis
	browser="$$(tools/require.sh browser)"; CHROMIUM="$$browser" $(BIN)/pytest $(ARGS)

test-cluster: setup
	@if kafka="$$(tools/require.sh kafka)" && flink="$$(tools/require.sh flink)"; then \
	  mvn -q -B -f java/flink/pom.xml -Dstreamgauge.target="$$flink/build" test && \
	  browser="$$(tools/require.sh browser)" && tools/require.sh postgres && tools/require.sh redis && \
	  CHROMIUM="$$browser" KAFKA_JARS="$$kafka" FLINK_JOB_HOME="$$flink" $(BIN)/pytest -m cluster $(ARGS); \
	else test $$? -eq 3 && echo "streamgauge: SKIPPED: the cluster tests need Maven Central and PyPI, one of which can't be reached"; fi

flink-jar:
	@flink="$$(tools/require.sh flink)" && echo "$$flink/streamgauge-flink.jar"

proto: $(STAMPS)/python
	$(BIN)/python -m grpc_tools.protoc -I proto --python_out=$(GRPC) --pyi_out=$(GRPC) proto/*.proto

lint: $(STAMPS)/python $(STAMPS)/ui-packages $(STAMPS)/sdk-packages
	$(BIN)/ruff format --check src tests tools bench sdk/python
	$(BIN)/ruff check src tests tools bench sdk/python
	$(BIN)/mypy
	$(BIN)/lint-imports
	cd ui && npm run --silent lint
	cd sdk/web && npm run --silent lint

format: $(STAMPS)/python
	$(BIN)/ruff format src tests tools bench sdk/python
	$(BIN)/ruff check --fix src tests tools bench sdk/python

fuzz: $(STAMPS)/python
	RUST_BACKTRACE=0 PYTHONPATH=tests $(BIN)/python -m fuzz.run $(ARGS)

bench: setup
	$(BIN)/python bench/spine.py $(ARGS)

bench-query: setup
	$(BIN)/python bench/query.py $(ARGS)

bench-engines: setup
	@kafka="$$(tools/require.sh kafka)" && flink="$$(tools/require.sh flink)" && \
	  PYTHONPATH=tools $(BIN)/python bench/engines.py --kafka-jars "$$kafka" --flink-home "$$flink" $(ARGS)

lock: $(STAMPS)/python
	$(BIN)/uv pip compile pyproject.toml --extra dev --universal --generate-hashes --upgrade \
	  --no-emit-index-url --no-header --output-file requirements.lock
	cd ui && npm update --package-lock-only --silent
	cd sdk/web && npm update --package-lock-only --silent

clean:
	rm -rf .venv $(STAMPS) $(STATIC) $(dir $(SDK)) ui/node_modules sdk/web/node_modules sdk/web/dist tests/segment/node_modules

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

$(STAMPS)/sdk-packages: sdk/web/package.json sdk/web/package-lock.json
	@mkdir -p $(STAMPS)
	@tools/require.sh node
	@echo "streamgauge: installing npm packages of the web SDK"
	@cd sdk/web && npm ci --silent --no-audit --no-fund
	@touch $@

$(SDK): $(STAMPS)/sdk-packages $(SDK_SOURCES)
	@echo "streamgauge: building the web SDK"
	@cd sdk/web && npm run --silent build
	@touch $@

$(STAMPS)/segment-sdks: tests/segment/package-lock.json tests/segment/requirements.lock $(STAMPS)/python
	@tools/require.sh node
	@echo "streamgauge: installing Segment's SDKs, for the tests"
	@cd tests/segment && npm ci --silent --no-audit --no-fund
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --upgrade \
	  --target $(STAMPS)/segment-python -r tests/segment/requirements.lock
	@touch $@

$(STATIC)/index.html: $(STAMPS)/ui-packages $(UI_SOURCES)
	@echo "streamgauge: building the dashboard"
	@cd ui && npm run --silent build
	@touch $@
