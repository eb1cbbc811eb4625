# Everything a developer types. `make` alone explains itself.
# Needs Python 3.11 or newer, make and a package index; no Docker, no database, no Temporal on the machine.

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
STAMP  := $(VENV)/.set-up
LOCK   := $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
          --no-header --no-emit-index-url --no-emit-find-links

# We start many processes of the same code: where this is set, each of them compiles all of it anew for two seconds.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help setup run demo test check format bench chaos documents screenshots dashboard lock clean

help: ## List what can be done here
	@awk 'BEGIN {FS = ":.*## "} /^[a-z]+:.*## / {printf "  make %-11s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(STAMP) ## Create .venv with everything locked by hash; starts nothing
	@:

# The stamp is written last, so that an interrupted set-up is taken up again.
$(STAMP): requirements/dev.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit("Python 3.11 or newer is needed, this is " + sys.version.split()[0] + \
	    ": make setup PYTHON=python3.x" if sys.version_info < (3, 11) else 0)'
	@echo "setting up $(VENV), which takes some minutes the first time"
	@$(BIN)/python -m pip --version >/dev/null 2>&1 || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/dev.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

run: setup ## Start the whole stack with the example program and referrals; Ctrl-C stops it
	@# The stack ends with 130 after Ctrl-C: that is no error. The shell waits for it instead of ending at once.
	@trap : INT; $(BIN)/referrals up --example || [ $$? -eq 130 ]

demo: setup ## Walk through the main job from referral to reward, then exit
	@$(BIN)/python -m referral_rewards.local.demo

test: setup ## Run the whole suite, against a real PostgreSQL and a real Temporal server
	@$(BIN)/pytest -n 3 --dist worksteal

check: setup ## Format, lint, types, architecture, and the schema against models and statements
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo
	$(BIN)/pytest -q tests/models/test_migrations.py tests/architecture/test_sql.py

format: setup ## Put the code into the format that `check` asks for
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: setup ## Measure throughput and latency on this machine
	@$(BIN)/python -m bench

chaos: setup ## Kill parts at random, and prove by far more chance than `make test` has time for
	@$(BIN)/pytest tests/chaos -m "chaos or not chaos"
	@$(BIN)/pytest --ignore tests/chaos -m chaos
	@$(BIN)/pytest --audited tests/clawbacks tests/register tests/restores tests/workflows

DOCUMENTS := .local/provider-documents
PAYPAL_AT := ec4d8f36a6ab0abcc3865e1072aaddc85ea14d5c
documents: setup ## Fetch the providers' own API documents, which the tests hold our requests to
	@mkdir -p $(DOCUMENTS)
	curl -fsSL https://raw.githubusercontent.com/stripe/openapi/master/latest/openapi.spec3.json \
	    -o $(DOCUMENTS)/stripe.json
	curl -fsSL https://raw.githubusercontent.com/paypal/paypal-rest-api-specifications/$(PAYPAL_AT)/openapi/payments_payouts_batch_v1.json \
	    -o $(DOCUMENTS)/paypal.json
	curl -fsSL https://cdn.tremendous.com/openapi/spec.yml -o $(DOCUMENTS)/tremendous.yml
	@$(BIN)/python -m tests.rails.pins $(DOCUMENTS)
	@$(BIN)/python -c 'import json, sys, yaml; json.dump(yaml.safe_load(sys.stdin), sys.stdout, default=str)' \
	    < $(DOCUMENTS)/tremendous.yml > $(DOCUMENTS)/tremendous.json
	@echo "PROVIDER_DOCUMENTS=$(DOCUMENTS) make test"

screenshots: setup ## Take the pictures of the README anew; needs Chromium
	@$(BIN)/python docs/screenshots.py

dashboard: setup ## Write deploy/dashboard.json anew from deploy/dashboard.py
	@$(BIN)/python deploy/dashboard.py

lock: setup ## Lock the newest dependencies that pyproject.toml admits, with hashes
	$(LOCK) --upgrade pyproject.toml --extra local --extra dev --group build --output-file requirements/dev.txt
	$(LOCK) pyproject.toml --constraint requirements/dev.txt --output-file requirements/runtime.txt
	$(LOCK) --group build --constraint requirements/dev.txt --output-file requirements/build.txt

clean: ## Remove caches, builds and the virtual environment; the data in .local stays
	rm -rf $(VENV) dist build .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
