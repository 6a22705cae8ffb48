# `make demo` and `make test` need Python >= 3.11 and nothing else; .venv is built once and rebuilt when its inputs change.
PYTHON ?= python3
BIN := .venv/bin
READY := .venv/.ready

.PHONY: demo test test-slow lint docs docs-check bench release-check clean

demo: $(READY)
	$(BIN)/sknic demo --out sknic-demo

# Each check takes one core; of tests there is one process per core with one thread, because threads of torch would wait
# for each other. Docstrings are checked by lint.
test: .venv/.ready-docs
	$(MAKE) --no-print-directory -j2 lint docs-check
	OMP_NUM_THREADS=1 $(BIN)/pytest -n logical --dist worksteal --ignore tests/test_docstrings.py

test-slow: $(READY)
	$(BIN)/pytest -m slow

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports
	$(BIN)/pytest -q tests/test_docstrings.py
	$(BIN)/mypy

docs: .venv/.ready-docs docs-check
	$(BIN)/sphinx-build -W --keep-going -b html docs docs/_build/html

# Every page with warnings as errors, and every code block that is marked to be run; the gallery's scripts are not.
QUICK := OMP_NUM_THREADS=1 $(BIN)/sphinx-build -q -W --keep-going -D plot_gallery=0 -d docs/_build/check
docs-check: .venv/.ready-docs
	$(QUICK) -b html docs docs/_build/check/html
	$(QUICK) -b doctest docs docs/_build/check/doctest

# The wheel is built from the sdist, and has to do without the source tree: a new environment, an empty folder.
release-check: $(READY)
	rm -rf dist
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt hatchling
	$(BIN)/hatchling build --target sdist --directory dist
	$(BIN)/python -m pip wheel --quiet --no-deps --wheel-dir dist dist/sknic-*.tar.gz
	set -e; room=$$(mktemp -d); trap "rm -rf $$room" EXIT; wheel=$$(ls $$PWD/dist/sknic-*.whl); \
	$(PYTHON) -m venv $$room/venv; \
	$$room/venv/bin/python -m pip install --quiet --disable-pip-version-check -c constraints.txt $$wheel; \
	cd $$room; venv/bin/sknic --version; venv/bin/sknic demo --out demo; ls -l demo

bench: $(READY)
	for question in compress fast scaling faults estimators streaming arrangement cohort_scale; do $(BIN)/python -m benchmarks.$$question || exit 1; done

clean:
	rm -rf .venv build dist docs/_build sknic-demo

$(READY): pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[test]'
	touch $@

.venv/.ready-docs: $(READY)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[test,docs]'
	touch $@
