# Two commands: `make demo` hears a recording, `make test` runs the tests. Both make .venv first.
PYTHON ?= python3.11
RILL = .venv/bin/rill

.PHONY: demo test

demo: .venv/demo
	$(RILL) transcribe asr/models/en-small/demo.flac

test: .venv/dev
	.venv/bin/python -m pytest

.venv/demo: pyproject.toml constraints.txt
	test -x .venv/bin/python || $(PYTHON) -m venv .venv
	.venv/bin/python -m pip install --disable-pip-version-check -q -c constraints.txt -e .
	touch $@

.venv/dev: .venv/demo
	.venv/bin/python -m pip install --disable-pip-version-check -q -c constraints.txt -e '.[dev]'
	touch $@
