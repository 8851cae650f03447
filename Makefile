# `make run` starts Countersign, `make test` tests it. Both need Python 3.11 or newer and nothing else.
PYTHON ?= python3
BIN := .venv/bin
PYTEST := $(BIN)/python -m pytest -q
# A real browser or real processes on a machine that is busy with something else may come too late. What failed there, and only
# that, gets a second try that says so; who fails twice has failed. $(call TWICE,how,what)
TWICE = $(PYTEST) $(1) $(2) || { echo "Once more, only what failed:"; $(PYTEST) -rA --last-failed --last-failed-no-failures none $(2); }
# The browser journeys run where a Chromium is: CHROMIUM=/path/to/it, or one on the PATH.
CHROMIUM ?= $(shell command -v chromium || command -v chromium-browser || command -v google-chrome)
export CHROMIUM

.PHONY: run test test-e2e test-corpus test-clients test-chaos lint unit browser install

run:
	@exec $(PYTHON) hitl_site/bootstrap.py

install:
	@$(PYTHON) hitl_site/bootstrap.py --dev

test: lint unit browser

lint: install
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	cd sdk/python && ../../$(BIN)/mypy

unit: install
	$(PYTEST) -n 2

# The main job on the real processes, with the evaluation data beside this checkout; skips, and says so, without it.
test-e2e: install
	$(PYTEST) -m e2e tests/e2e

# Every text of the corpus of injections in every field of what is risky, with a model that says yes to all of it: minutes.
test-corpus: install
	COUNTERSIGN_LAW_TEXTS=2000 $(PYTEST) -n 2 tests/laws -k no_text_of_the_corpus

# Clients as they are published, in throw-away environments; what cannot be installed is skipped, and says so.
test-clients: install
	$(call TWICE,,-m clients tests/clients)

# Kills and races on the real processes: minutes.
test-chaos: install
	$(call TWICE,,-m chaos)

browser: install
ifeq ($(strip $(CHROMIUM)),)
	@echo "No Chromium here: the browser journeys did not run. Install one, or set CHROMIUM."
else
	$(call TWICE,-n 2,-m browser tests/browser)
endif
