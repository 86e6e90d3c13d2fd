# `make` alone lists the targets. PYTHON=python3.12 chooses the interpreter, VENV=DIR where packages go,
# DEMO="--set capture.demo_frames=50", LIVE="--web 127.0.0.1:9000" and BENCH="soak --minutes 2" change what is run.
PYTHON ?= python3
VENV ?= .venv
BENCH ?= pipeline
python := $(VENV)/bin/python
pip := $(python) -m pip install --quiet --disable-pip-version-check --no-compile --constraint constraints.txt

# pip would compile on one core. As with pip, what this Python can't read (newer syntax in a package) stays as it is.
define install
@echo "installing $< into $(VENV)"
@$(pip) --requirement $<
@$(python) -m compileall -qq -j 0 $(VENV)/lib || true
endef

.DELETE_ON_ERROR:
.PHONY: help demo live test slow load check bench clean

help: ## list the targets
	@sed -n 's/^\([a-z]*\):.*## /  make \1\t/p' $(MAKEFILE_LIST) | expand -t 14

demo: $(VENV)/.lite ## follow three objects through a drawn scene; writes demo-output/
	@mkdir -p demo-output && rm -f demo-output/demo*.mp4  # no recording is written over
	$(python) run_stream.py --config demo --no-dashboard --summary demo-output/summary.json $(DEMO)

live: $(VENV)/.web ## play the drawn scene without end, to click in on a page in the browser
	$(python) run_stream.py --config live --no-dashboard $(LIVE)

test: $(VENV)/.dev ## run all tests
	@tools/system_packages test
	@tools/axe_core $(VENV)
	PYTHON=$(python) tools/check tests

slow: $(VENV)/.dev ## the tests that `make test` leaves out for their time: a quarter of an hour, more of them as root
	$(python) -m pytest -m slow tests

load: $(VENV)/.dev ## hostile clients beside one that behaves, long runs, malformed messages: most of an hour
	$(python) -m pytest -m load -s tests/load
	PYTHONPATH=.:tests $(python) tests/fuzz/fuzzer.py --count 1000000 2> /dev/null
	PYTHONPATH=.:tests $(python) tests/fuzz/live_fuzzer.py --count 20000 --seed 1

check: $(VENV)/.dev ## format, lint and check types (in CI: without changing a file)
	PYTHON=$(python) tools/check format lint types

bench: $(VENV)/.lite ## measure: BENCH=pipeline, start or "soak --minutes 30"; writes bench-output/
	@mkdir -p bench-output
	$(python) tools/benchmark.py $(BENCH) --json bench-output/$(firstword $(BENCH)).json

clean: ## remove what the targets made
	rm -rf $(VENV) demo-output bench-output .mypy_cache .ruff_cache .pytest_cache
	find stream nodes tools tests -name __pycache__ -prune -exec rm -rf {} +

# An empty stamp is newer than the list it was installed from, so that a second run installs nothing.
$(VENV)/.lite: requirements-lite.txt constraints.txt | $(VENV)/bin/python
	@tools/system_packages lite
	$(install)
	@echo "compiling the loops of the lite decoder"
	@$(python) -c "import nodes.decoder.lite.kernels"
	@touch $@

$(VENV)/.web: requirements-web.txt $(VENV)/.lite
	$(install)
	@touch $@

$(VENV)/.dev: requirements-dev.txt requirements.txt requirements-mqtt.txt requirements-trackers.txt \
		requirements-sam2.txt requirements-ray.txt $(VENV)/.web
	$(install)
	@touch $@

$(VENV)/bin/python:
	@tools/make_venv $(PYTHON) $(VENV)
