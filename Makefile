# The few words of the project. `make` alone lists them.
PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
DEV_STAMP := $(VENV)/.installed-dev
# Programs that tests start beside our own, each with its Debian package.
TEST_TOOLS := strace:strace nginx:nginx openssl:openssl chromium:chromium chromedriver:chromium-driver systemd-analyze:systemd
# Rooms that run a collector or a postbacker in the tests' own process. ClickHouse, which never shares one with them in a house, has
# made that process end in a segmentation fault when it did: these rooms have a process without it.
APART := tests/collect tests/postback
# Where nothing is done but deciding: every branch has a test, and these tests of their own reach all of them. Only they are measured, since
# that doubles the time that a test takes.
PURE := src/attribune/attribute/*,src/attribune/ledger/*,src/attribune/model/*,src/attribune/pipeline.py
PURE_TESTS := tests/attribute tests/ledger tests/model tests/record tests/test_pipeline.py
# Whole houses, which wait for their disk and for each other more than they compute: they are tested beside the rooms.
HOUSES := tests/backup tests/doctor tests/prune tests/serve tests/whole
# Crowds, floods and kills, which ask how fast a house is meanwhile: nothing else is tested beside them.
ALONE := tests/fire

.DEFAULT_GOAL := help
.PHONY: help install demo test lint check tests tests-of-houses tests-of-rooms faults soak bench docs clean

help: ## List the targets.
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t12

install: $(STAMP) ## Make .venv with the attribune command in it.

$(STAMP): pyproject.toml
	@command -v $(PYTHON) >/dev/null || { echo "make: $(PYTHON) is missing; install Python 3.11 or say PYTHON=…"; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV) || { echo "make: install python3-venv"; exit 1; }
	$(BIN)/python -m pip install --quiet --disable-pip-version-check 'pip>=25.1'
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable .
	@touch $@

$(DEV_STAMP): $(STAMP)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable . --group dev
	@touch $@

demo: $(STAMP) ## Start Attribune on a scratch folder, send it real traffic, show what it says. STAY=1 leaves it running.
	@$(BIN)/python demo/demo.py $(if $(STAY),--stay)

test: lint tests ## Everything: lint, types, import rules, tidy and all tests.
	@echo "make test: all of it passed"

check: lint ## The quick half of test: lint, types and import rules.

lint: $(DEV_STAMP)
	@$(BIN)/python scripts/run_checks.py

tests: $(DEV_STAMP)
	@for tool in $(TEST_TOOLS); do command -v $${tool%:*} >/dev/null && continue; \
		{ test "$$(id -u)" = 0 && apt-get update -qq && apt-get install -y -qq $${tool#*:} >/dev/null; } \
		|| { echo "make: $${tool%:*} is missing; install it (apt-get install $${tool#*:})"; exit 1; }; done
	@echo "make: houses and rooms are tested side by side; each shows what it said once it is done, in some ten minutes"
	@$(MAKE) --no-print-directory -j2 --output-sync=target tests-of-houses tests-of-rooms
	$(BIN)/python -m pytest $(ALONE) --durations=5 -q

tests-of-houses: $(DEV_STAMP)
	$(BIN)/python -m pytest $(HOUSES) --durations=10 -q

tests-of-rooms: $(DEV_STAMP)
	$(BIN)/python -m pytest $(PURE_TESTS) --cov --cov-report= -q
	@$(BIN)/python -m coverage report --include='$(PURE)' --skip-covered --show-missing --fail-under=100 \
		|| { echo "make: every branch of $(PURE) needs a test; the lines above have none"; exit 1; }
	$(BIN)/python -m pytest $(APART) --durations=5 -q
	$(BIN)/python -m pytest $(addprefix --ignore=,$(APART) $(PURE_TESTS) $(HOUSES) $(ALONE)) --durations=10 -q

faults: $(DEV_STAMP) ## Break a whole house from many seeds: SEEDS=100000 for a night, SEED=123 for one with its trace.
	@$(BIN)/python tests/faults/run.py $(if $(SEED),--seed $(SEED) $(if $(CALL),--call $(CALL) --fault $(FAULT)),--seeds $(or $(SEEDS),1000))

soak: $(DEV_STAMP) ## A house under steady traffic: memory, lag and latency. MINUTES=10.
	@$(BIN)/python tests/fire/soak.py --minutes $(or $(MINUTES),10)

bench: $(DEV_STAMP) ## Measure beside yardsticks. QUICK=1 for the short run.
	@$(BIN)/python bench/bench.py $(if $(QUICK),--quick)

docs: $(DEV_STAMP) ## Write the generated reference pages anew.
	$(BIN)/python scripts/docs.py

clean: ## Remove what was built; data folders stay.
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis .coverage
