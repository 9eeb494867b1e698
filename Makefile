# `make` alone says what there is. Every target prepares what it needs first (.ci/setup), so each works on its own.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
MAKEFLAGS += --no-print-directory
.DEFAULT_GOAL := help
.PHONY: help setup demo test lint bench soak locale lock clean

PYTHON ?= python3
# The tests of faults mostly wait, for restic, ssh and time-outs.
WORKERS ?= 5
# restic of .tools first; sshd and iptables are where a plain user's PATH does not look.
run := env PATH="$(CURDIR)/.tools/bin:$(CURDIR)/.venv/bin:$$PATH:/usr/local/sbin:/usr/sbin:/sbin"

help: ## this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "make %-8s %s\n", $$1, $$2 }' Makefile

setup: ## prepare this checkout: programs, .venv, restic, message catalogues
	@PYTHON="$(PYTHON)" .ci/setup

demo: setup ## see vaultd protect, lose and restore a folder on this machine
	@$(run) vaultd demo

lint: setup ## style and types
	@$(run) ruff check .
	@$(run) ruff format --check .
	@$(run) mypy

# pytest calls a run in which every test was skipped a success; here at least one must have passed.
test: lint ## style, types and all tests but the long ones (ARGS="-k name" chooses)
	@log=$$(mktemp); trap 'rm -f "$$log"' EXIT; \
	$(run) python -m pytest -q -n $(WORKERS) --dist loadfile --no-loadscope-reorder $(ARGS) | tee "$$log"; \
	tail -n 1 "$$log" | grep -Eq '[1-9][0-9]* passed' || { echo "vaultd test: failed: no test ran" >&2; exit 1; }

bench: setup ## measure, and print the figures
	@$(run) python -m tests.bench $(ARGS)

soak: setup ## the long tests, in full numbers
	@VAULTD_SOAK=1 $(run) python -m pytest -m soak $(ARGS)

# Babel's commands read their settings from setup.cfg. A new language: babel init_catalog -l xx
babel := $(run) python -c 'import setuptools; setuptools.setup()' --quiet
locale: setup ## collect the texts, bring the catalogues up to date, compile them
	@mkdir -p vaultd/locale
	@$(babel) extract_messages
	@[ -e vaultd/locale/zh_CN/LC_MESSAGES/vaultd.po ] || $(babel) init_catalog --locale zh_CN
	@$(babel) update_catalog
	@$(babel) compile_catalog --statistics

# Universal: one lock holds the wheels of every Python from 3.11 on and of every processor. uv stays out of .venv: only
# who changes a dependency needs it. What is pinned stays, unless the .in asks for more: make lock ARGS=--upgrade
compile := .tools/uv/bin/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header
lock: ## pin the packages of .ci/*.in anew, with hashes
	@[ -x .tools/uv/bin/uv ] || { $(PYTHON) -m venv .tools/uv && .tools/uv/bin/pip install --quiet uv; }
	@$(compile) .ci/requirements.in --output-file .ci/requirements.lock $(ARGS)
	@$(compile) .ci/requirements.in .ci/requirements-report.in .ci/requirements-dev.in --constraint .ci/requirements.lock --output-file .ci/requirements-dev.lock $(ARGS)

clean: ## remove what setup and the tests made in this checkout
	@rm -rf .venv .tools build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
	@find vaultd tests -name '*.mo' -delete
	@find vaultd tests -name __pycache__ -prune -exec rm -rf {} +
