# `make demo` transcribes a recording, `make test` runs the tests, `make check` the lint and the fast
# tests, `make lint` style and types alone. `make docs` builds the documentation, `make figures` draws
# its figures and writes its tables, `make wheel` builds the packages. Each makes .venv first. PYTEST
# has options of pytest.
# The first of Python 3.11 to 3.13 that runs.
PYTHON ?= $(shell for name in python3.11 python3.12 python3.13 python3 python; do \
	$$name -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' 2> /dev/null && echo $$name && break; done)
RILL = .venv/bin/rill

PYTEST ?=

.PHONY: check demo docs figures lint test wheel

demo: .venv/demo
	$(RILL) transcribe asr/models/en-small/demo.flac

test: .venv/dev
	.venv/bin/python -m pytest -n 2 --dist loadfile $(PYTEST)

lint: .venv/dev
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/lint-imports --no-logo
	.venv/bin/mypy

# What takes less than two minutes: before each commit.
check: lint
	.venv/bin/python -m pytest -n 2 --dist loadfile -m "not slow and not minutes" $(PYTEST)

wheel:
	scripts/build_wheels.sh

docs: .venv/docs
	NO_MKDOCS_2_WARNING=1 .venv/bin/python -m mkdocs build --strict
	@echo build/site/index.html

figures: .venv/dev
	for script in docs/figures/[a-z]*.py; do .venv/bin/python $$script || exit 1; done

.venv/demo: pyproject.toml constraints.txt setup.py $(shell find asr -name "*.pyx" -o -name "*.pxd" -o -name "*.h")
	test -x .venv/bin/python || $(PYTHON) -m venv .venv
	.venv/bin/python -m pip install --disable-pip-version-check -q -c constraints.txt -e .
	touch $@

.venv/dev: .venv/demo
	.venv/bin/python -m pip install --disable-pip-version-check -q -c constraints.txt -e '.[dev]'
	touch $@

.venv/docs: .venv/demo
	.venv/bin/python -m pip install --disable-pip-version-check -q -c constraints.txt -e '.[docs]'
	touch $@
