# Two commands matter: `make lab` and `make test`. The work is done by the scripts in tools/.
# Kept to what GNU make 3.81 and a POSIX shell understand (macOS has no newer ones).

SHELL = /bin/sh
PYTHON = .venv/bin/python
.DEFAULT_GOAL = help
.PHONY: help setup lab test test-all lint fmt lock clean
# Set-up and tests must not run beside each other under `make -j`.
.NOTPARALLEL:

help: ## Show this list
	@echo 'SlimLab. Needs Python 3.10 to 3.13; everything else is installed into .venv.'
	@echo
	@grep -E '^[a-z-]+:.*##' Makefile | sed -e 's/:.*##/ -/' -e 's/^/  make /'
	@echo
	@echo '  make lab ARGS="--no-browser --port 9999"   options for JupyterLab'
	@echo '  make test ARGS="-k prune"                  options for pytest'
	@echo '  SLIMLAB_PYTHON=/path/to/python3 make ...   the Python that .venv is made with'

setup: ## Make .venv and install the pinned dependencies (the others do it by themselves)
	@sh tools/setup.sh

lab: setup ## Open JupyterLab on the quickstart
	@$(PYTHON) -m slimlab.cli lab --work work $(ARGS)

test: setup ## Lint, floors, types, front end, and every test but the slow ones
	@$(PYTHON) tools/check.py all -- $(ARGS)

test-all: setup ## The same with the slow tests
	@$(PYTHON) tools/check.py all --slow -- $(ARGS)

lint: setup ## Only lint, floors and types
	@$(PYTHON) tools/check.py lint

fmt: setup ## Format the code and fix what ruff can fix
	@$(PYTHON) -m ruff check --fix .
	@$(PYTHON) -m ruff format .

lock: setup ## Resolve the dependencies again and write requirements.lock
	@$(PYTHON) tools/lock.py

clean: ## Remove .venv, caches and test results (never work/)
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	rm -rf test-results dist widgets/js/node_modules
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
