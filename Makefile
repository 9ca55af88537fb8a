# Slipway's commands. `make` lists them. They need only Python 3.11 or newer and make.

PYTHON ?= python3
STAGE  ?= dev
STACK  ?=
API    ?= http://127.0.0.1:$(or $(PORT),8000)
ARGS   ?=

# The layer is built for this processor and runtime, and the functions run on them; COMPILER writes the layer's
# bytecode.
ARCHITECTURE ?= arm64
RUNTIME      ?= python3.13
COMPILER     ?= $(RUNTIME)
export ARCHITECTURE RUNTIME COMPILER
# Where AWS is, if it is not AWS.
ifdef ENDPOINT
export AWS_ENDPOINT_URL = $(ENDPOINT)
endif

export SAM_CLI_TELEMETRY = 0
# SAM's layer build runs `python3 -m pip`; the machine's own python3 may have no pip.
SAM = PATH="$(CURDIR)/.venv-sam/bin:$$PATH" sam
LOCK = .venv-lock/bin/uv pip compile --no-config --universal --python-version 3.11 --generate-hashes \
	--no-emit-index-url --no-emit-find-links --custom-compile-command "make lock" --quiet

.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: help local sam-local demo reconcile redrive test test-browser screenshots coverage crashes soak fuzz bench round-trips gate clients check lint audit types format validate build cli deploy undeploy admin relist lifetimes prove-on-aws openapi policies graphs lock clean

help: ## list the commands
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-12s %s\n", $$1, $$2 }' Makefile

local: .venv/ready ## serve the platform on http://127.0.0.1:8000 (FRESH=1, PORT=, PARAMETERS="Key=Value …")
	@exec .venv/bin/python -m local

# The processor is this machine's, unless ARCHITECTURE= names another.
sam-local: ARCHITECTURE =
sam-local: .venv/ready .venv-sam/ready ## serve the API under `sam local start-api`, in containers (PORT=3000, HOST=)
	@exec .venv/bin/python -m local.sam

demo: ## publish a template, create an environment, deploy two versions (API= for a stack on AWS)
	@$(PYTHON) examples/hello-web/demo.py $(API)

reconcile: .venv/ready ## run reconcile now (for a running `make local`)
	@.venv/bin/python -m local.reconcile

redrive: .venv/ready ## replay changes that dispatch gave up (STACK= for a stack on AWS)
	@.venv/bin/python -m local.redrive $(STACK)

test: .venv/ready .venv-sam/ready ## run every test (ARGS= for pytest's arguments, e.g. ARGS=tests/domain)
	.venv/bin/pytest $(or $(ARGS),-n 3)

# Chromium is looked for on PATH, and at $CHROMIUM.
test-browser: .venv/ready .venv-browser/ready ## test the console in Chromium (Debian: apt install chromium)
	@PYTHONPATH="$$(echo .venv-browser/lib/python*/site-packages)" \
		.venv/bin/pytest -m browser $(or $(ARGS),tests/browser)

screenshots: .venv/ready .venv-browser/ready ## take the pictures of the console in docs/images
	@PYTHONPATH="$$(echo .venv-browser/lib/python*/site-packages)" .venv/bin/python -m tests.support.screenshots

coverage: .venv/ready .venv-sam/ready ## run every test and require the coverage set in pyproject.toml
	.venv/bin/pytest -n 3 --cov

bench: .venv/ready .venv-bench/ready ## measure everything beside a FastAPI peer (ten minutes; docs/performance.md)
	.venv/bin/python -m benchmarks

round-trips: .venv/ready ## write docs/round-trips.md: the DynamoDB calls of each route
	PYTHONPATH=layers/core .venv/bin/python -m benchmarks.round_trips

gate: .venv/ready ## fail if a function's start takes more instructions (ARGS=--write records new figures)
	PYTHONPATH=layers/core .venv/bin/python -m benchmarks.gate $(ARGS)

crashes: .venv/ready ## test a crash at every call of every workflow (a quarter of an hour)
	CRASHES=all .venv/bin/pytest -n 2 tests/workflows/test_crashes.py tests/workflows/test_stack_crashes.py

soak: .venv/ready ## run 300 environments at once to their end (five minutes; ARGS="--environments 50")
	@.venv/bin/python -m benchmarks.soak $(ARGS)

# Without Node.js, the tests of the tools of npm are skipped and say so.
clients: .venv/ready .venv-clients/ready node-tools ## generate clients from the OpenAPI document, lint it, and try both
	.venv/bin/pytest $(or $(ARGS),tests/clients)

fuzz: .venv/ready .venv-clients/ready ## test a fresh platform by its OpenAPI document, 10,000 cases (ARGS="--examples 5 --seed 2")
	@.venv/bin/python -m tests.support.clients.fuzz $(ARGS)

# The gate counts instructions, which do not vary with load, so it runs beside the browser, which waits.
check: .venv-clients/ready .venv-browser/ready node-tools lint audit types test ## run everything that CI runs
	@$(MAKE) --no-print-directory --jobs=2 --output-sync=target test-browser gate
	@$(MAKE) --no-print-directory validate build
	@echo "All good."

lint: .venv/ready ## check the code with ruff, and its format
	.venv/bin/ruff check
	.venv/bin/ruff format --check

audit: .venv/ready .venv-audit/ready ## look for insecure code, templates and dependencies
	.venv-audit/bin/bandit --quiet --configfile pyproject.toml --recursive \
		cli layers functions deploy local examples
	.venv/bin/python .ci/write_template.py .slipway/audit/template.json
	.venv-audit/bin/checkov --config-file .ci/checkov.yaml --file .slipway/audit/template.json
	.venv/bin/cfn-lint --template template.yaml --regions us-east-1
	.venv-audit/bin/python .ci/audit_dependencies.py

types: .venv/ready ## check the types with mypy --strict
	.venv/bin/mypy

format: .venv/ready ## fix and format the code
	.venv/bin/ruff check --fix
	.venv/bin/ruff format

validate: .venv-sam/ready ## validate template.yaml (sam validate --lint)
	$(SAM) validate

build: .venv-sam/ready ## build the functions and the layer for AWS (ARCHITECTURE=, RUNTIME=)
	$(SAM) build --parameter-overrides Architecture=$(ARCHITECTURE) PythonRuntime=$(RUNTIME)

cli: .venv/ready ## write dist/slipway.pyz, the command line in one file
	.venv/bin/python cli/bundle.py dist/slipway.pyz

deploy: .venv-sam/ready ## check, build and deploy to AWS (STAGE=dev or prod, PARAMETERS="Key=Value …")
	@.venv-sam/bin/python -m deploy $(STAGE) --stack "$(STACK)" --parameters "$$PARAMETERS"

undeploy: .venv/ready ## destroy every environment and delete the stack (STAGE=, YES=1 to skip the question)
	@PYTHONPATH=layers/core .venv/bin/python -m deploy.undeploy $(STAGE) --stack "$(STACK)" \
		$(if $(YES),--yes)

admin: .venv/ready ## print a one-time link that makes an administrator (EMAIL=; STACK= for a stack on AWS)
	@PYTHONPATH=layers/core .venv/bin/python -m deploy.admin "$(EMAIL)" --stack "$(STACK)"

relist: .venv/ready ## put records of an earlier release into the lists (STACK= for a stack on AWS)
	@PYTHONPATH=layers/core .venv/bin/python -m deploy.relist --stack "$(STACK)"

lifetimes: .venv/ready ## give what an earlier release wrote or ended its lifetime (STACK= for a stack on AWS)
	@PYTHONPATH=layers/core .venv/bin/python -m deploy.lifetimes --stack "$(STACK)"

prove-on-aws: .venv/ready ## check on AWS what docs/aws.md calls unproven (STACK=, or ENDPOINT=; ONLY=)
	@PYTHONPATH=layers/core .venv/bin/python -m deploy.prove --stack "$(STACK)" \
		--endpoint "$(ENDPOINT)" --only "$(ONLY)"

policies: .venv/ready ## write the policies and the parameter that follow from the list of resource types
	PYTHONPATH=layers/core .venv/bin/python -m deploy.policies

openapi: .venv/ready ## write the OpenAPI document and the page of errors from the sources
	PYTHONPATH=layers/core .venv/bin/python -m slipway.http.openapi

graphs: .venv/ready ## write docs/graphs/*.svg: each state machine, from its definition
	.venv/bin/python -m deploy.graphs

lock: .venv-lock/ready ## pin the dependencies of pyproject.toml (ARGS=--upgrade for newer versions)
	$(LOCK) $(ARGS) --group dev layers/core/requirements.txt --output-file requirements.lock
	$(LOCK) $(ARGS) --group sam --output-file local/sam.lock
	$(LOCK) $(ARGS) --group audit --output-file .ci/audit.lock
	$(LOCK) $(ARGS) --constraints requirements.lock --group browser --output-file tests/browser/requirements.lock
	$(LOCK) $(ARGS) --group clients --output-file tests/support/clients/requirements.lock
	$(LOCK) $(ARGS) --constraints requirements.lock --group bench layers/core/requirements.txt \
		--output-file benchmarks/requirements.lock
	$(LOCK) --constraints requirements.lock layers/core/requirements.txt \
		--output-file layers/core/requirements.lock
	cd tests/support/clients && npm install --package-lock-only --omit-lockfile-registry-resolved --ignore-scripts

clean: ## remove everything that these commands created
	rm -rf .venv .venv-sam .venv-audit .venv-bench .venv-browser .venv-clients .venv-lock .aws-sam .slipway .coverage .coverage.*
	rm -rf benchmarks/results .pytest_cache .mypy_cache .ruff_cache .hypothesis dist
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# Each venv is ready when its last step is done. An interrupted one is created again.
.venv/ready: requirements.lock
	$(call make_venv,.venv,--no-deps --require-hashes --requirement requirements.lock)

.venv-sam/ready: local/sam.lock
	$(call make_venv,.venv-sam,--no-deps --require-hashes --requirement local/sam.lock)

.venv-audit/ready: .ci/audit.lock
	$(call make_venv,.venv-audit,--no-deps --require-hashes --requirement .ci/audit.lock)

.venv-bench/ready: benchmarks/requirements.lock
	$(call make_venv,.venv-bench,--no-deps --require-hashes --requirement benchmarks/requirements.lock)

.venv-browser/ready: tests/browser/requirements.lock
	$(call make_venv,.venv-browser,--no-deps --require-hashes --requirement tests/browser/requirements.lock)

.venv-clients/ready: tests/support/clients/requirements.lock
	$(call make_venv,.venv-clients,--no-deps --require-hashes --requirement tests/support/clients/requirements.lock)

.PHONY: node-tools
ifneq ($(shell command -v npm),)
node-tools: .slipway/node/ready
else
node-tools:
	@echo "npm is not installed: the checks by TypeScript, Redocly and Spectral are skipped." >&2
endif

.slipway/node/ready: tests/support/clients/package-lock.json
	@mkdir -p $(@D)
	@cp tests/support/clients/package.json tests/support/clients/package-lock.json $(@D)
	@echo "Installing tools of npm, this once: half a minute"
	@cd $(@D) && npm ci --ignore-scripts --no-audit --no-fund --loglevel=error > /dev/null
	@touch $@

.venv-lock/ready: Makefile
	$(call make_venv,.venv-lock,uv==0.13.9)

# make_venv FOLDER WHAT-PIP-INSTALLS. Byte-compiling apart from pip, on all cores, saves a quarter
# of the time.
define make_venv
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
		echo "Slipway needs Python 3.11 or newer, and $(PYTHON) is not one. Name one that is:" \
			"make $(MAKECMDGOALS) PYTHON=python3.12" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
		echo "$(PYTHON) cannot make virtual environments; on Debian or Ubuntu:" \
			"apt install python3-venv" >&2; exit 1; }
	@echo "Making $(1) with $$($(PYTHON) --version)"
	@$(PYTHON) -m venv --clear $(1)
	@echo "Installing $(lastword $(2)), this once: about a minute"
	@$(1)/bin/python -m pip install -qq --disable-pip-version-check --no-compile $(2)
	@$(1)/bin/python -m compileall -qq -j 0 $(1)/lib || true
	@touch $@
endef
