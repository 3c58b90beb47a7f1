# Everything a new clone needs is `python3` (3.11 or newer), `make` and `git`.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
WORKERS ?= 2
# One BLAS thread a process: the tests already run in as many processes as there are cores.
export OMP_NUM_THREADS ?= 1

.PHONY: demo test test-slow test-peers test-312 check format docs bench clean

$(STAMP): pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev]'
	touch $@

demo: $(STAMP)  ## solve real games end to end and write a report
	$(BIN)/equinfer demo --out demo-output --force

test: $(STAMP)  ## the default test suite
	$(BIN)/python -m pytest -n $(WORKERS)

test-slow: $(STAMP)  ## minutes of work: run before an issue is called done
	$(BIN)/python -m pytest -n $(WORKERS) -m slow

test-peers: $(STAMP)  ## against nashpy, QuantEcon, OpenSpiel, sgamesolver, pygambit, PettingZoo
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[peers]'
	$(BIN)/python -m pip install --quiet --constraint constraints.txt setuptools wheel cython
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --no-build-isolation sgamesolver
	$(BIN)/python -m pytest -m peers

test-312:  ## the second lane: the fast tests on Python 3.12, where it is installed
	$(MAKE) test PYTHON=python3.12 VENV=.venv-312

check: $(STAMP)  ## format, lint, types, import directions, tests
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/pyright
	$(BIN)/lint-imports
	$(MAKE) test

format: $(STAMP)
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

docs: $(STAMP)  ## the documentation, as a site
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[docs]'
	$(BIN)/mkdocs build --strict

bench: $(STAMP)  ## every benchmark program; writes benchmarks/RESULTS.md
	$(BIN)/python -m benchmarks

clean:
	rm -rf $(VENV) .venv-312 demo-output site .pytest_cache .ruff_cache .hypothesis
