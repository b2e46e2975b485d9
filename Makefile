# gmemdiff: every job is one target; `make` lists them.

PYTHON  ?= python3
SECONDS ?= 60
OUT     ?= campaign
PROGRAMS ?= 20000
SEED    ?= 0

BIN   := .venv/bin
# A copy of the pyproject.toml that .venv was made from.
STAMP := .venv/pyproject.toml

.DEFAULT_GOAL := help
.PHONY: help venv fuzz test test-slow test-lab lockstep sanitize mutants lint check bench clean

help: ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## /  make \1\t/p' Makefile | expand -t 18
	@echo 'variables: PYTHON=$(PYTHON) SECONDS=$(SECONDS) OUT=$(OUT) FUZZ=$(FUZZ)'

venv: $(STAMP) ## make .venv with everything in it

# A touched but unchanged pyproject.toml needs no network: compare before installing.
$(STAMP): pyproject.toml
	@if cmp -s pyproject.toml $@ && test -x $(BIN)/python; then touch $@; exit 0; fi; \
	if ! $(BIN)/python -m pip --version >/dev/null 2>&1; then \
	  $(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || \
	    { echo "$(PYTHON) is missing or older than 3.11: install Python 3.11+ and run make PYTHON=python3.11" >&2; exit 2; }; \
	  $(PYTHON) -c 'import venv, ensurepip' 2>/dev/null || \
	    { echo "$(PYTHON) has no venv/ensurepip: install it (Debian, Ubuntu: apt install python3-venv)" >&2; exit 2; }; \
	  $(PYTHON) -m venv --clear .venv || exit 2; \
	fi; \
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[dev]' && \
	cp pyproject.toml $@

# Exit code 1 says that findings were made, which is what this job is for.  A Python that dies
# early exits with 1 too, so a finding must be there.  FUZZ holds further options, such as
# FUZZ="-j 1 --profile 'v7.2 arm64'".
fuzz: venv ## fuzz for SECONDS; the campaign is kept in OUT, and the next run goes on with it
	@status=0; \
	$(BIN)/gmemdiff fuzz -w $(OUT) --max-total-time $(SECONDS) $(FUZZ) || status=$$?; \
	if [ $$status = 1 ] && [ -z "$$(ls -A $(OUT)/findings 2>/dev/null)" ]; then status=70; fi; \
	case $$status in \
	  0|1) ;; \
	  *) echo "gmemdiff fuzz failed with exit code $$status, which is no finding" >&2; exit $$status ;; \
	esac

test: venv ## run the tests
	@$(BIN)/python -m pytest

test-slow: venv ## run the slow tests
	@$(BIN)/python -m pytest -m slow

test-lab: venv ## run the tests on real kernels, where QEMU and kernels were fetched
	@$(BIN)/python -m pytest -m slow -rs $(wildcard tests/quality/test_lab_*.py)

# Exit code 4 says that there is no C compiler, and the reason was printed.
lockstep: venv ## compare the C port with the Python model: corpora, and PROGRAMS random ones from SEED
	@$(BIN)/gmemdiff lockstep corpora --random $(PROGRAMS) --seed $(SEED) || test $$? = 4

sanitize: venv ## run the C port under AddressSanitizer and UBSan, where the compiler has them
	@$(BIN)/python -m tools.sanitize || test $$? = 4

# Those that take minutes are left out; MUTANTS may name some, and further options.
MUTANTS ?= --quick
mutants: venv ## hunt seeded mistakes; fails when one is no longer found within its budget
	@$(BIN)/gmemdiff mutants $(MUTANTS) --max-time 120 || test $$? = 4

lint: venv ## ruff, ruff format, mypy, house rules
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python -m tools.tidy

check: lint test ## lint, then test

bench: venv ## measure executions per second
	@$(BIN)/gmemdiff bench

clean: ## remove .venv, builds and caches; findings stay
	rm -rf .venv build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
