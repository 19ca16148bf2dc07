# The verbs of the house; CI calls the same ones. Everything stays inside this folder.
MODEL ?= house-prices
PORT ?= 5000
PROFILE ?= capacity
# The Python to make .venv with; empty means the first 3.11 or 3.12 found.
PYTHON ?=

BIN := .venv/bin
PY := $(BIN)/python
READY := .venv/.ready
LOCK := $(BIN)/uv pip compile --quiet --universal --generate-hashes --no-header --python-version 3.11
export MLFLOW_DISABLE_TELEMETRY := true

.DEFAULT_GOAL := help
.PHONY: help demo test check ui image serve-image load bench lock

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' Makefile

# The stamp is the set-up's last act, so an interrupted one is done again.
$(READY): requirements/develop.txt requirements/setup.sh
	@PYTHON='$(PYTHON)' requirements/setup.sh

demo: $(READY) ## from a table to a served answer (MODEL=house-prices)
	$(PY) -m experiments train $(MODEL)
	$(PY) -m registry promote $(MODEL) --allow-dirty --reason 'make demo' || { [ $$? -eq 3 ] && echo 'The champion stays; the demo goes on with it.'; }
	$(PY) -m serving bundle $(MODEL) --output build/$(MODEL)
	$(PY) -m serving ask build/$(MODEL)

test: check ## check, then the tests (TESTS=tests/registry for some of them)
	$(PY) -m pytest -n 2 --dist loadscope --no-loadscope-reorder $(TESTS)

check: $(READY) ## lint, format, types, import rules
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports

# Jobs are for judging language models: nine processes that nothing here uses.
ui: $(READY) ## the MLflow UI on the store of this folder (PORT=5000)
	@echo 'MLflow is starting on http://127.0.0.1:$(PORT) (Ctrl-C stops it)'
	@exec env MLFLOW_SERVER_ENABLE_JOB_EXECUTION=false $(PY) -m mlflow ui --host 127.0.0.1 --port $(PORT) --workers 1 \
		--backend-store-uri "$${MLFLOW_TRACKING_URI:-sqlite:///mlflow.db}"

image: $(READY) ## the container image of the champion (MODEL=house-prices VERSION=3)
	$(PY) -m serving image $(MODEL) $(if $(VERSION),--version $(VERSION))

serve-image: $(READY) ## run that image inside production's limits, and ask it
	$(PY) -m serving serve-image $(MODEL) $(if $(VERSION),--version $(VERSION))

load: $(READY) ## how much build/MODEL carries (PROFILE=capacity IMAGE= HOST= RECORD=1)
	$(PY) -m tests.load run build/$(MODEL) $(PROFILE) $(if $(IMAGE),--image $(IMAGE)) \
		$(if $(HOST),--host $(HOST)) $(if $(CONTAINER),--container $(CONTAINER)) $(if $(RECORD),--record)

bench: $(READY) ## compare served speed with other servers (ten minutes, a quiet machine)
	$(PY) -m benchmarks compare

lock: $(READY) ## pin requirements/*.in anew (UPGRADE=--upgrade for newer versions)
	$(LOCK) $(UPGRADE) requirements/develop.in --output-file requirements/develop.txt
	for engine in onnx pyfunc; do \
		$(LOCK) --constraints requirements/develop.txt requirements/serve-$$engine.in \
			--output-file requirements/serve-$$engine.txt || exit; \
	done
	for server in stock bare; do \
		$(LOCK) --constraints requirements/develop.txt benchmarks/requirements/$$server.in \
			--output-file benchmarks/requirements/$$server.txt || exit; \
	done
	$(LOCK) $(UPGRADE) benchmarks/requirements/bentoml.in --output-file benchmarks/requirements/bentoml.txt
