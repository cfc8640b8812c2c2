# run · test · check · bench · models · locale · clean
#
# Everything is installed into .venv below this folder. A stamp in it remembers what was installed,
# so a second run starts at once; a changed requirements file installs again.

VENV ?= .venv
PORT ?= 8501
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --disable-pip-version-check --no-input -c constraints.txt
FIRST_IMPORTS := import geopandas, leafmap.foliumap, plotly.graph_objects, rio_tiler.io, \
	streamlit.web.bootstrap, streamlit_folium, uvicorn
BENCHMARKS := $(filter-out %/__init__.py,$(wildcard benchmarks/*.py))

.PHONY: run test check bench models locale clean

run: $(VENV)/.core
	$(BIN)/python -m core serve --port $(PORT)

# Two at a time: much of a browser test is waiting. A file stays with one process, for its server.
test: $(VENV)/.dev
	$(BIN)/python -m pytest --numprocesses 2 --dist loadfile

check: $(VENV)/.dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: $(VENV)/.dev
	@for file in $(BENCHMARKS); do \
		echo "== $$file"; \
		$(BIN)/python -m "$$(echo "$${file%.py}" | tr / .)" || exit 1; \
	done

# PyTorch: some 5 GB, needed by the pages that train and generate.
models: $(VENV)/.core
	$(PIP) -r requirements.txt

# Find the marked strings in the source and bring the Chinese catalogue up to date with them.
locale: $(VENV)/.core
	$(BIN)/pybabel -q extract -F locale/babel.cfg --no-wrap --add-location=file --sort-by-file \
		--project="Urban Pattern Studio" -o locale/messages.pot .
	$(BIN)/pybabel -q update --no-wrap --no-fuzzy-matching --ignore-obsolete \
		-i locale/messages.pot -d locale -l zh_CN

clean:
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(VENV)/bin/python:
	@for name in $(PYTHON) python3 python3.13 python3.12 python3.11 python3.14 python; do \
		if "$$name" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then \
			echo "Making $(VENV) with $$("$$name" --version)"; \
			"$$name" -m venv $(VENV) && exit 0; \
			echo "$$name cannot make an environment. On Debian and Ubuntu: apt-get install python3-venv" >&2; \
			rm -rf $(VENV); exit 1; \
		fi; \
	done; \
	echo "Python 3.11 or newer is needed; this machine has: $$(python3 --version 2>&1)." >&2; \
	echo "Install one, or name it: make PYTHON=/path/to/python3.12 run" >&2; \
	exit 1

$(VENV)/.core: requirements-core.txt constraints.txt | $(VENV)/bin/python
	@echo "Installing what the app needs (once, one or two minutes)"
	$(PIP) --no-compile -r requirements-core.txt
	@# Compiling all of it would take longer than the download; this compiles what a start imports.
	@PYTHONDONTWRITEBYTECODE= $(BIN)/python -c "$(FIRST_IMPORTS)" >/dev/null 2>&1 || true
	@touch $@

$(VENV)/.dev: requirements-dev.txt constraints.txt $(VENV)/.core
	@echo "Installing the tools for tests and checks (once)"
	$(PIP) -r requirements-dev.txt
	@touch $@
