# Every target sets up what it needs: a virtual environment with locked versions.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
BUNDLE := src/fetusmap/report/bundle/sources.sha256
WEB := $(wildcard web/*.* web/src/* web/src/*/*)
NO_BROWSER := left out: tests of the pages in a browser. To run them: apt-get install chromium && make test

.PHONY: setup demo test test-all lint docs bench clean

setup: $(READY)

$(READY): pyproject.toml constraints.txt
	@echo "setting up $(VENV): about a minute, once"
	$(PYTHON) -m venv $(VENV)
	PIP_CONSTRAINT=constraints.txt $(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	touch $(READY)

# The pages for browsers are built with the package, and again when their sources change.
$(BUNDLE): $(WEB) | $(READY)
	$(BIN)/python web/tools.py build
	@touch $(BUNDLE)

demo: $(READY) $(BUNDLE)
	$(BIN)/python examples/demo.py --output demo

test: $(READY) $(BUNDLE)
	$(BIN)/python -m pytest -n 2
	@command -v chromium > /dev/null || echo "$(NO_BROWSER)"

test-all: $(READY) $(BUNDLE)
	$(BIN)/python -m pytest -n 2 -m "slow or not slow"

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python web/tools.py lint test

docs: $(READY)
	$(BIN)/sphinx-build --fail-on-warning --keep-going -q -b html docs docs/_build/html
	@echo "docs: docs/_build/html/index.html"

bench: $(READY)
	$(BIN)/python -m studies --output studies/results.json

clean:
	rm -rf $(VENV) demo docs/_build build dist .pytest_cache .mypy_cache .ruff_cache
