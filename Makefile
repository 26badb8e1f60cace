# Countersign. Needs make and Python 3.11 or later; everything else is installed into .venv and var/.
#
#   make run     the server, with a database and a broker of its own (DATABASE_URL, REDIS_URL: yours)
#   make demo    the same with a made-up company in it
#   make test    all tests          make lint    all static checks         make bench   the measurements
#   make pictures   every page in both themes and widths, into var/pictures
#   make node    an MCP client and two MCP servers of others, into var/node; tests speak with them if they are there
#   make fuzz    10,000 requests made up from the OpenAPI document, and as many others as CASES says
#   make hundred    a reviewer at human pace through a hundred proposals, ten of them bad
#   make audit-deps   what is known against the locked dependencies
#   make lock    resolve the dependencies again        make clean   remove what can be made again

SHELL := /bin/sh
VENV ?= .venv
PY := $(VENV)/bin/python

# The first Python that is new enough; the system's plain one otherwise, which then says what is missing.
ifndef PYTHON
PYTHON := $(shell for name in python3 python3.14 python3.13 python3.12 python3.11 python; do \
	$$name -c 'import sys, venv; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$name && exit; \
	done; echo python3)
endif

LOCK := $(PY) -m uv pip compile --quiet --universal --generate-hashes --python-version 3.11 \
	--custom-compile-command 'make lock' pyproject.toml

.DEFAULT_GOAL := run
.PHONY: run demo test node lint audit-deps bench fuzz pictures hundred lock clean runtime dev

runtime dev:
	@command -v $(PYTHON) >/dev/null || { echo "✗ There is no $(PYTHON). Install Python 3.11 or later." >&2; exit 1; }
	@$(PYTHON) config/environment.py $@ $(VENV)

run: runtime
	@exec $(PY) manage.py run

# Its made-up people and proposals never meet yours: they have a data directory of their own.
demo: export COUNTERSIGN_DEMO = 1
demo: export COUNTERSIGN_VAR := $(or $(COUNTERSIGN_VAR),var/demo)
demo: runtime
	@exec $(PY) manage.py run

# The table of addresses keeps a transaction open for minutes, and what waits for the log's horizon on the same server
# waits for it; so it comes by itself, after the others.
test: dev
ifdef ARGS
	@exec $(PY) -m pytest --numprocesses 2 --dist loadfile $(ARGS)
else
	@failed=0; $(PY) -m pytest --numprocesses 2 --dist loadfile --ignore tests/access || failed=1; \
	$(PY) -m pytest --numprocesses 2 --dist loadfile tests/access || failed=1; exit $$failed
endif

# By the lock file's hashes, and without running any script of a package.
node:
	@cmp -s tests/mcp/node/package-lock.json var/node/installed.json || { mkdir -p var/node \
		&& cp tests/mcp/node/package.json tests/mcp/node/package-lock.json var/node/ \
		&& npm ci --prefix var/node --ignore-scripts --no-audit --no-fund --no-update-notifier --loglevel=error \
		&& cp tests/mcp/node/package-lock.json var/node/installed.json; }

lint: dev
	@failed=; check() { echo "· $$1"; name=$$1; shift; "$$@" || failed="$$failed $$name"; }; \
	check ruff $(PY) -m ruff check .; \
	check format $(PY) -m ruff format --check .; \
	check mypy $(PY) -m mypy; \
	check openai-agents sh -c 'cd sdk && MYPYPATH=src exec $(abspath $(PY)) -m mypy --config-file= --strict \
		src/countersign/adapters/openai_agents.py tests/openai_agents_child.py'; \
	check imports $(VENV)/bin/lint-imports --no-logo; \
	check templates $(PY) -m djlint --lint --quiet templates; \
	if [ -n "$$failed" ]; then echo "✗ Failed:$$failed"; exit 1; fi; echo "✓ Nothing to mend"

audit-deps: dev
	@exec $(PY) .ci/audit_deps.py

bench: dev
	@exec $(PY) -m bench $(ARGS)

fuzz: dev
	@COUNTERSIGN_FUZZ=$(or $(CASES),10000) $(PY) -m pytest -q -s tests/api/test_fuzz.py $(ARGS)

pictures: dev
	@COUNTERSIGN_PICTURES=$(abspath var/pictures) $(PY) -m pytest -q -s tests/e2e/test_every_page.py $(ARGS)
	@echo "They are in var/pictures"

hundred: dev
	@COUNTERSIGN_PACE=1 $(PY) -m pytest -q -s tests/e2e/test_a_hundred.py $(ARGS)

lock: dev
	@echo "· Resolving the dependencies; ARGS='--upgrade' takes newer versions"
	@$(LOCK) $(ARGS) --output-file config/locks/runtime.txt
	@$(LOCK) $(ARGS) --group pyproject.toml:dev --constraint config/locks/runtime.txt --output-file config/locks/dev.txt
	@$(PY) -m uv pip compile --quiet --universal --generate-hashes --python-version 3.11 \
		--custom-compile-command 'make lock' $(ARGS) --group pyproject.toml:installer --output-file config/locks/installer.txt

clean:
	@rm -rf $(VENV) $(VENV).lock var/test var/node .mypy_cache .pytest_cache .ruff_cache .hypothesis .import_linter_cache
	@echo "Removed the environment, the caches and the tests' data. What you entered is still in var/."
