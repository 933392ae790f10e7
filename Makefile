# `make run` sets up and does the main job; `make test` sets up and runs the tests.
SHELL := /bin/bash
PYTHON ?= python3.11
COVERAGE ?= 85  # percent, the floor of `make coverage`
BIN := $(CURDIR)/.venv/bin
export PATH := $(BIN):$(PATH)
export DVC_NO_ANALYTICS := 1
export DO_NOT_TRACK := true
export MLFLOW_DISABLE_TELEMETRY := true
export ORT_DISABLE_TELEMETRY := 1
export PREFECT_SERVER_ANALYTICS_ENABLED := false

# files are spread over two processes in their order, the longest first (tests/conftest.py)
PARALLEL := -n 2 --dist loadfile --no-loadscope-reorder

.PHONY: run up rehearse test test-all check coverage lint ui clean

run: .venv/ready
	python -m flows.train
	unmask faces sample -o restored/masked --count 24 --seed 1 --masked
	python -m flows.restore restored/masked -o restored/faces --crop
	@echo "Look at restored/faces/report/sheet.png; compare runs with 'make ui'."

up: .venv/ready
	@python -m flows.up

rehearse: .venv/ready
	PYTHONPATH=tests python -m benchmarks.rehearsal

test: check
	pytest $(PARALLEL) -m "not slow"

test-all: check
	pytest $(PARALLEL)

check: .venv/ready
	ruff check
	ruff format --check --quiet
	lint-imports --no-logo
	mypy

coverage: .venv/ready
	coverage erase
	pytest $(PARALLEL) -m "not slow" --cov --cov-report=term --cov-report=html --cov-fail-under=$(COVERAGE)

lint: .venv/ready
	ruff check --fix
	ruff format

ui: .venv/ready
	MLFLOW_SERVER_ENABLE_JOB_EXECUTION=false mlflow ui --workers 1 \
	  --backend-store-uri sqlite:///mlflow.db --default-artifact-root ./mlartifacts

.venv/ready: pyproject.toml constraints.txt
	@case "$$PWD" in *[#%?:\"\$$]*) echo "error: $$PWD holds one of # % ? : \" \$$, which URLs misread: move the project." >&2; exit 1;; esac
	$(PYTHON) -m venv .venv
	.venv/bin/python -m pip install --quiet --upgrade pip
	.venv/bin/python -m pip install --quiet -c constraints.txt -e '.[dev]'
	touch $@

clean:
	rm -rf .unmask/cache .unmask/checkpoints .unmask/snapshots models data/faces data/masked restored
