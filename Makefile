.DEFAULT_GOAL := help
.PHONY: help run site site-types platform test quick coverage drills board-drills shop-drills mutations bench lint format docs screenshots requirements clean

PYTHON ?= python3
BIN := .venv/bin
PLATFORM_PINS := microservices/requirements-local $(patsubst %.in,%,$(wildcard microservices/*/requirements.in))

# For bench, which starts a server of its own unless DATABASE_URL names one.
POSTS ?= 100000
ROUNDS ?= 5
SECONDS ?= 3
ONLY ?=
# More options of pytest, for test.
PYTEST_OPTIONS ?=
# Packages of the site, and of clients in JavaScript; without npm, their tests are skipped.
PACKAGES := $(if $(shell command -v npm),tests/site/node_modules site/node_modules)
# As in site/package.json: "engines".
HAS_NODE = command -v npm >/dev/null && node -e 'const [major, minor] = process.versions.node.split("."); process.exit(major > 20 || (major == 20 && minor >= 19) ? 0 : 1)' 2>/dev/null

help: ## List the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

run: .venv/run ## Serve on port 8082, with SQLite unless DATABASE_URL is set; with the pages where Node.js 20 is
	@if ! { $(HAS_NODE); }; then \
		echo "The pages need Node.js 20.19 or newer with npm; without them / leads to the API's documentation"; \
	elif ! $(MAKE) --no-print-directory site; then \
		echo "The pages are not built (see above); without them / leads to the API's documentation"; \
	fi
	@exec $(BIN)/python app.py

platform: .venv/platform ## Serve the microservices on port 8090; FRESH=1 forgets, PLATFORM_PORT=8190 moves them
	@exec $(BIN)/python -m microservices.local

site: site/node_modules ## Build the board's pages into site/dist (Node.js 20), if their sources have changed
	@cd site && { node scripts/sources.mjs --current || npm run --silent build; }

site-types: .venv/run site/node_modules ## Write the pages' types of the API from its OpenAPI document
	$(BIN)/python site/scripts/write_types.py

test: .venv/dev .venv/checkov $(PACKAGES) ## Run all tests but the drills, on SQLite and on MySQL or MariaDB (20 minutes on two cores)
	$(BIN)/python -m pytest --numprocesses=$$(($$(nproc) + 2)) --dist=worksteal --ignore=tests/drills --ignore=microservices/tests/drills $(PYTEST_OPTIONS) tests/ microservices/tests/

quick: .venv/dev ## Run the tests that need no server, on SQLite (a minute)
	@$(BIN)/python -m pytest --quick -m "not slow" --quiet --numprocesses=$$(($$(nproc) + 1)) --dist=worksteal --ignore=tests/deploy --ignore=tests/drills --ignore=microservices/tests/drills tests/ microservices/tests/

coverage: ## Run them with the coverage of post/ (20 minutes)
	@$(MAKE) test PYTEST_OPTIONS=--cov=post

drills: board-drills shop-drills ## Break the database, Redis, keys and workers under load; check that nothing is lost (7 minutes)

board-drills: .venv/dev
	$(BIN)/python -m pytest -s tests/drills

shop-drills: .venv/dev
	$(BIN)/python -m pytest -s --ignore=microservices/tests/drills/test_mutations.py microservices/tests/drills

mutations: .venv/dev ## Take the microservices' safeguards away, one by one; see their tests fail (12 minutes)
	$(BIN)/python -m pytest --numprocesses=$$(nproc) microservices/tests/drills/test_mutations.py

bench: .venv/dev .venv/bench ## Measure the service against its limits (25 minutes); POSTS=100000 ROUNDS=5 SECONDS=3 ONLY=list,detail
	@$(BIN)/python bench/run.py --posts $(POSTS) --rounds $(ROUNDS) --seconds $(SECONDS) --only "$(ONLY)"

lint: .venv/dev ## Check style and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	MYPYPATH=microservices $(BIN)/mypy --package shared --package auth --package users --package notifications --package products --package orders

format: .venv/dev ## Format the code
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

docs: .venv/run ## Write docs/settings.md from config.py
	$(BIN)/python docs/write_settings.py

screenshots: .venv/dev site ## Write docs/images/, the READMEs' screenshots, from a board with made-up posts (Chromium, Node.js 20)
	$(BIN)/python docs/write_screenshots.py

requirements: .venv/dev ## Pin all packages by hash, from requirements*.in (UPGRADE=--upgrade: the newest that fit)
	for name in requirements requirements-dev requirements-checkov requirements-site; do \
		UV_CUSTOM_COMPILE_COMMAND="make requirements" $(BIN)/uv pip compile --quiet --universal --python-version 3.11 \
			--generate-hashes $(UPGRADE) --output-file $$name.txt $$name.in || exit 1; \
	done
	for name in $(PLATFORM_PINS); do \
		UV_CUSTOM_COMPILE_COMMAND="make requirements" $(BIN)/uv pip compile --quiet --universal --python-version 3.11 \
			--generate-hashes --constraint requirements-dev.txt --output-file $$name.txt $$name.in || exit 1; \
	done

clean: ## Remove what was installed and generated, but no data
	rm -rf .venv tests/site/node_modules site/node_modules site/dist .coverage* .mypy_cache .pytest_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Python 3.11 or newer is needed; name it: make PYTHON=python3.12 …"; exit 1; }
	@$(PYTHON) -m venv .venv || \
		{ rm -rf .venv; echo "Python's venv module is needed (Debian: apt install python3-venv)"; exit 1; }

.venv/run: $(BIN)/python requirements.txt
	@echo "Installing requirements.txt into .venv"
	@$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements.txt
	@touch $@

.venv/platform: $(BIN)/python microservices/requirements-local.txt
	@echo "Installing microservices/requirements-local.txt into .venv (a minute, the first time)"
	@$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r microservices/requirements-local.txt
	@touch $@

.venv/dev: .venv/run requirements-dev.txt
	@echo "Installing requirements-dev.txt into .venv"
	@$(BIN)/pip install --quiet --no-compile --disable-pip-version-check --require-hashes -r requirements-dev.txt
	@touch $@

.venv/bench: $(BIN)/python bench/requirements.txt
	@echo "Installing bench/requirements.txt into .venv/bench"
	@$(PYTHON) -m venv .venv/bench
	@.venv/bench/bin/pip install --quiet --no-compile --disable-pip-version-check -r bench/requirements.txt
	@touch $@

.venv/node: $(BIN)/python requirements-site.txt
	@echo "Installing requirements-site.txt into .venv/node"
	@$(PYTHON) -m venv .venv/node
	@.venv/node/bin/pip install --quiet --no-compile --disable-pip-version-check --require-hashes -r requirements-site.txt
	@touch $@

.venv/checkov: $(BIN)/python requirements-checkov.txt
	@echo "Installing requirements-checkov.txt into .venv/checkov"
	@$(PYTHON) -m venv .venv/checkov
	@.venv/checkov/bin/pip install --quiet --no-compile --disable-pip-version-check --require-hashes -r requirements-checkov.txt
	@touch $@

site/node_modules tests/site/node_modules: %/node_modules: %/package-lock.json
	@echo "Installing $<"
	@cd $* && npm ci --ignore-scripts --no-audit --no-fund --silent
	@touch $@
