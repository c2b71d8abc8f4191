# Each target works on a new Debian machine with only python3, git and make. Missing Debian packages are installed as
# root or with password-less sudo; otherwise the command that installs them is printed.

BIN := .venv/bin
PYTEST := $(BIN)/python -m pytest

.PHONY: help run test check unit matrix soak bench package package-test screenshots lock clean

help:
	@echo "make run          a whole federation on this machine, real XRootD servers, then the verdict"
	@echo "make test         lint, types, layers and all tests (about 10 minutes)"
	@echo "make matrix       make test on bare Debian 12 and Debian 13 systems (needs root; half an hour)"
	@echo "make bench        measure the figures of docs/measurements here"
	@echo "make soak         long campaigns: faults, fuzzing, memory (hours; resumable)"
	@echo "make package      wheel, deb, rpm and programs without a Python in dist/"
	@echo "make package-test install what is in dist/ on clean Debian 12 and 13 systems (needs root)"
	@echo "make screenshots  pictures of every page in build/screenshots, from a real X server"

run:
	@packaging/setup.sh run
	@$(BIN)/tally demo

test:
	@packaging/setup.sh test
	@$(MAKE) --no-print-directory check unit

check:
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

# The tests of the cores (no I/O); prints their coverage.
CORES := tests/collector/wire tests/gui/campaign tests/gui/reconcile \
	$(patsubst %,tests/collector/correlate/test_%.py,events eviction ids numbers peers processes sequence told waiting)

unit:
	$(PYTEST) -q -n 3 --dist loadfile $(CORES:%=--ignore=%)
	$(PYTEST) -q -n 2 --dist loadfile $(CORES) --cov --cov-report=term:skip-covered

matrix:
	@packaging/matrix.sh

bench:
	@packaging/setup.sh test
	$(BIN)/python tests/bench/run.py

soak:
	@packaging/setup.sh all
	$(BIN)/python tests/soak/run.py

package:
	@packaging/setup.sh all
	$(BIN)/python packaging/build.py

package-test:
	@packaging/setup.sh all
	cd packaging/tests && ../../$(BIN)/python -m pytest -q --basetemp=$${TALLY_MATRIX:-/var/tmp/tally-matrix}/tests

screenshots:
	@packaging/setup.sh test
	$(BIN)/python -m tests.gui.screenshots build/screenshots
	$(BIN)/python tests/page_screenshots.py build/screenshots/page

lock:
	requirements/lock.sh

clean:
	rm -rf build dist .mypy_cache .ruff_cache .import_linter_cache .hypothesis
