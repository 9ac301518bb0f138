# The two commands of the README: `make demo` and `make test`. Each makes its own environment in .venv.

PYTHON ?= python3
BIN := .venv/bin
READY := .venv/.ready

# Build of PyTorch: empty for the one on PyPI, which has CUDA; else a torch backend of uv: cpu, cu130, auto, ...
# The environment remembers it, so that `make test` after `make demo TORCH=cpu` installs nothing else.
INSTALLED_TORCH := $(shell cat .venv/.torch 2>/dev/null)
TORCH ?= $(INSTALLED_TORCH)
ifneq ($(TORCH),$(INSTALLED_TORCH))
.PHONY: $(READY)
endif
# The lock has what PyPI's build needs of CUDA; any other build brings its own.
CONSTRAINTS := $(if $(TORCH),grep -vE '^(cuda|nvidia|triton)[a-z0-9-]*==',cat) requirements.lock
# Another build has the same version, so that nothing would be installed if it were not asked for.
REBUILT := $(if $(TORCH)$(INSTALLED_TORCH),--reinstall-package torch --reinstall-package torchvision)
BACKEND := $(if $(TORCH),--torch-backend $(TORCH)) $(REBUILT)

# Bytecode is made at once of what commands and stages import. Of all that is installed it would take five times as long,
# and without it each of the first processes, or each of all where no bytecode may be written, takes seconds more.
LIBRARY_IMPORTS := torch._dynamo, torch.utils.tensorboard, pyarrow.parquet, pandas, matplotlib.figure, \
	ui2i.training.loop, ui2i.translation, ui2i.metrics.evaluation, ui2i.datasets.ingest, ui2i.curves
FLOW_IMPORTS := cli.app, flows.demo, flows.services.session, uvicorn, rich.table, prefect.server.api.server, \
	dvc.cli, dvc.repo, dvc.commands.repro, dvc.commands.status, dvc.repo.reproduce
compile = env -u PYTHONDONTWRITEBYTECODE OMP_NUM_THREADS=1 $(BIN)/python -W ignore -c "import $(1)"

.PHONY: help demo test test-slow test-faults check docs bench format lock constraints clean
.DEFAULT_GOAL := help

help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/  make \1@\2/' | column -t -s @

$(READY): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "error: $(PYTHON) is older than 3.11; name a newer one: make PYTHON=python3.12 $(MAKECMDGOALS)" >&2; exit 2; }
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check uv
	$(CONSTRAINTS) | $(BIN)/uv pip install --quiet --requirement - $(BACKEND) --python $(BIN)/python
	$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --editable .
	@$(call compile,$(LIBRARY_IMPORTS)) & $(call compile,$(FLOW_IMPORTS)); wait
	$(BIN)/python -m compileall -q ui2i tasks flows cli experiments
	@printf '%s' '$(TORCH)' > .venv/.torch
	@touch $@

demo: $(READY) ## one artist's avatars to another's, from images to translations, offline; ends with a table and a contact sheet
	$(BIN)/ui2i demo

test: $(READY) ## the whole test suite except the slow marker
	env -u PYTHONDONTWRITEBYTECODE $(BIN)/python -m pytest -m "not slow and not faults" --numprocesses 2 --dist loadfile

test-slow: $(READY) ## the tests that take minutes
	$(BIN)/python -m pytest -m slow

test-faults: $(READY) ## kill a pipeline at 30 random moments and compare its outputs
	$(BIN)/python -m pytest -m faults -s

check: $(READY) ## ruff, mypy, import contracts
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

docs: $(READY) ## the documentation as a site, in site/
	$(BIN)/zensical build --strict --clean

bench: $(READY) ## every benchmark except the one against peers, which needs checkouts of their code
	for file in $(filter-out benchmarks/bench_peers.py,$(wildcard benchmarks/bench_*.py)); do $(BIN)/python $$file || exit 1; done

format: $(READY) ## let ruff fix what it can
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

lock: $(READY) ## pin every package again, without index addresses
	$(BIN)/python -m pip install --quiet uv
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --extra dev \
		--custom-compile-command "make lock" pyproject.toml -o requirements.lock

constraints: # what the Dockerfile installs, for the same TORCH
	@$(CONSTRAINTS)

clean: ## remove the environment; data stays
	rm -rf .venv
