# `make demo` and `make test` set up everything they need in .venv; they need Python 3.11 or later.
PYTHON ?= python3
BIN := .venv/bin
# One thread per process: on a busy machine, two can be ten times slower than one.
export OMP_NUM_THREADS := 1

.PHONY: demo test test-slow lint docs dist clean

demo: .venv/installed
	$(BIN)/moo-bnas run digits --mode pareto --confirm 4
	@echo "open runs/digits-pareto-s0/report.html"

test: lint
	$(BIN)/python -m pytest --numprocesses 3 --dist worksteal -m "not slow"

test-slow: .venv/installed-test  # long tests that guard data: random kills, lost machines
	$(BIN)/python -m pytest --numprocesses 3 --dist worksteal -m slow

lint: .venv/installed-test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

.venv/installed: pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "moo-bnas needs Python 3.11 or later; name one with make PYTHON=...")'
	@echo "setting up .venv: some minutes, and 6 GB of disk, as torch is large"
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@$(BIN)/python -m pip install --quiet --editable '.[train]'
	@touch $@

.venv/installed-test: .venv/installed
	@$(BIN)/python -m pip install --quiet --editable '.[cifar10,test,dashboard,mlflow,mysql,onnx,postgres,s3,server,tensorboard,wandb]'
	@touch $@

docs: .venv/installed-docs  # the documentation as a site: site/index.html; asks no other host for anything
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

.venv/installed-docs: .venv/installed
	@$(BIN)/python -m pip install --quiet --editable '.[docs]'
	@touch $@

dist: .venv/installed  # what is published, built and checked: dist/
	@$(BIN)/python -m pip install --quiet build twine
	rm -rf dist
	$(BIN)/python -m build --outdir dist .
	$(BIN)/twine check --strict dist/*
	$(BIN)/python -m venv --clear dist/.venv
	dist/.venv/bin/python -m pip install --quiet --constraint constraints.txt dist/*.whl
	cd dist && .venv/bin/moo-bnas definitions && .venv/bin/moo-bnas cost digits
	rm -rf dist/.venv

clean:  # keeps runs and storages, which may hold days of work
	rm -rf .venv site .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
