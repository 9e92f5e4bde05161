# Needs Python 3.11 with venv and pip, and make; nothing else. `make` alone lists the commands.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.ONESHELL:
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help
.PHONY: help demo up down setup test test-services lint

PYTHON ?= $(shell for name in python3.11 python3 python; do \
	"$$name" -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' 2>/dev/null && command -v "$$name" && break; done)

# The name exactly as typed: blanks, quotes and dollar signs stay what they are.
export VIDEO_PATH := $(value VIDEO)

help: ## this list
	@grep -E '^[a-z-]+:.*## ' $(firstword $(MAKEFILE_LIST)) | while IFS= read -r line; do printf '  make %-14s %s\n' "$${line%%:*}" "$${line##*## }"; done

demo: .venv-core/.ready ## analyse a sample made on the spot, or your own film: make demo VIDEO=path/film.mp4
	@if [ -z "$$VIDEO_PATH" ]; then
		echo "== demo: makes a short broadcast, analyses it, compares found with true (a minute or two)"
		.venv-core/bin/longtake demo --out demo
	else
		stem=$$(basename -- "$$VIDEO_PATH"); out="demo/$${stem%.*}"
		echo "== demo: analyses $$VIDEO_PATH into $$out (an hour of ordinary video takes a minute or more)"
		.venv-core/bin/longtake analyze --out "$$out" -- "$$VIDEO_PATH"
	fi

up: setup ## everything on this machine: Kafka, MinIO, PostgreSQL, the services; tried with a tiny video (the first time: some minutes)
	@.venv/bin/longtake up

down: setup ## stop what `make up` started; what is stored stays
	@.venv/bin/longtake down

setup: .venv/.ready ## .venv with everything: torch, Ray Serve, Kafka and MinIO clients, the tools
	@echo "== setup: .venv is ready (.venv/bin/longtake, .venv/bin/python)"

test: setup ## all tests that need no server and no browser
	@echo "== test: pytest (some minutes on 2 cores)"
	.venv/bin/python -m pytest -m "not browser and not servers"

test-services: setup ## the tests against real servers: Chromium, Kafka, MinIO, PostgreSQL, each installed where it is missing
	@echo "== test-services: the report page in headless Chromium (a minute), and suites on real servers (their first install: 3 to 6 minutes)"
	if ! command -v chromium >/dev/null && ! command -v chromium-browser >/dev/null && ! command -v google-chrome >/dev/null; then
		if [ "$$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
			echo "This needs Chromium. On Debian: sudo apt-get install chromium" >&2
			exit 1
		fi
		echo "== installing Chromium (half a minute)"
		apt-get update -qq
		DEBIAN_FRONTEND=noninteractive apt-get install -y -qq chromium >/dev/null
	fi
	.venv/bin/python -m deploy.local install
	.venv/bin/python -m pytest -m "browser or servers"

lint: setup ## ruff and mypy
	@echo "== lint: ruff check, ruff format --check, mypy (under a minute)"
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/mypy

# --no-compile: Python compiles what it imports when it first does, a small part of what lies there (12 of 22 s of the core's install).
# An environment is made whole or not at all: it is built anew whenever its lock changes, and marked at the very end.
.venv-core/.locked: deploy/locks/core.txt
	@echo "== core environment: .venv-core, about 1 GB (downloads 525 MB), about a minute on 2 cores"
	$(call install_lock,.venv-core,$<)

.venv/.locked: deploy/locks/full.txt
	@echo "== full environment: .venv, about 6.5 GB with torch and CUDA (downloads 3 GB), 2 to 5 minutes"
	$(call install_lock,.venv,$<)

.venv-core/.ready .venv/.ready: %/.ready: %/.locked pyproject.toml
	@$*/bin/python -m pip install --quiet --no-deps --no-build-isolation --editable .
	$*/bin/longtake --help >/dev/null
	touch $@

define install_lock
if [ -z "$(PYTHON)" ]; then
	echo "Longtake needs Python 3.11 and found none. On Debian or Ubuntu: apt-get install python3.11 python3.11-venv; or name one: make PYTHON=/path/to/python3.11" >&2
	exit 1
fi
if ! "$(PYTHON)" -c 'import ensurepip, venv' 2>/dev/null; then
	echo "$(PYTHON) comes without venv and pip. On Debian or Ubuntu: apt-get install python3.11-venv" >&2
	exit 1
fi
if ! "$(PYTHON)" -c 'import platform, sys; sys.exit((sys.platform, platform.machine()) != ("linux", "x86_64"))'; then
	echo "The locks are for Linux x86-64. Elsewhere: $(PYTHON) -m venv $(1), then $(1)/bin/pip install -e . (or '.[models,training,services,dev]')" >&2
	exit 1
fi
"$(PYTHON)" -m venv --clear $(1)
$(1)/bin/python -m pip install --quiet --progress-bar off --disable-pip-version-check --no-compile --require-hashes --no-deps -r $(2)
touch $(1)/.locked
endef
