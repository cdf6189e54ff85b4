# make demo: a real search.  make test: the tests.  Both set up what they need.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
RUN ?= runs/demo
export PIP_DISABLE_PIP_VERSION_CHECK = 1

.PHONY: setup lock canary wheel-test system demo test test-slow check docs bench clean

setup: $(READY)

# What was tested: the versions of constraints.txt, and nothing that is built by other ones.
$(READY): constraints.txt pyproject.toml Makefile scripts/setup
	@scripts/setup $(PYTHON) $(VENV)

# Write constraints.txt. FLAGS=--upgrade takes the newest of all, FLAGS='--upgrade-package NAME' of one.
lock:
	@PYTHON=$(PYTHON) scripts/lock $(FLAGS)

# The newest of everything, in .canary: which packages moved, and do the tests pass? TESTS names some of them.
canary:
	@scripts/canary $(PYTHON) $(TESTS)

# The wheel, installed outside the checkout: is all in it, and does a search run?
wheel-test: setup
	@scripts/wheel-test $(VENV)

# Debian packages that some tests use (a database server, a browser, a data set). Without root those tests are skipped.
system:
	@scripts/system-packages

demo: setup
	@scripts/demo $(BIN) $(RUN)

# Two at a time, but for those that look at the clock or at the machine's processes: of these only their files are read.
test: setup system
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -m 'not slow and not alone' -n 2 --dist loadfile --durations 30
	$(BIN)/python -m pytest -m 'alone and not slow' --durations 15 $$(grep -rl --include='*.py' 'pytest\.mark\.alone' tests | sort)

test-slow: setup system
	$(BIN)/python -m pytest -m slow --timeout 1800

check: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache
	$(BIN)/cog -I docs --check README.md docs/*.md

# Write what the docs generate from the code: help texts, settings, baselines, the Python API.
docs: setup
	$(BIN)/cog -I docs -r README.md docs/*.md

bench: setup
	$(BIN)/python -m benchmarks sandbox
	$(BIN)/python -m benchmarks evaluate

clean:
	rm -rf $(VENV) .canary .mypy_cache .ruff_cache .pytest_cache .hypothesis
