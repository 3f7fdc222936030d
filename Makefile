# The one way in. Everything happens in .venv; nothing outside the checkout is touched.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: help setup run test long docker quick lint types schema corpus bench check clean

help:  ## what there is
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

setup: .venv/.done  ## make .venv with everything for development

.venv/.done: pyproject.toml target-stack/pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/pip install -q -e '.[dev]' -e './target-stack[dev]'
	touch $@

run: setup  ## the main job: the first experiment, for real
	$(BIN)/chaos run experiments/vector_db_partition.yaml

test: setup  ## the tests, whole runs included
	$(BIN)/python -m pytest -n 2

long: setup  ## the tests that take minutes: every shipped experiment, the harness killed 200 times
	$(BIN)/python -m pytest -m long

docker: setup  ## the docker target's tests, with an engine of their own (Debian's docker.io and debootstrap; root)
	tools/with_dockerd $(BIN)/python -m pytest tests/docker -m '' -n 2

quick: setup  ## the tests that start no whole run
	$(BIN)/python -m pytest -m 'not run'

lint: setup  ## ruff: rules and format
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: setup  ## mypy --strict, each package as its users see it
	$(BIN)/mypy brownout faults probes fixtures
	$(BIN)/mypy target-stack/src

schema: setup  ## write the JSON Schema of the experiment file and the reference page of the probes
	$(BIN)/python -m brownout.schema
	$(BIN)/python -m brownout.gameday.schema
	$(BIN)/python -m brownout.reference

corpus: setup  ## generate corpus and golden questions again
	$(BIN)/python tools/build_corpus.py

bench: setup  ## the fault proxy against Toxiproxy; see benchmarks/README.md
	$(BIN)/python -m benchmarks.proxy

check: lint types test  ## all of it

clean:  ## remove what is not in git, runs excepted
	rm -rf .venv build .mypy_cache .ruff_cache .pytest_cache .hypothesis *.egg-info target-stack/*.egg-info
