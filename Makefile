# Everything lies in .venv, in the folders that .gitignore names, and in the user's cache.

BIN := .venv/bin
EXAMPLE := examples/flights
BEDPLATE := $(BIN)/bedplate -C $(EXAMPLE)
URL := $(BIN)/python -c 'import json, sys; print(json.load(sys.stdin)["services"][0]["url"])'
GENERATED := .bedplate data models stacks
CODE := framework tests examples benchmarks

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help demo test check bench schema engine browser images cluster cluster-stop control-plane clean lock

help: ## list the targets
	@grep -E '^[a-z-]+:.*## ' Makefile | sed 's/:.*## /\t/' | expand -t 14

demo: engine $(EXAMPLE)/models/delay.onnx ## set everything up, serve a real model on this machine and ask it about real flights
	$(BEDPLATE) up --yes
	@url=$$($(BEDPLATE) status --json | $(URL)) && echo && $(BIN)/python $(EXAMPLE)/ask.py "$$url"

test: engine browser images control-plane check ## set everything up and run every test
	$(BIN)/pytest -n 3 --dist worksteal

check: .venv/installed ## lint, format and types
	$(BIN)/ruff check $(CODE)
	$(BIN)/ruff format --check $(CODE)
	$(BIN)/mypy

bench: engine ## measure what docs/benchmarks.md says
	$(BIN)/python -m benchmarks

schema: .venv/installed ## write the generated parts of specs/ anew
	$(BIN)/bedplate schema >specs/bedplate.schema.json.new
	mv specs/bedplate.schema.json.new specs/bedplate.schema.json
	$(BIN)/bedplate schema --format markdown >specs/reference.md.new
	mv specs/reference.md.new specs/reference.md

engine: .venv/installed ## get the Pulumi engine (minutes where it has to be built, once)
	@$(BIN)/bedplate engine install

browser:
	@tests/browser/install

images:
	@tests/images/install

control-plane:
	@tests/cluster/install

cluster: engine control-plane ## start a real Kubernetes control plane on 127.0.0.1, without machines
	@$(BIN)/python -m tests.cluster start

cluster-stop: .venv/installed ## end that control plane
	@$(BIN)/python -m tests.cluster stop

clean: ## take the demo down and remove the environment and what was generated
	@if [ -d $(EXAMPLE)/.bedplate ] && [ -x $(BIN)/bedplate ]; then $(BEDPLATE) destroy --yes; fi
	rm -rf .venv $(addprefix $(EXAMPLE)/,$(GENERATED)) .pytest_cache .mypy_cache .ruff_cache .hypothesis

LOCK := UV_CUSTOM_COMPILE_COMMAND="make lock" $(BIN)/uv pip compile --quiet --generate-hashes --no-emit-index-url

lock: .venv/bin/uv ## write requirements/ anew from pyproject.toml, keeping what still fits
	$(LOCK) --universal --python-version 3.11 --all-extras --group dev --group image --group example --group bench \
		--output-file requirements/dev.lock pyproject.toml
	@mkdir -p requirements/server
	@for version in 3.11 3.12 3.13; do \
		$(LOCK) --python-version $$version --python-platform x86_64-manylinux_2_28 --extra server --extra grpc --group image \
			--constraint requirements/dev.lock --output-file requirements/server/$$version.lock pyproject.toml || exit 1; \
	done
	@for peer in kserve mlserver; do \
		$(LOCK) --universal --python-version 3.11 --output-file benchmarks/peers/$$peer.lock benchmarks/peers/$$peer.in || exit 1; \
	done

$(EXAMPLE)/models/delay.onnx: $(EXAMPLE)/train.py $(EXAMPLE)/flights.py | .venv/installed
	$(BIN)/python $(EXAMPLE)/train.py

.venv/installed: requirements/dev.lock pyproject.toml | .venv/bin/uv
	$(BIN)/uv pip install --quiet --compile-bytecode --python $(BIN)/python --require-hashes -r requirements/dev.lock
	$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --editable .
	$(BIN)/python -m compileall -q framework
	@touch $@

# The lock says which uv; the system's python3 may be older than its python3.11.
.venv/bin/uv:
	@for python in python3.13 python3.12 python3.11 python3; do \
		if $$python -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then \
			echo "making .venv with $$python" && $$python -m venv .venv && exit 0; \
			echo "$$python cannot make a virtual environment: on Debian and Ubuntu install python3-venv" >&2; exit 1; \
		fi; \
	done; echo "bedplate needs Python 3.11 or newer, and no python3 here is" >&2; exit 1
	$(BIN)/python -m pip install --quiet "$$(grep -o '^uv==[^ ]*' requirements/dev.lock)"
