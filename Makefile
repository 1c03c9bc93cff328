# Two commands matter: `make run` and `make test`. Both install what they need and say each step.
# PART=name picks one part of `make test-long`; WHAT=name one section of `make bench`.

SETUP := bash .ci/setup
PY := .venv/bin/python
ARGS ?=

.PHONY: help run test test-long bench check fmt sbom wheel clean

help:
	@sed -n 's/^##//p' Makefile

## make run        build what changed and start `sotto dev` (ARGS="--lan" for phones on the network)
run:
	@$(SETUP) run
	@exec .venv/bin/sotto dev $(ARGS)

## make test       everything that must hold at each change
test:
	@$(SETUP) test
	@$(PY) .ci/suites.py test $(if $(ONLY),--only $(ONLY))

## make test-long  names its parts: soaks, long fuzzing, many seeds; PART=soak runs one
test-long:
	@$(SETUP) test
	@$(PY) .ci/suites.py long $(if $(PART),--only $(PART),--list)

## make check      formatters, linters, types, import rules and size bounds only
check:
	@$(SETUP) test
	@$(PY) .ci/suites.py test --only check

## make bench      speed and memory beside a peer and a limit (WHAT=video|audio|meeting|loss|join|data|memory|idle,
##                 store|access|requests|logins|sockets|revocation|sync|crowd|history)
bench:
	@$(SETUP) bench
	@$(PY) bench/run.py $(WHAT) $(ARGS)

## make fmt        format everything
fmt:
	@$(SETUP) test
	@.venv/bin/ruff format . && .venv/bin/ruff check --fix -q . || true
	@cd mediaserver/engine && cargo fmt
	@cd web && npx prettier --log-level warn --write .

## make sbom       what a release is made of (CycloneDX), in dist/sbom/
sbom:
	@$(SETUP) test
	@$(PY) .ci/sbom.py

## make wheel      the wheel alone, in dist/
wheel:
	@$(SETUP) wheel

clean:
	rm -rf .venv .make dist web/node_modules web/dist
