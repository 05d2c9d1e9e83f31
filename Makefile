# Everything a person or a machine does with this tree. `make` alone lists the targets.

PYTHON  ?= python3
BROKER  ?= memory
S3      ?= seaweedfs
ARGS    ?=
WORKERS ?= 2

VENV   := .venv
BIN    := $(VENV)/bin
SERVICES := ingest stitcher transcriber webhooks
COMPILE := $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
	--no-emit-index-url --no-header --no-annotate

.DEFAULT_GOAL := help
.PHONY: help setup demo up down test check format bench speech model requirements clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
	@echo
	@echo "  BROKER=kafka     Apache Kafka instead of the in-memory broker (up, demo; needs Java 17 and Maven)"
	@echo "  S3=minio         MinIO instead of SeaweedFS (up, demo; needs Go)"
	@echo "  ARGS='...'       what to hand on to pytest, or to the benchmarks: ARGS='--only stitch'"
	@echo "  WORKERS=2        how many processes of pytest share the tests out; ARGS='-n 0' runs them in one, in order"
	@echo "  PYTHON=python3   the Python, 3.11 or newer, that the virtual environment is made with"

setup: ## make the virtual environment with the pinned requirements; nothing when it is up to date
	@PYTHON=$(PYTHON) sh deploy/local/setup.sh $(VENV)

demo: setup ## watch the whole platform work on real speech, then stop it
	@$(BIN)/python -m deploy.local.demo --broker $(BROKER) --s3 $(S3)

up: setup ## start the platform and leave it running
	@$(BIN)/python -m deploy.local.up --broker $(BROKER) --s3 $(S3)

down: setup ## stop what `make up` started; its data stays
	@$(BIN)/python -m deploy.local.down

test: export PYTHONDONTWRITEBYTECODE := # else each of the hundreds of processes that tests start compiles everything again
test: setup ## unit, contract, component, integration and end-to-end tests, on real servers
	$(BIN)/pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder $(ARGS)

check: setup ## lint, format, types, the arrows between the packages, and the shape of the tree
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/pytest -q tests/unit/test_tree.py

format: setup ## put the code into its standard form
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

bench: setup ## measure, each figure as a ratio to its peer in the same run
	@$(BIN)/python -m bench $(ARGS)

speech: setup ## the speech lab: word errors, wrong speakers, memory and speed on the sample set
	@$(BIN)/python -m bench.speech $(ARGS)

model: setup ## fetch the speech model
	$(BIN)/python -m services.transcriber.models

requirements: setup ## compile requirements/*.txt from pyproject.toml; versions stay unless it moves them
	@$(COMPILE) pyproject.toml --extra dev --output-file requirements/dev.txt
	@for service in $(SERVICES); do \
		$(COMPILE) pyproject.toml --extra $$service --constraints requirements/dev.txt \
			--output-file requirements/$$service.txt || exit 1; \
	done

clean: ## stop the local stack and remove its data, the caches and the virtual environment
	@if [ -f .local/stack.json ]; then $(BIN)/python -m deploy.local.down; fi
	rm -rf .local .cache $(VENV) .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
