# `make demo` transcribes a recording, `make test` runs the tests, `make lint` checks style and types,
# `make docs` builds the documentation, `make figures` draws its figures and writes its tables.
# Each makes .venv first. PYTEST has options of pytest.
PYTHON ?= python3.11
RILL = .venv/bin/rill

PYTEST ?=

.PHONY: demo test lint docs figures

demo: .venv/demo
	$(RILL) transcribe asr/models/en-small/demo.flac

test: .venv/dev
	.venv/bin/python -m pytest $(PYTEST)

lint: .venv/dev
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/mypy

docs: .venv/docs
	NO_MKDOCS_2_WARNING=1 .venv/bin/python -m mkdocs build --strict
	@echo build/site/index.html

figures: .venv/dev
	for script in docs/figures/[a-z]*.py; do .venv/bin/python $$script || exit 1; done

.venv/demo: pyproject.toml constraints.txt setup.py $(wildcard asr/*/*.pyx asr/*/*.pxd)
	test -x .venv/bin/python || $(PYTHON) -m venv .venv
	.venv/bin/python -m pip install --disable-pip-version-check -q -c constraints.txt -e .
	touch $@

.venv/dev: .venv/demo
	.venv/bin/python -m pip install --disable-pip-version-check -q -c constraints.txt -e '.[dev]'
	touch $@

.venv/docs: .venv/demo
	.venv/bin/python -m pip install --disable-pip-version-check -q -c constraints.txt -e '.[docs]'
	touch $@
