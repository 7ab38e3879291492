# Everything on a fresh machine with python3, pip and make alone.
PYTHON ?= python3
BIN := .venv/bin
PICTURES ?=
LABELS ?=

.PHONY: demo test check clean

# Sort real pictures: those that come with the program, or PICTURES=~/Photos LABELS="cat,frog".
demo: .venv/run
	$(BIN)/zeroshelf demo --to demo $(if $(PICTURES),--pictures "$(PICTURES)") $(if $(LABELS),--labels "$(LABELS)") \
	  || test $$? -eq 1  # 1: some pictures could not be read, and were listed

# The checks and the tests.
test: .venv/dev check
	$(BIN)/pytest -n auto --dist worksteal --nbmake tests notebooks

check: .venv/dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

.venv/run: pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --editable .
	touch $@

.venv/dev: .venv/run
	$(BIN)/pip install --quiet --editable '.[dev,review]' ./languages
	touch $@

clean:
	rm -rf .venv demo dist build
