# `make demo` and `make test` set up everything they need in .venv, on any machine with Python 3.11+.
PYTHON ?= python3
BIN := .venv/bin
# One thread a process: two of them on a busy machine can be ten times slower than one.
export OMP_NUM_THREADS := 1

.PHONY: demo test test-slow lint clean

demo: .venv/installed
	$(BIN)/moo-bnas run digits --mode pareto
	@echo "open runs/digits-pareto-s0/report.html"

test: lint
	$(BIN)/python -m pytest --numprocesses 2 --dist worksteal -m "not slow"

test-slow: .venv/installed-test  # kills at random moments, whole machines: what guards data and takes long
	$(BIN)/python -m pytest --numprocesses 2 --dist worksteal -m slow

lint: .venv/installed-test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

.venv/installed: pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "moo-bnas needs Python 3.11 or later; name one with make PYTHON=...")'
	@echo "setting up .venv; torch is large, this takes some minutes"
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@$(BIN)/python -m pip install --quiet --editable .
	@touch $@

.venv/installed-test: .venv/installed
	@$(BIN)/python -m pip install --quiet --editable '.[test,dashboard,mysql,onnx,postgres,s3,tensorboard]'
	@touch $@

clean:  # keeps runs and storages: they may hold days of work
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
