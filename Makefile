VENV := .venv
PY := $(VENV)/bin/python
CACHES := .mypy_cache .pytest_cache .ruff_cache

.DEFAULT_GOAL := help
.PHONY: help demo test lint mutants format docs clean

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-8s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
	@echo
	@echo "  PORT=8000 make demo chooses the port; PYTHON and CHROMIUM name the programs to use."

demo: $(VENV)/.installed ## Install what the app needs and start it
	@# Unbuffered: the app's address shows at once, also through a pipe. PORT reaches the app as an environment variable.
	@PYTHONUNBUFFERED=1 exec $(PY) app.py

test: $(VENV)/.installed-dev ## Install what the tests need, then run lint and all tests
	@# The tests run even when lint fails, so that one run reports everything; pytest comes last, with its summary.
	@# Compiled once for all the processes that tests start, and the tests once for all runs, also where the environment
	@# keeps Python from doing so.
	@# Three processes for two cores, a file of tests in one of them: most tests wait for a browser or a disk. One thread
	@# each: those of OpenMP wait for each other at full speed, which takes three times as long where cores are shared.
	@# The summary names what failed, and what was run again (-r fER).
	@CHROMIUM=$$(scripts/ensure-chromium) || exit 1; export CHROMIUM; \
	$(MAKE) --no-print-directory lint; lint=$$?; \
	$(PY) -m compileall -q salmu_demo; \
	PYTHONDONTWRITEBYTECODE= OMP_NUM_THREADS=1 $(PY) -m pytest -n 3 --dist loadfile --no-loadscope-reorder -r fER || exit 1; \
	[ $$lint = 0 ] || { echo "Lint failed, see above the tests." >&2; exit 1; }

lint: $(VENV)/.installed-dev ## Check style and types
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .
	$(PY) -m mypy

mutants: $(VENV)/.installed-dev ## Break the formulas one by one and print the breaks no test notices
	@OMP_NUM_THREADS=1 $(PY) scripts/mutants.py $(MUTANTS)

format: $(VENV)/.installed-dev ## Fix what ruff can fix and format the code
	$(PY) -m ruff check --fix .
	$(PY) -m ruff format .

docs: $(VENV)/.installed-dev ## Build the documentation into build/docs; a warning is an error
	@# Not --quiet: it hides warnings from --strict as well.
	@NO_MKDOCS_2_WARNING=1 $(PY) -m mkdocs build --strict
	@echo "build/docs/index.html"

clean: ## Remove caches and build products; the virtual environment stays
	rm -rf build dist *.egg-info $(CACHES) mutants
	find . -name $(VENV) -prune -o -name __pycache__ -type d -prune -exec rm -rf {} +

# The stamps say what the virtual environment holds; scripts/install writes them once everything is installed.
$(VENV)/.installed: requirements.txt pyproject.toml $(PY)
	@scripts/install

$(VENV)/.installed-dev: requirements.txt pyproject.toml $(PY)
	@scripts/install dev

# No recipe: when the interpreter is gone, the stamps above count as out of date and scripts/install starts afresh.
$(PY):
