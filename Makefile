# One command for each thing a person does. `make help` lists them.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
TRAINING := .venv-training

.DEFAULT_GOAL := help
.PHONY: help install install-training system-packages tools test test-edge test-gpu test-service test-training \
         check format demo train-demo bench soak deb lock fuzz audit clean

help: ## show this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | sort | expand -t 20

install: $(VENV)/.installed ## the box's environment with TensorRT, OpenVINO and the test tools, in .venv

install-training: $(TRAINING)/.installed ## the workstation's environment with TensorFlow, in .venv-training

$(VENV)/.installed: requirements/edge.txt requirements/tensorrt.txt requirements/openvino.txt pyproject.toml deploy/system-packages.sh
	deploy/system-packages.sh run
	$(PYTHON) -m venv --clear $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements/edge.txt \
	  -r requirements/tensorrt.txt
	$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes --no-deps -r requirements/openvino.txt
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	touch $@

$(TRAINING)/.installed: requirements/training.txt pyproject.toml deploy/system-packages.sh
	deploy/system-packages.sh run
	$(PYTHON) -m venv --clear $(TRAINING)
	$(TRAINING)/bin/pip install --quiet --disable-pip-version-check --require-hashes -r requirements/training.txt
	$(TRAINING)/bin/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	touch $@

tools: install ## what fuzz, audit and test-service need in .venv
	$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements/tools.txt

system-packages: ## what the tests need of the system: a broker, an RTSP server
	deploy/system-packages.sh test

test: check test-edge test-training ## lint, types, import rules and every test

test-edge: install system-packages
	$(BIN)/python -m pytest tests --ignore=tests/training --ignore=tests/service -m "not gpu"

test-gpu: install ## what needs an NVIDIA GPU: engines that run, their results and their speed
	$(BIN)/python -m pytest tests --ignore=tests/training -m gpu

test-service: deb tools ## the package in a clean Debian that systemd boots: needs root, takes minutes
	deploy/system-packages.sh service
	$(BIN)/python -m pytest tests/service

test-training: install-training
	$(TRAINING)/bin/python -m pytest tests/training

check: install ## lint, types and import rules
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: install ## put the code into the house's form
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

demo: install ## the whole system at work on this machine, in the terminal
	$(BIN)/instore-edge demo

TOOL := $(TRAINING)/bin/instore-training
MADE := runs/train-demo

train-demo: install install-training ## from drawn faces to a model bundle that replays a recording, in minutes
	rm -rf $(MADE) && mkdir -p $(MADE)
	$(TOOL) demo-data --out $(MADE)/faces
	$(TOOL) explore $(MADE)/faces --out $(MADE)/explored
	$(TOOL) train training/configs/demo.toml
	$(TOOL) export $(MADE)/demo --out $(MADE)/bundle
	$(TOOL) evaluate $(MADE)/bundle $(MADE)/faces --out $(MADE)/evaluated
	$(BIN)/python -c "from pathlib import Path; from edge.commands.demo.scene import Scene, write_clip; write_clip(Scene(), Path('$(MADE)/scene.mp4'))"
	$(BIN)/instore-edge replay $(MADE)/scene.mp4 --set model.bundle=$(MADE)/bundle --set privacy.minimum=1

bench: install ## speed and memory; results go to bench/results
	$(BIN)/python -m bench.run

soak: install ## eight hours of a shop in minutes, with faults at random; HOURS=24 SEED=7 for others
	$(BIN)/python -m bench.soak --hours $(or $(HOURS),8) --seed $(or $(SEED),1)

fuzz: tools ## look for inputs that break what parses them, a minute each; SECONDS=600 for longer
	$(BIN)/python -m tests.fuzz --seconds $(or $(SECONDS),60)

audit: tools ## known holes in the libraries, where the index's database can be reached
	$(BIN)/python -m deploy.audit

deb: install ## the Debian package of a box, in build/deb
	deploy/system-packages.sh build
	$(BIN)/python -m deploy.debian.build

LOCK := uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
        --no-annotate --no-header
EXTRA := $(PYTHON) -c "import sys, tomllib; p = tomllib.load(open('pyproject.toml', 'rb'))['project']; \
         print(*p['optional-dependencies'][sys.argv[1]], sep='\n')"

lock: ## pin the dependencies anew (needs uv)
	$(LOCK) --extra demo --extra test pyproject.toml -o requirements/edge.txt
	$(LOCK) --extra training --extra test pyproject.toml -o requirements/training.txt
	$(LOCK) --constraint requirements/edge.txt pyproject.toml -o requirements/box.txt
	$(LOCK) --constraint requirements/edge.txt requirements/tools.in -o requirements/tools.txt
	$(EXTRA) tensorrt | $(LOCK) --constraint requirements/edge.txt - -o requirements/tensorrt.txt
	$(EXTRA) openvino | $(LOCK) --no-deps - -o requirements/openvino.txt

clean: ## remove the environments and what the tools left
	rm -rf $(VENV) $(TRAINING) build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .import_linter_cache
