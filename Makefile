# SPDX-License-Identifier: Apache-2.0
# `make demo` and `make test` do everything on a fresh Debian 12 machine, as root.

SHELL := /bin/bash
PYTHON ?= python3
RELEASE ?= 2026.2
ifeq ($(RELEASE),2026.2)
VENV := .venv
REQUIREMENTS := requirements.txt test-requirements.txt doc/requirements.txt lab/requirements.txt
else
# For test-zun alone: Zun of that release, with what it runs with.
VENV := .venv-$(RELEASE)
REQUIREMENTS := tests/functional/zun/requirements-$(RELEASE).txt
endif
BIN := $(VENV)/bin
CONSTRAINTS := constraints/$(RELEASE).txt
STAMP := $(VENV)/.installed
HOSTS ?= 2
EXPERIMENTS := doc/source/reference/experiments
# What the plot of the front shows: the policies that share hosts, and ours with several leads.
FRONT := separate-6-3 separate-7-2 shared-fcfs shared-fcfs-skip nova-spread paper wdrf-ffd wdrf-bfd wdrf-dot_product wdrf-repack \
	wdrf-spread guest-first fair-fill-0 fair-fill:0.01 fair-fill:0.02 fair-fill fair-fill:0.05 fair-fill:0.1 fair-fill:0.4 fair-fill-off
# Overcommit needs measured series, which are not in the repository: its tables are made with LOAD=DIR|CSV alone.
OVERCOMMIT = $(BIN)/hybrid-sched-simulate overcommit --load $(LOAD) -f csv
OVERCOMMITTED := none static:6 usage:0.2 usage:0.1 usage:0.05 usage:0 bound

.PHONY: help demo demo-down lab-status lab-up venv packages test test-unit test-api-fuzz test-functional test-integration test-zun \
	test-faults test-isolation test-lab test-moves test-install bench-engine bench-sched bench-failover bench-pack bench-noisy bench-rebalance \
	experiments experiment-qos lint docs samples clean

help:  ## Show the targets.
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 20

demo: venv  ## Start the lab, place real guests and containers, show who landed where and why.
	$(BIN)/python -m lab demo --hosts $(HOSTS)

demo-down:  ## Stop the lab and remove all that it made.
	@if [ -x $(BIN)/python ]; then $(BIN)/python -m lab down; else echo "Nothing to stop: there is no $(VENV)."; fi

lab-up: venv  ## Start the lab alone.
	$(BIN)/python -m lab up --hosts $(HOSTS)

lab-status: venv  ## Show the lab's services, their health and memory.
	$(BIN)/python -m lab status

packages:  ## Install the system packages that bindep.txt names.
	@tools/install-packages

venv: packages $(STAMP)  ## Make .venv with everything that the commands need.

$(STAMP): $(REQUIREMENTS) $(CONSTRAINTS) setup.cfg setup.py pyproject.toml tools/make-venv
	@tools/make-venv $(PYTHON) $(VENV) $(CONSTRAINTS) $(REQUIREMENTS)
	@touch $@

test: venv  ## Run the unit and functional tests (about 7 minutes).
	@tools/run-suites --parallel unit functional/placement functional/nova functional/zun

test-unit: venv  ## Run the unit tests.
	@tools/run-suites --parallel unit

test-integration: venv  ## Run the tests against a real broker, database, libvirt, Docker and kernel (about 10 minutes).
	@tools/run-suites integration

test-api-fuzz: venv  ## Send the REST API ten thousand requests that schemathesis makes of its document (about 10 minutes).
	@HYBRID_API_FUZZ_CASES=10000 $(BIN)/python -m pytest tests/unit/api/test_fuzz.py -q -s -p no:cacheprovider

test-functional: venv  ## Run the tests against the real Placement and the real schedulers of Nova and Zun.
	@tools/run-suites --parallel functional/placement functional/nova functional/zun

test-zun: venv  ## Run the functional tests with Zun; RELEASE=2026.1 runs them with Zun 17, in .venv-2026.1.
	@VENV=$(VENV) tools/run-suites functional/zun

test-faults: venv  ## Run random sequences of faults on engines, agents and a real broker (about 12 minutes).
	@tools/run-suites faults

test-isolation: venv  ## Measure guests and containers under full load against their limits, with cgroup v1 and v2 (about 11 minutes).
	@tools/run-suites isolation

test-lab: venv  ## Start the lab and drive it with the real clients.
	@PYTEST_ADDOPTS="-m 'not faults'" tools/run-in-lab tools/run-suites e2e

test-moves: venv  ## Let things go wrong in the lab while tasks move, one by one (about 10 minutes).
	@PYTEST_ADDOPTS="-m faults" tools/run-in-lab tools/run-suites e2e

test-install: venv  ## Follow the pages of installation and removal on a lab without our services.
	$(BIN)/python -m lab up --stock
	$(BIN)/python -m lab exec -- $(BIN)/python -m pytest tests/e2e/test_install_by_hand.py -p no:cacheprovider; \
		code=$$?; $(BIN)/python -m lab down; exit $$code

bench-sched: venv  ## Measure what the plug-ins cost Nova's and Zun's schedulers; figures in .bench/sched.json.
	$(BIN)/python -m benchmarks.sched

bench-engine: venv  ## Measure the engine with ten thousand synthetic hosts; figures in .bench/engine.json.
	$(BIN)/python -m benchmarks.engine

lint: venv  ## Check style, types, import directions, documents and scripts.
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/flake8 --select=H --extend-ignore=H301,H306,H404,H405 --exclude=.venv,.lab,doc/build hybrid_sched lab tests benchmarks
	$(BIN)/doc8 README.rst doc/source releasenotes
	shellcheck tools/install-packages tools/make-venv tools/run-in-lab tools/run-suites tools/v2-guest .ci/run lab/files/guest-init lab/files/libvirt-hook
	shellcheck -x devstack/settings devstack/override-defaults devstack/plugin.sh devstack/lib/hybrid-sched \
		tests/unit/devstack/*.sh etc/hybrid-sched/bash-completion/*

bench-failover: venv  ## Measure what a change of the leading engine costs requests (figures in .bench/failover.json).
	$(BIN)/python -m benchmarks.failover

bench-pack: venv  ## Measure the packers, with PODS=CSV NODES=CSV on a real cluster's; figures in .bench/pack.json.
	$(BIN)/python -m benchmarks.pack $(if $(PODS),--pods $(PODS)) $(if $(NODES),--nodes $(NODES))

bench-noisy: venv  ## Measure what noisy containers cost a guest, in the lab; figures in .bench/noisy.json.
	$(BIN)/python -m lab up
	$(BIN)/python -m lab exec -- $(BIN)/python -m benchmarks.noisy_neighbour

bench-rebalance: venv  ## Compare ways to rebalance on LOAD=DIR|CSV, such as a PlanetLab day; figures in .bench/rebalance.json.
	@test -n "$(LOAD)" || { echo "Name a folder or CSV file of CPU use in percent: make bench-rebalance LOAD=DIR"; exit 2; }
	@mkdir -p .bench
	$(BIN)/hybrid-sched-simulate rebalance --load $(LOAD) --hosts 200 -f json --strategy relieve balance consolidate \
		thr-mmt mad-mmt iqr-mmt thr-mmt+off mad-mmt+off iqr-mmt+off | tee .bench/rebalance.json

experiments: venv  ## Simulate the paper's evaluation; tables and plots of the documents anew (2 minutes, and 6 more with LOAD=DIR|CSV).
	@mkdir -p $(EXPERIMENTS)
	$(BIN)/hybrid-sched-simulate table2 --means -f csv > $(EXPERIMENTS)/table2.csv
	$(BIN)/hybrid-sched-simulate table2 --means -f csv --tests 6 --policies $(FRONT) > $(EXPERIMENTS)/test6.csv
	$(BIN)/hybrid-sched-simulate plot makespan --means $(EXPERIMENTS)/table2.csv --output $(EXPERIMENTS)/makespan.svg \
		--policies separate-3-6 separate-6-3 separate-7-2 shared-fcfs nova-spread paper fair-fill fair-fill-off
	$(BIN)/hybrid-sched-simulate plot front --means $(EXPERIMENTS)/test6.csv --output $(EXPERIMENTS)/front.svg
ifdef LOAD
	$(OVERCOMMIT) > $(EXPERIMENTS)/overcommit.csv
	$(OVERCOMMIT) --host vcpu=48,memory_mb=786432 --policies $(OVERCOMMITTED) > $(EXPERIMENTS)/overcommit-48.csv
	$(OVERCOMMIT) --host vcpu=24,memory_mb=393216 --policies $(OVERCOMMITTED) > $(EXPERIMENTS)/overcommit-24.csv
	$(OVERCOMMIT) --seed 2 --policies $(OVERCOMMITTED) > $(EXPERIMENTS)/overcommit-2.csv
	$(OVERCOMMIT) --seed 3 --policies $(OVERCOMMITTED) > $(EXPERIMENTS)/overcommit-3.csv
	$(BIN)/hybrid-sched-simulate overcommit-plot --output $(EXPERIMENTS)/overcommit.svg --outcomes \
		"80 CPUs=$(EXPERIMENTS)/overcommit.csv" "48 CPUs=$(EXPERIMENTS)/overcommit-48.csv" "24 CPUs=$(EXPERIMENTS)/overcommit-24.csv"
endif

experiment-qos: venv  ## Measure a guest and a container on one host and on one each, in the lab; tables and plots (15 minutes at most).
	@tools/run-in-lab $(BIN)/python -m benchmarks.qos --output $(EXPERIMENTS)

samples: venv  ## Write the sample configuration files of etc/hybrid-sched.
	@for config in etc/hybrid-sched/*generator.conf; do \
		case $$config in *policy*) program=oslopolicy-sample-generator ;; *) program=oslo-config-generator ;; esac; \
		$(BIN)/$$program --config-file $$config || exit 1; \
	done

docs: venv  ## Build the documents; a warning is an error.
	$(BIN)/sphinx-build -q -W --keep-going -b html doc/source doc/build/html
	@echo "Open doc/build/html/index.html"

clean: demo-down  ## Remove all that the targets made.
	rm -rf .venv .venv-* .lab .bench .cache doc/build .mypy_cache .ruff_cache .pytest_cache .hypothesis
