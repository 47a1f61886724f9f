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

# An image is named after what it was made from; Cloud Build says where it goes.
VERSION       = $(shell sed -n 's/^VERSION = "\(.*\)"/\1/p' runner/version.py)
REVISION      = $(shell git rev-parse HEAD 2>/dev/null || echo unknown)
IMAGE         ?= tron:$(VERSION)
PYTHON_DIGEST ?=

# Terraform is called from this folder; TFVARS is what an operator says to it, with a path from here.
TERRAFORM     ?= terraform
TERRAFORM_IN  = $(TERRAFORM) -chdir=terraform
STATE_BUCKET  ?=
TFVARS        ?= terraform/terraform.tfvars.json
ALLOW_DESTROY ?=

# One stamp a step, so that a step is repeated only when what it was made from has changed.
PROJECT := $(VENV)/.project
DEV     := $(VENV)/.dev
BENCH   := $(VENV)/.bench

# The BigQuery emulator lives apart: its pins are not ours.
BIGQUERY_VENV := .venv-bigquery
BIGQUERY      := $(BIGQUERY_VENV)/.done

# What looks at terraform/ lives apart, too: checkov, and the schema-only provider where TERRAFORM_GATE names its folder.
TERRAFORM_VENV := .venv-terraform
CHECKOV        := $(TERRAFORM_VENV)/.done
TERRAFORM_GATE ?=
GATE           := $(if $(TERRAFORM_GATE),$(TERRAFORM_VENV)/gate/.done)

# STACK=emulators puts every store on an emulator of Google Cloud, in a demo project that is gone afterwards.
STACK        ?=
STACK_NEEDS  := $(if $(filter emulators,$(STACK)),$(DEV) $(BIGQUERY))
STACK_PREFIX := $(if $(filter emulators,$(STACK)),$(VENV)/bin/python -m tests.emulators)

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help install run test lint types bench crash setup-ci lock clean
.PHONY: terraform
.PHONY: image push sbom functions-archive plan apply smoke

help:  ## list the verbs
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-17s %s\n", $$1, $$2 }' Makefile

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

terraform: $(DEV) $(CHECKOV) $(GATE)  ## check terraform/: format, provider, its tests, the plan, planted mistakes; ARGS=
	@$(PYTEST) tests/terraform $(ARGS)

setup-ci: $(BIGQUERY) $(CHECKOV) $(GATE)  ## install what the tests run beside them: Chromium and the emulators, where the machine allows it
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
	@$(COMPILE) pyproject.toml --group build --output-file requirements-gcp.txt --extra gcp \
	  --constraints requirements-dev.txt
	@$(COMPILE) pyproject.toml --group build --output-file requirements-functions.txt --extra gcp --extra functions \
	  --constraints requirements-dev.txt
	@$(COMPILE) pyproject.toml --group build --output-file requirements-bench.txt \
	  --group bench --constraints requirements-dev.txt
	@$(COMPILE) --group bigquery-emulator --output-file requirements-bigquery.txt
	@$(COMPILE) --group terraform --output-file requirements-terraform.txt

image: dist  ## build the image, from the base that PYTHON_DIGEST=sha256:... names; IMAGE=
	@echo '$(PYTHON_DIGEST)' | grep -Eq '^sha256:[0-9a-f]{64}$$' || { \
	  echo 'PYTHON_DIGEST must be the digest of the base image (sha256: and 64 hexadecimal digits); see docs/deploy.md' >&2; exit 2; \
	}
	@docker build --build-arg PYTHON_DIGEST='$(PYTHON_DIGEST)' --build-arg VERSION='$(VERSION)' \
	  --build-arg REVISION='$(REVISION)' --tag '$(IMAGE)' .

push: dist  ## push the image; dist/image is its name by digest; IMAGE=
	@docker push --quiet '$(IMAGE)'
	@docker image inspect --format '{{index .RepoDigests 0}}' '$(IMAGE)' >dist/image
	@cat dist/image

sbom: $(DEV) dist  ## write what the image is made of to dist/sbom.cdx.json (CycloneDX), from the lock file, offline
	@$(VENV)/bin/python -W ignore -m cyclonedx_py requirements requirements-gcp.txt --pyproject pyproject.toml \
	  --mc-type application --spec-version 1.6 --output-format JSON --output-reproducible --output-file dist/sbom.cdx.json
	@echo dist/sbom.cdx.json

functions-archive: $(VENV)/bin/python dist  ## write what the functions are built from to dist/functions/<sha256>.zip
	@rm -rf dist/functions
	@$(VENV)/bin/python scripts/functions_archive.py dist

plan: $(VENV)/bin/python dist  ## plan what Terraform would change with what was pushed; STATE_BUCKET= TFVARS= ALLOW_DESTROY=1
	@[ -n '$(STATE_BUCKET)' ] || { echo 'STATE_BUCKET must name the bucket of the Terraform state; see docs/deploy.md' >&2; exit 2; }
	@[ -s dist/image ] || { echo 'dist/image is missing: `make push` writes the name of the image by digest' >&2; exit 2; }
	@[ -s '$(TFVARS)' ] || { echo '$(TFVARS) is missing: it says what terraform/variables.tf asks for' >&2; exit 2; }
	@$(TERRAFORM_IN) init -input=false -reconfigure -backend-config=bucket='$(STATE_BUCKET)' -backend-config=prefix=tron
	@archive=$$(cd dist && ls functions/*.zip 2>/dev/null | tail -n 1); \
	$(TERRAFORM_IN) plan -input=false -lock-timeout=5m -var-file='$(abspath $(TFVARS))' -var image="$$(cat dist/image)" \
	  $${archive:+-var functions_archive="$$archive"} -out='$(CURDIR)/dist/plan.tfplan'
	@$(TERRAFORM_IN) show -no-color '$(CURDIR)/dist/plan.tfplan' >dist/plan.txt
	@$(TERRAFORM_IN) show -json '$(CURDIR)/dist/plan.tfplan' | \
	  $(VENV)/bin/python scripts/check_plan.py $(if $(ALLOW_DESTROY),--allow-destroy)

apply:  ## apply the plan that make plan saved, and nothing else
	@[ -s dist/plan.tfplan ] || { echo 'dist/plan.tfplan is missing: `make plan` saves it' >&2; exit 2; }
	@$(TERRAFORM_IN) apply -input=false -lock-timeout=5m '$(CURDIR)/dist/plan.tfplan'

smoke: $(DEV)  ## look at what was deployed, with the stores that Terraform tells
	@stores=$$($(TERRAFORM_IN) output -json stores | $(VENV)/bin/python -c \
	  'import json, sys; print(*(f"{name}={url}" for name, url in json.load(sys.stdin).items()))'); \
	[ -n "$$stores" ] || { echo 'Terraform tells no stores: was `make apply` run?' >&2; exit 1; }; \
	env $$stores $(VENV)/bin/tron doctor --cloud --partial

clean:  ## remove the environment and all caches; never a home with records
	@rm -rf $(VENV) $(BIGQUERY_VENV) $(TERRAFORM_VENV) build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +

dist:
	@mkdir -p dist

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

$(CHECKOV): requirements-terraform.txt $(VENV)/bin/python
	@echo 'Installing requirements-terraform.txt (checkov)'
	@$(VENV)/bin/python -m venv --clear $(TERRAFORM_VENV)
	@$(subst $(VENV)/,$(TERRAFORM_VENV)/,$(INSTALL)) requirements-terraform.txt || $(HINT)
	@touch $@

ifneq ($(TERRAFORM_GATE),)
$(GATE): $(TERRAFORM_GATE)/requirements.txt $(CHECKOV)
	@$(VENV)/bin/python -m venv --clear $(TERRAFORM_VENV)/gate
	@$(TERRAFORM_VENV)/gate/bin/python -m pip --disable-pip-version-check $(QUIET) install --no-deps --requirement $< || $(HINT)
	@touch $@
endif
