.DEFAULT_GOAL := help
SHELL := bash
.SHELLFLAGS := -euo pipefail -c
MAKEFLAGS += --no-print-directory

.PHONY: help
help: ## Say what can be made
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-20s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: build
build: ## Build the release binary
	cargo build --release --locked

.PHONY: tools
tools: ## Bring what the tests run against (first time: minutes)
	@hack/bring-tools >/dev/null

.PHONY: test
test: ## Run all tests on real parts, which are brought if need be
	@hack/test

.PHONY: e2e
e2e: ## Run the operator's image and chart on a real node, from installation to uninstallation (needs root)
	@hack/test --workspace --test e2e

.PHONY: bench
bench: tools ## Measure speed and memory
	cargo bench --locked --workspace --bench '*'

.PHONY: demo
demo: ## Watch the operator keep an organization in step (KEEP=1: leave all running)
	@hack/demo

.PHONY: check
check: check-format check-lints check-docs check-generated check-dependencies check-scripts ## All checks that run no test

.PHONY: check-format
check-format:
	cargo fmt --all --check

.PHONY: check-lints
check-lints:
	cargo clippy --locked --workspace --all-targets -- -D warnings

.PHONY: check-docs
check-docs:
	RUSTDOCFLAGS='-D warnings' cargo doc --locked --workspace --no-deps --quiet

.PHONY: check-generated
check-generated:
	@hack/check-generated

.PHONY: check-dependencies
check-dependencies:
	@hack/check-dependencies

.PHONY: check-scripts
check-scripts:
	@hack/check-scripts

.PHONY: format
format: ## Format the code
	cargo fmt --all

.PHONY: generate
generate: ## Write the generated files anew
	@hack/check-generated --write

.PHONY: sbom
sbom: ## Write what the program is made of (CycloneDX)
	@hack/sbom

.PHONY: advisories
advisories: ## Ask the advisory database about our dependencies (needs the network)
	@hack/check-dependencies advisories

.PHONY: clean
clean: ## Remove what cargo built; the outside parts stay in their cache
	cargo clean
