# Everything starts here. Needs make and Python 3.11 to 3.13, nothing else; works as root and as an ordinary user.
PYTHON = python3
PORT = 8000
N = 10000
TESTS = 2
CASES = $(wildcard ../shared/cases)

VENV = .venv
PY = $(VENV)/bin/python
PO = $(wildcard */locale/*/LC_MESSAGES/django.po)

.PHONY: help demo run test check conformance contracts bench torture stop messages clean
.SUFFIXES:

help:
	@echo "make demo       set up, load the sample book, bill it, show what was made"
	@echo "make run        serve the pages at http://127.0.0.1:8000/ (PORT=8080 for another port)"
	@echo "make test       all tests"
	@echo "make check      format, lint, types, contracts, missing migrations"
	@echo "make conformance  the engine against published cases (CASES=DIR for another folder)"
	@echo "make contracts  which part may import which"
	@echo "make bench      the kernel, a bill run over N=10000 contracts, and usage taken in, measured"
	@echo "make torture    the long tests"
	@echo "make stop       stop the embedded database and broker; the data stay"
	@echo "make messages   compile the translations"
	@echo "make clean      remove what was installed and compiled; the data in var/ stay"

demo: $(VENV)/ready messages
	@$(PY) manage.py migrate --verbosity 0
	@$(PY) manage.py demo

run: $(VENV)/ready messages
	@$(PY) manage.py migrate --verbosity 0
	@exec $(PY) manage.py run --port $(PORT)

test: $(VENV)/ready-dev messages
	@$(PY) -m config.servers start
	$(PY) -m pytest -n $(TESTS) -m "not torture"

torture: $(VENV)/ready-dev messages
	@$(PY) -m config.servers start
	$(PY) -m pytest -m torture

check: $(VENV)/ready-dev messages
	$(PY) -m ruff format --check .
	$(PY) -m ruff check .
	$(PY) -m mypy manage.py config tenants billing invoicing payments
	$(VENV)/bin/lint-imports
	$(PY) manage.py makemigrations --check --dry-run

conformance: $(VENV)/ready-dev
	@$(PY) -m tests.conformance $(CASES) tests/conformance/cases

contracts: $(VENV)/ready-dev
	$(VENV)/bin/lint-imports

bench: $(VENV)/ready-dev messages
	$(PY) -m tests.bench.kernel
	$(PY) -m tests.bench.bill_run --contracts 2000 $(N)
	$(PY) -m tests.bench.usage 200000

stop:
	@if [ -x $(PY) ]; then $(PY) -m config.servers stop; fi

clean: stop
	rm -rf $(VENV) .mypy_cache .pytest_cache .ruff_cache .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
	rm -f $(PO:.po=.mo)

messages: $(PO:.po=.mo)

%.mo: %.po $(VENV)/ready
	@said=$$($(PY) -m babel.messages.frontend compile --input-file $< --output-file $@ 2>&1); \
	  case "$$said" in *error*) echo "$$said" >&2; rm -f $@; exit 1;; esac

# What production needs; then what checking and testing need on top.
$(VENV)/ready: requirements.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
	  echo "Python 3.11 or newer is needed as $(PYTHON): install it, or name it, for example make PYTHON=python3.12 demo." >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
	  $(PYTHON) -c 'import sys; print("The venv module of Python is missing: run apt-get install python%d.%d-venv (as root), then make again." % sys.version_info[:2], file=sys.stderr)'; exit 1; }
	@space=$$(df -Pk . | awk 'NR == 2 { print int($$4 / 1024) }'); [ "$$space" -ge 1000 ] || { \
	  echo "The disk is full: $$space MB are left here, 1000 MB are needed. Free some space, then make again." >&2; exit 1; }
	@echo "Installing the packages into $(VENV) (a minute or two) ..."
	@$(PYTHON) -m venv $(VENV)
	@$(PY) -m pip install --quiet --disable-pip-version-check --no-input -r requirements.txt
	@touch $@

$(VENV)/ready-dev: requirements-dev.txt $(VENV)/ready
	@echo "Installing what the tests need ..."
	@$(PY) -m pip install --quiet --disable-pip-version-check --no-input -r requirements.txt -r requirements-dev.txt
	@touch $@
