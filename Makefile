# One word a command; .ci/run calls the same ones.
PYTHON ?= python3
BIN := .venv/bin

.DEFAULT_GOAL := help
.PHONY: help run setup setup-dev test lint types imports test-python test-browser test-frontend bench docs requirements api-types

help:  ## what there is
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16

setup:
	@$(PYTHON) deploy/bootstrap.py

setup-dev:
	@$(PYTHON) deploy/bootstrap.py --dev

run: setup  ## set everything up and run the hub (Ctrl-C ends it)
	@exec $(BIN)/python manage.py hub

test: setup-dev  ## everything CI checks
	@PYTHON="$(PYTHON)" $(BIN)/python deploy/checks.py all

lint: setup-dev  ## ruff and eslint
	@$(BIN)/python deploy/checks.py lint

types: setup-dev  ## mypy --strict and tsc
	@$(BIN)/python deploy/checks.py types

imports: setup-dev  ## who may import whom
	@$(BIN)/python deploy/checks.py imports

test-frontend: setup-dev  ## TypeScript unit tests
	@$(BIN)/python deploy/checks.py frontend

test-python: setup-dev  ## Python tests without the browser
	@$(BIN)/python deploy/checks.py python

test-browser: setup-dev  ## tests in a real browser
	@$(BIN)/python deploy/checks.py browser

api-types: setup-dev  ## regenerate the TypeScript types of the hub API
	@$(BIN)/python deploy/checks.py api-types

bench: setup-dev  ## measure (bench/README.md)
	@$(BIN)/python -m bench

requirements:  ## compile the .in files
	@for name in requirements requirements-dev requirements-kernel tests/jupyter_clients/requirements; do \
	  $(BIN)/pip-compile --quiet --strip-extras --no-header --no-emit-index-url --no-emit-find-links \
	    --no-emit-trusted-host $$name.in --output-file $$name.txt || exit 1; done
