# Every verb sets up what it needs: a virtual environment in .venv, filled from the lock files and redone only when they change.

VENV    := .venv
PYTHON  ?=
WORKERS ?= auto
ARGS    ?=

CANDIDATES := $(or $(PYTHON),python3.13 python3.12 python3.11 python3)
QUIET      ?= --quiet --quiet
PIP        := $(VENV)/bin/python -m pip --disable-pip-version-check $(QUIET)
PYTEST     := $(VENV)/bin/python -m pytest
INSTALL    := $(PIP) install --require-hashes --only-binary :all: --requirement
HINT       := { echo 'The packages could not be installed: is the package index reachable? make install QUIET= tells more' >&2; exit 1; }
UV         := uv==0.13.*
COMPILE    := $(VENV)/bin/uv pip compile --quiet --upgrade --universal --python-version 3.11 --fork-strategy fewest \
              --generate-hashes --no-header --no-emit-index-url --no-emit-find-links

# One stamp a step, so that a step is repeated only when what it was made from has changed.
PROJECT := $(VENV)/.project
DEV     := $(VENV)/.dev
BENCH   := $(VENV)/.bench

# The BigQuery emulator lives apart: its pins are not ours.
BIGQUERY_VENV := .venv-bigquery
BIGQUERY      := $(BIGQUERY_VENV)/.done

# STACK=emulators puts every store on an emulator of Google Cloud, in a demo project that is gone afterwards.
STACK        ?=
STACK_NEEDS  := $(if $(filter emulators,$(STACK)),$(DEV) $(BIGQUERY))
STACK_PREFIX := $(if $(filter emulators,$(STACK)),$(VENV)/bin/python -m tests.emulators)

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help install run test lint types bench crash setup-ci lock clean

help:  ## list the verbs
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-9s %s\n", $$1, $$2 }' Makefile

install: $(PROJECT)  ## set up .venv with what a run needs

run: $(PROJECT) $(STACK_NEEDS)  ## run the bots; ONCE=1 FEED= SPEED= SYMBOLS= STRATEGY= PORT= STACK=emulators ARGS=
	@$(if $(PORT),TRON_PORT='$(PORT)') $(STACK_PREFIX) $(VENV)/bin/tron run \
	  $(if $(filter-out 0 no,$(ONCE)),--once) \
	  $(if $(FEED),--feed '$(FEED)') \
	  $(if $(SPEED),--speed '$(SPEED)') \
	  $(if $(SYMBOLS),--symbols '$(SYMBOLS)') \
	  $(if $(STRATEGY),--strategy '$(STRATEGY)') \
	  $(ARGS)

test: $(DEV)  ## run every test; WORKERS= ARGS=
	@$(PYTEST) --numprocesses $(WORKERS) --dist loadfile $(ARGS)

lint: $(DEV)  ## check style, format and the floors of the house
	@$(VENV)/bin/ruff check
	@$(VENV)/bin/ruff format --check
	@$(VENV)/bin/lint-imports

types: $(DEV)  ## check types, strictly
	@$(VENV)/bin/mypy

bench: $(BENCH)  ## measure; ARGS=
	@$(VENV)/bin/python -m benchmarks $(ARGS)

crash: $(DEV)  ## kill bots and shippers at random moments, CRASH_KILLS= times (default 50)
	@CRASH_KILLS='$(or $(CRASH_KILLS),50)' $(PYTEST) -m crash $(ARGS)

setup-ci: $(BIGQUERY)  ## install what the tests run beside them: Chromium and the emulators, where the machine allows it
	@if [ "$$(id -u)" = 0 ]; then root=; else root='sudo -n'; fi; \
	packages=; \
	{ command -v chromium || command -v chromium-browser || command -v google-chrome; } >/dev/null || \
	  packages='chromium fonts-liberation'; \
	command -v java >/dev/null || packages="$$packages default-jre-headless"; \
	[ -z "$$packages" ] || { $$root apt-get update -qq && \
	  DEBIAN_FRONTEND=noninteractive $$root apt-get install -qq -y --no-install-recommends $$packages; \
	} >/dev/null 2>&1 </dev/null || echo "Could not be installed: $$packages; install them yourself to run every test"
	@sdk="$${CLOUDSDK_ROOT:-$$(gcloud info --format='value(installation.sdk_root)' 2>/dev/null)}"; \
	[ -d "$$sdk/platform/cloud-firestore-emulator" ] && [ -d "$$sdk/platform/pubsub-emulator" ] || \
	gcloud components install --quiet cloud-firestore-emulator pubsub-emulator >/dev/null 2>&1 </dev/null || \
	echo 'The emulators of Firestore and Pub/Sub could not be installed: install them with the Google Cloud SDK'

lock: $(VENV)/bin/python  ## write the lock files anew, with the newest versions that pyproject.toml allows
	@$(PIP) install '$(UV)'
	@$(COMPILE) pyproject.toml --group build --output-file requirements-dev.txt --extra gcp --extra functions --group dev
	@$(COMPILE) pyproject.toml --group build --output-file requirements.txt --constraints requirements-dev.txt
	@$(COMPILE) pyproject.toml --group build --output-file requirements-bench.txt \
	  --group bench --constraints requirements-dev.txt
	@$(COMPILE) --group bigquery-emulator --output-file requirements-bigquery.txt

clean:  ## remove the environment and all caches; never a home with records
	@rm -rf $(VENV) $(BIGQUERY_VENV) build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(VENV)/bin/python:
	@python=; for candidate in $(CANDIDATES); do \
	  if $$candidate -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; then python=$$candidate; break; fi; \
	done; \
	if [ -z "$$python" ]; then \
	  echo 'Python 3.11 or newer was not found (tried: $(CANDIDATES)); install it, or name it: make PYTHON=/path/to/python' >&2; exit 1; \
	fi; \
	if ! $$python -c 'import ensurepip, venv' >/dev/null 2>&1; then \
	  echo "$$python cannot make virtual environments; install its venv package (Debian, Ubuntu: apt install python3-venv)" >&2; exit 1; \
	fi; \
	echo "Making $(VENV) with $$($$python --version)"; \
	$$python -m venv --clear $(VENV)

$(PROJECT): requirements.txt pyproject.toml $(VENV)/bin/python
	@echo 'Installing requirements.txt (once, about half a minute)'
	@$(INSTALL) requirements.txt || $(HINT)
	@$(PIP) install --no-deps --no-build-isolation --editable .
	@touch $@

$(DEV): requirements-dev.txt $(PROJECT)
	@echo 'Installing requirements-dev.txt'
	@$(INSTALL) requirements-dev.txt || $(HINT)
	@touch $@

$(BENCH): requirements-bench.txt $(PROJECT)
	@echo 'Installing requirements-bench.txt'
	@$(INSTALL) requirements-bench.txt || $(HINT)
	@touch $@

$(BIGQUERY): requirements-bigquery.txt $(VENV)/bin/python
	@echo 'Installing requirements-bigquery.txt (the BigQuery emulator)'
	@$(VENV)/bin/python -m venv --clear $(BIGQUERY_VENV)
	@$(subst $(VENV)/,$(BIGQUERY_VENV)/,$(INSTALL)) requirements-bigquery.txt || $(HINT)
	@$(BIGQUERY_VENV)/bin/python -c "from duckdb_extensions import import_extension; import_extension('spatial')"
	@touch $@
