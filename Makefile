# Everything one needs to remember: make chat, make test.
VENV := .venv
PYTEST := $(VENV)/bin/python -m pytest
STAMP := $(VENV)/.installed
PORT ?= 7860
export PORT

.DEFAULT_GOAL := help
.PHONY: help setup chat test check lint lock clean train-smoke

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(STAMP) ## create .venv and install everything (does nothing the second time)

$(STAMP): pyproject.toml constraints.txt tools/setup.sh
	@bash tools/setup.sh
	@touch $@

chat: $(STAMP) ## talk to an image; PORT=N chooses the port
	@$(VENV)/bin/geoagent chat $(ARGS)

test: $(STAMP) ## the quick tests; ARGS="-k name" chooses
	$(PYTEST) -m "not slow and not gpu" $(ARGS)

train-smoke: $(STAMP) ## nine steps of nano's recipe: kill, resume, evaluate, ask
	$(PYTEST) tests/train/test_resume.py -k killed_for_real $(ARGS)

lint: $(STAMP) ## ruff and mypy
	$(VENV)/bin/ruff check
	$(VENV)/bin/ruff format --check
	$(VENV)/bin/mypy

check: lint ## what CI runs: lint and every test that needs no GPU
	$(PYTEST) -m "not gpu" $(ARGS)

lock: $(STAMP) ## write constraints.txt anew from the newest versions that pyproject.toml allows
	uv pip compile pyproject.toml --all-extras --universal --python-version 3.11 --upgrade \
	  --no-annotate --strip-extras --quiet --custom-compile-command "make lock" -o constraints.txt

clean: ## remove .venv and caches
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache
