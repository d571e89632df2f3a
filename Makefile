# Every target sets up what it needs in .venv; nothing has to be installed by hand.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
# What the daemon needs, for `make demo`; and with the tools of the tests, for everything else.
DEMO_STAMP := $(VENV)/.demo-ready
STAMP      := $(VENV)/.ready
# Compiles nothing ahead: most of it is never imported, and the rest is compiled once, at its first import.
INSTALL    := $(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-compile

# How many processes run the tests, each a module at a time; most of them wait for something, so two cores take four.
# `make test JOBS=0` runs the tests one after the other in one process. PYTEST_ARGS go to pytest: `make test PYTEST_ARGS="-k reload"`.
JOBS        ?= 4
PYTEST_ARGS ?=
# Options of the demo: `make demo DEMO_ARGS="--listen 127.0.0.1:0"` where another program has its port.
DEMO_ARGS   ?=
PYTEST      := $(BIN)/pytest --numprocesses=$(JOBS)

# Tests start many processes; without a cache of the bytecode each of them compiles everything again.
export PYTHONDONTWRITEBYTECODE :=
export PYTHONPYCACHEPREFIX     := $(CURDIR)/$(VENV)/bytecode

CORE   := monitor/model/*,monitor/metrics/*,monitor/avi/cluster.py,monitor/avi/wire.py,monitor/avi/paging.py,monitor/avi/image*.py,monitor/avi/inventory.py,monitor/avi/objects.py,monitor/avi/upgrade*.py,monitor/avi/values.py,monitor/avi/login.py,monitor/avi/errors.py,monitor/avi/scrub.py,monitor/avi/members.py,monitor/avi/pseudonyms.py,monitor/polling/changes.py,monitor/polling/health.py,monitor/polling/eta.py,monitor/polling/upgrade*.py,monitor/cli/output/upgrade_judge.py,monitor/cli/output/upgrade_wait.py,monitor/polling/inventory.py,monitor/polling/readiness*.py,monitor/patching/body.py,monitor/patching/fields.py,monitor/patching/annotations.py,monitor/patching/audit.py,monitor/patching/representation.py,monitor/patching/failures.py,monitor/patching/strict_json.py,monitor/patching/unit_body.py

.PHONY: demo test torture night pythons matrix lint bench release requirements clean

demo: $(DEMO_STAMP)
	$(BIN)/avi-upgrade-monitor demo $(DEMO_ARGS)

test: $(STAMP)
	tests/debian-packages.sh
	$(MAKE) --no-print-directory lint
	rm -f .coverage .coverage.*
	$(PYTEST) --dist=loadfile --no-loadscope-reorder --cov --cov-report= $(PYTEST_ARGS)
	$(BIN)/coverage report --fail-under=95
	$(BIN)/coverage report --fail-under=100 --include=$(CORE)

# What takes too long for every run: a kill -9 at every point of a PATCH, and the deaths of 120 writers beside a standby,
# of which `make test` takes a sample.
torture: $(STAMP)
	$(PYTEST) --dist=load --all-kill-points tests/integration/test_kills.py tests/integration/test_takeover.py $(PYTEST_ARGS)

# Whole upgrades at speed 60, in which real time passes: under a real Prometheus with our rules, in a real browser, and in
# the demo. What alerts were pending or firing, and a screenshot of each phase, are then in test-artefacts.
night: $(STAMP)
	tests/debian-packages.sh
	$(BIN)/pytest tests/night/alerts.py tests/night/demo.py tests/night/page.py $(PYTEST_ARGS)

# The unit tests, and those of TLS, on Python 3.13 and 3.14, where they are installed; others by `make pythons PYTHONS=3.12`.
pythons:
	JOBS=$(JOBS) tests/pythons.sh

# On other Pythons, Debians, Prometheuses and machines; it takes long, needs root, and is not part of `make test`.
matrix: $(STAMP)
	PYTHON=$(CURDIR)/$(BIN)/python JOBS=$(JOBS) PARTS="$(PARTS)" tests/matrix.sh

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	tests/page/check-types.sh $(VENV)/node

bench: $(STAMP)
	$(BIN)/python -m tests.benchmarks

# Wheel, sdist, chart, list of packages and checksums, in dist/; refused unless they are of one version.
release: $(STAMP)
	$(BIN)/python -m deploy.release

$(DEMO_STAMP): pyproject.toml deploy/requirements.txt deploy/requirements-build.txt
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "avi-upgrade-monitor needs Python 3.11 or newer; set PYTHON=python3.11")'
	test -x $(BIN)/pip || $(PYTHON) -m venv $(VENV)
	$(INSTALL) --require-hashes -r deploy/requirements.txt -r deploy/requirements-build.txt
	$(INSTALL) --no-build-isolation --editable .
	touch $@

$(STAMP): $(DEMO_STAMP) tests/requirements.txt
	$(INSTALL) --require-hashes -r tests/requirements.txt
	touch $@

# Pins every version with its hashes; run it to take newer ones. The daemon's first, then the tests', which contain them.
COMPILE := $(VENV)-pin/bin/pip-compile --quiet --upgrade --strip-extras --allow-unsafe --generate-hashes \
	--no-emit-index-url --no-emit-trusted-host --no-emit-find-links
requirements:
	$(PYTHON) -m venv $(VENV)-pin
	$(VENV)-pin/bin/pip install --quiet pip-tools
	$(COMPILE) --extra postgres --extra speed --output-file deploy/requirements.txt pyproject.toml
	$(COMPILE) --only-build-deps --build-deps-for editable --output-file deploy/requirements-build.txt pyproject.toml
	$(COMPILE) --all-extras --constraint deploy/requirements.txt --constraint deploy/requirements-build.txt \
		--output-file tests/requirements.txt pyproject.toml tests/requirements.in
	rm -rf $(VENV)-pin

clean:
	rm -rf $(VENV) $(VENV)-* build dist test-artefacts .coverage* .mypy_cache .pytest_cache .ruff_cache .hypothesis
