PYTHON ?= python3
BIN := .venv/bin

.PHONY: demo test test-long test-lowest coverage dist-test bench-quick lint docs docs-test

# torch without CUDA: make demo CPU=1 takes it from here, as pytorch.org says for pip.
TORCH_CPU ?= https://download.pytorch.org/whl/cpu

# Train softmax regression in NumPy and in torch, side by side, on real handwritten digits.
demo: .venv/ready
	$(BIN)/python -m parity train softmax-regression --data digits --out runs/demo

test: .venv/ready
	$(BIN)/python -m pytest

# 5,000 examples of each property in place of 50, and the tests marked `long`.
test-long: .venv/ready
	HYPOTHESIS_PROFILE=long $(BIN)/python -m pytest

# The tests with the lowest versions that pyproject.toml promises, in an environment of their own.
test-lowest:
	$(PYTHON) -m venv .venv-lowest
	$(PYTHON) tests/lowest.py > .venv-lowest/constraints.txt
	.venv-lowest/bin/python -m pip install --quiet -c .venv-lowest/constraints.txt --editable '.[tests]'
	.venv-lowest/bin/python -m pytest

# The lines and branches of scratchnn/ that no test takes. The tests of parity are left out.
coverage: .venv/ready
	$(BIN)/python -m pip install --quiet 'coverage>=7.10'
	$(BIN)/python -m coverage erase
	$(BIN)/python -m coverage run -m pytest --ignore tests/parity --ignore tests/benchmarks
	$(BIN)/python -m coverage combine --quiet
	$(BIN)/python -m coverage report

# Build the wheel and the sdist, and use each in an empty environment with NumPy alone.
dist-test:
	$(PYTHON) -m venv --clear .venv-dist
	.venv-dist/bin/python -m pip install --quiet build packaging
	.venv-dist/bin/python tests/distribution.py

# Check that every backend does the same work, on small sizes: a minute or two.
bench-quick: .venv/ready
	$(BIN)/python -m benchmarks --quick

lint: .venv/ready
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy

# The site, in docs/_build/html. It needs no network once .venv is there.
docs: .venv/docs-ready
	$(BIN)/python -m sphinx -q -W --keep-going -E -b html docs docs/_build/html
	$(BIN)/python -m sphinx -q -W --keep-going -E -b html docs/zh docs/_build/html/zh
	@echo "Open docs/_build/html/index.html"

# Every page, link and snippet of the site; with Chromium, what a reader sees of each.
docs-test: docs
	$(BIN)/python -m pytest tests/docs

.venv/docs-ready: .venv/ready
	$(BIN)/python -m pip install --quiet --editable '.[docs]'
	@touch $@

.venv/ready: pyproject.toml
	@$(PYTHON) -c 'import sys; v = sys.version_info; \
	    v >= (3, 11) or sys.exit("Python 3.11 or newer is needed, %s is %d.%d: make PYTHON=python3.12" \
	    % (sys.executable, v[0], v[1]))'
ifdef CPU
	@echo "Setting up .venv, once: about 1.5 GB, with torch for the CPU. It takes a few minutes."
else
	@echo "Setting up .venv, once: on Linux about 6 GB, most of it torch with CUDA." \
	    "Without a GPU: make demo CPU=1 takes a quarter of that."
endif
	$(PYTHON) -m venv .venv
ifdef CPU
	$(BIN)/python -m pip install --quiet --index-url $(TORCH_CPU) torch torchvision
endif
	$(BIN)/python -m pip install --quiet --editable '.[tests]'
	@touch $@
