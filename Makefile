# `make app` is all a visitor needs; `make check` is what a change has to pass.
PYTHON ?= python3
TORCH_BACKEND ?=
STARTER ?= 1
PORT ?= 8501
BIN := .venv/bin
UV := $(BIN)/uv
# A file of tests shares its servers, so files go to the processes as a whole.
# No more than two: their models would take each other's cores, and some tests wait for what a model does.
AT_ONCE ?= --numprocesses 2 --dist loadfile
TORCH := $(if $(TORCH_BACKEND),--torch-backend $(TORCH_BACKEND))

# Every model has a process of its own, and each imports large libraries: without compiled files that takes three times as long.
export PYTHONDONTWRITEBYTECODE :=

.PHONY: setup app test test-long check format requirements browser readme example samples bench

setup: .venv/.ready

# The stamp holds the time of the last complete installation, so that a second `make app` needs no network.
.venv/.ready: requirements.txt requirements.in pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or newer is needed; $(PYTHON) is older. Say which: make PYTHON=python3.12"; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@test -x $(UV) || $(BIN)/python -m pip install --quiet "$$(sed -n 's/^\(uv==[^ ;]*\).*/\1/p' requirements.txt)"
	$(UV) pip install --quiet --python $(BIN)/python $(TORCH) -r requirements.txt
	$(UV) pip install --quiet --python $(BIN)/python --no-deps -e .
	@touch $@

.venv/.ready-dev: .venv/.ready requirements-dev.txt
	$(UV) pip install --quiet --python $(BIN)/python $(TORCH) -r requirements-dev.txt
	@touch $@

app: setup
ifneq ($(STARTER),0)
	@$(BIN)/upscale-bench weights fetch --starter || true
endif
	$(BIN)/upscale-bench app --port $(PORT)

browser: .venv/.ready-dev
	@BIN=$(BIN) sh tests/install_browser.sh

test: .venv/.ready-dev browser
	$(BIN)/pytest -m "not long" $(AT_ONCE)

test-long: .venv/.ready-dev browser
	$(BIN)/pytest

check: .venv/.ready-dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/pyright
	$(MAKE) test

format: .venv/.ready-dev
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

requirements: .venv/.ready-dev
	$(UV) pip compile --quiet --universal --python-version 3.11 --no-emit-index-url --no-header requirements.in -o requirements.txt
	$(UV) pip compile --quiet --universal --python-version 3.11 --no-emit-index-url --no-header requirements-ray.in -o requirements-ray.txt
	$(UV) pip compile --quiet --universal --python-version 3.11 --no-emit-index-url --no-header requirements-dev.in -o requirements-dev.txt

readme: .venv/.ready
	$(BIN)/python -m upscalers.catalogue README.md
	$(BIN)/python -m metrics.catalogue README.md

# The comparison that greets a visitor, with this machine's numbers; it needs the starter weights.
example: .venv/.ready
	$(BIN)/python -m benchmark.example

samples: .venv/.ready
	$(BIN)/python -m assets.drawing

# Needs minutes, a quiet machine, and room for the environments of the packages that it compares with.
bench: .venv/.ready-dev browser
	$(BIN)/python perf/bench --readme
	$(BIN)/python perf/growth.py --readme
	$(BIN)/python perf/app.py --readme
