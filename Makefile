# Each target makes the environment it needs first (scripts/install.sh); what is there already is not made again.
VENV ?= .venv
DEMO_SEED ?= 1
# Test files that run side by side: one a core, four at most (each may hold a JVM and torch, 2 GiB together).
TEST_WORKERS ?= auto --maxprocesses=4
# Each has a cluster of its own: 4 GiB together with its Spark session.
CLUSTER_WORKERS ?= 2
PETASTORM_STACKS ?= .petastorm-stacks
PETASTORM_OLD_PYTHON ?= $(PETASTORM_STACKS)/old/bin/python
export VENV

BIN := $(abspath $(VENV))/bin
# Spark's workers start "python3" from the PATH: it has to be the environment's own.
IN_VENV := PATH="$(BIN):$$PATH" PYSPARK_PYTHON="$(BIN)/python3"

.DEFAULT_GOAL := help
.PHONY: help demo test test-unit test-slow test-docs test-install test-cluster test-long test-petastorm-upstream bench bench-petastorm bench-tiny-files bench-prepare lint format constraints clean

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-24s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
	@echo 'Variables: VENV=.venv PYTHON=python3 INSTALLER=uv|pip TORCH=default|cpu DEMO_SEED=1 PETASTORM_OLD_PYTHON=…'

demo: ## Clean, publish and train on a small public dataset, from nothing
	@scripts/check-java.sh
	@scripts/install.sh spark,torch,demo
	$(IN_VENV) python examples/demo/run.py --seed $(DEMO_SEED)

test: ## Run the tests, except those that take minutes each, need the network or other servers
	@scripts/check-java.sh
	@scripts/install.sh dev
	$(IN_VENV) pytest tests -m "not docs and not install and not upstream and not cluster and not long and not slow" -n $(TEST_WORKERS) --dist loadfile --no-loadscope-reorder --durations=10

test-unit: ## Run the tests that need neither a JVM nor the network nor other processes, in two minutes
	@scripts/install.sh dev
	$(IN_VENV) pytest tests -m "not spark and not processes and not docs and not install and not upstream and not cluster and not long and not slow" -n $(TEST_WORKERS) --dist loadfile --no-loadscope-reorder --durations=10

test-slow: ## Run the tests that take about a minute each: a real table, large images, signals
	@scripts/check-java.sh
	@scripts/install.sh dev
	$(IN_VENV) pytest tests -m slow -n $(TEST_WORKERS) --dist loadfile --durations=10

test-docs: ## Run every command and every example of the README and the pages in docs/
	@scripts/check-java.sh
	@scripts/install.sh dev
	$(IN_VENV) pytest tests/docs -m docs -n $(TEST_WORKERS) --durations=10

test-install: ## Install into new environments, by uv and by pip (needs the network)
	@scripts/install.sh dev
	$(IN_VENV) pytest tests -m install --durations=10

test-long: ## Run the tests that take minutes each, and draw all examples of the others (needs the network and npm)
	@scripts/check-java.sh
	@scripts/install.sh dev
	$(IN_VENV) pytest tests -m long --durations=10
	$(IN_VENV) BIGDATA_ML_TESTS=thorough pytest tests -m "not spark and not docs and not install and not upstream and not cluster and not long and not slow" -n $(TEST_WORKERS) --dist loadfile --durations=10

test-cluster: ## Run the tests against real HDFS, YARN, Hive, PostgreSQL and S3 (needs Maven, PostgreSQL, the network)
	@scripts/check-java.sh
	@scripts/install.sh dev
	@scripts/install-versitygw.sh
	$(IN_VENV) python cluster/jars.py
	$(IN_VENV) pytest tests/cluster -n $(CLUSTER_WORKERS) --dist loadfile --no-loadscope-reorder --durations=10

test-petastorm-upstream: ## Run Petastorm's own tests, and those of its faults in full, on the old stack and through the bridge
	@scripts/install.sh dev
	@scripts/petastorm-stacks.sh $(PETASTORM_STACKS)
	$(IN_VENV) UPSTREAM_BESIDE="$(abspath $(PETASTORM_STACKS))/beside" python tests/petastorm/upstream/both_stacks.py \
		--old "$(PETASTORM_OLD_PYTHON)" --results "$(PETASTORM_STACKS)/results"
	$(IN_VENV) python tests/petastorm/faults/on_the_old_stack.py "$(PETASTORM_OLD_PYTHON)"
	$(IN_VENV) FAULT_READERS=1000 pytest tests/petastorm/faults --durations=5
	$(IN_VENV) python benchmarks/petastorm_rows.py --old "$(PETASTORM_OLD_PYTHON)"

bench: ## Measure the order: planning, gathering, going on
	@scripts/install.sh dev
	$(IN_VENV) python benchmarks/order.py
	$(IN_VENV) python benchmarks/gather.py
	$(IN_VENV) python benchmarks/resume.py

bench-petastorm: ## Measure the readers under Petastorm's names against Petastorm, on the old stack and through the bridge
	@scripts/install.sh dev
	@scripts/petastorm-stacks.sh $(PETASTORM_STACKS)
	$(IN_VENV) python benchmarks/petastorm.py --old "$(PETASTORM_OLD_PYTHON)"

bench-tiny-files: ## Measure the image job over tiny files: on HDFS, in a tar, in a SequenceFile (needs Maven, 10 GB)
	@scripts/check-java.sh
	@scripts/install.sh dev
	$(IN_VENV) python cluster/jars.py
	$(IN_VENV) python benchmarks/tiny_files.py

bench-prepare: ## Measure image cleaning, writing, and a large table in a small heap (two hours; MOSAIC_PYTHON adds Mosaic's writer)
	@scripts/check-java.sh
	@scripts/install.sh dev
	$(IN_VENV) python benchmarks/prepare_throughput.py $(if $(MOSAIC_PYTHON),--mosaic "$(MOSAIC_PYTHON)")
	$(IN_VENV) python benchmarks/large_table.py

lint: ## Check style, types, imports between rooms, and spelling
	@scripts/install.sh dev
	$(IN_VENV) ruff check
	$(IN_VENV) ruff format --check
	$(IN_VENV) mypy
	$(IN_VENV) lint-imports
	$(IN_VENV) codespell

format: ## Format the sources and mend what ruff can mend
	@scripts/install.sh dev
	$(IN_VENV) ruff check --fix-only
	$(IN_VENV) ruff format

constraints: ## Renew constraints.txt from pyproject.toml (needs uv)
	@command -v uv >/dev/null || { echo "make constraints needs uv on the PATH: pip install uv" >&2; exit 1; }
	@printf '%s\n' '# The newest versions that work together, for Python >= 3.10 on Linux and macOS; every installation keeps to them.' \
		'# Made from the extra dev of pyproject.toml, which has all but petastorm itself; to renew it: make constraints' > constraints.new
	uv pip compile pyproject.toml --quiet --universal --python-version 3.10 --extra dev --no-emit-package bigdata-ml \
		--no-header --no-annotate >> constraints.new || { rm constraints.new; exit 1; }
	@mv constraints.new constraints.txt

clean: ## Remove what the tools cache and build; keeps the environment, data and runs
	rm -rf .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache build dist spark-warehouse metastore_db derby.log
	find . -name .venv -prune -o -name __pycache__ -prune -exec rm -rf {} +
