# The verbs of this project. A fresh clone needs no other step than `make run` or `make test`.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
BIN := .venv/bin
INSTALL := PIP_CONSTRAINT=constraints.txt PIP_DISABLE_PIP_VERSION_CHECK=1 $(BIN)/pip install --quiet

.PHONY: help run quick test test-clients lint tracker docs docs-generate bench bench-locust torture

help:  ## list these verbs; `make` alone does so too
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-13s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run: .venv/run  ## serve the demo configuration, collector.toml
	@$(BIN)/collector serve --config collector.toml

# Leaves out each test file that starts the program, a broker, a store or another process: those need seconds a test.
quick: .venv/dev  ## the unit tests, in half a minute on two idle cores
	$(BIN)/pytest -n 2 --dist loadfile $$(grep -rLE '\brunning\(|PROGRAMS|tests\.(destinations|kafka|processes)' \
	  --include='test_*.py' tests/wal tests/collector tests/project)

# Three times as many workers as the smallest machine has cores: most of a test waits for disks, timeouts and servers.
test: .venv/dev build/clients/python/installed collector/web/node_modules/installed  ## the tests, in a few minutes
	$(BIN)/pytest -n 6 --dist loadfile

# What a machine lacks npm, a JDK, Maven or a browser for is skipped, and says so. Scenes in browsers wait most of the time.
test-clients: .venv/dev build/clients/python/installed build/clients/jars/installed tests/clients/node_modules/installed
test-clients: collector/web/node_modules/installed
test-clients:  ## every SDK that is served unchanged, and all pages in browsers, in some minutes
	$(BIN)/pytest -m 'not torture' -n 4 tests/clients tests/tracker
	$(BIN)/pytest -m 'clients and not torture' -n 4 --dist loadfile tests/browser tests/docs tests/bench

lint: .venv/dev  ## style and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

tracker: collector/web/node_modules/installed  ## build the tracker for pages, which the repository keeps in collector/web/dist
	cd collector/web && npm run --silent build

docs-generate: .venv/dev  ## write the parts of the documentation that follow from the code
	$(BIN)/python -m tools.docs

docs: docs-generate  ## generate the documentation, test it, and build the site into site/
	$(BIN)/pytest tests/docs -n 2
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

torture: .venv/dev build/clients/python/installed build/clients/jars/installed tests/clients/node_modules/installed
torture: collector/web/node_modules/installed
torture:  ## the long tests: crashes, faults and power cuts; ends in a table of what was lost (0)
	$(BIN)/pytest -m torture -s

bench: .venv/dev  ## every scenario but the outage, in an hour and a half; fails at its end if a bound is broken
	$(BIN)/python -m bench

bench-locust: .venv/dev  ## 30 s of load on the collector that `make run` serves, and a report in bench/report/locust.html
	@mkdir -p bench/report
	$(BIN)/locust -f bench/locustfile.py --headless --users 64 --spawn-rate 64 --run-time 30s \
	  --host http://127.0.0.1:8080 --html bench/report/locust.html $(LOCUST)

.venv/run: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(INSTALL) -e .
	@touch $@

.venv/dev: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(INSTALL) -e '.[dev]'
	@touch $@

build/clients/python/installed: tests/clients/requirements.txt
	$(PYTHON) -m venv $(@D)
	PIP_DISABLE_PIP_VERSION_CHECK=1 $(@D)/bin/pip install --quiet -r $<
	@touch $@

build/clients/jars/installed: tests/clients/pom.xml
	! command -v mvn >/dev/null || (mvn -q -B -f $< dependency:copy-dependencies && touch $@)

tests/clients/node_modules/installed: tests/clients/package-lock.json
	! command -v npm >/dev/null || (cd tests/clients && npm ci --ignore-scripts --no-audit --no-fund && touch node_modules/installed)

collector/web/node_modules/installed: collector/web/package-lock.json
	! command -v npm >/dev/null || (cd collector/web && npm ci --ignore-scripts --no-audit --no-fund && touch node_modules/installed)
