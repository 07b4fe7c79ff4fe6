.DEFAULT_GOAL := help
SHELL := bash
.SHELLFLAGS := -euo pipefail -c
MAKEFLAGS += --no-print-directory
# Random cases are the same in each run; another number asks for others.
export PROPTEST_RNG_SEED ?= 1

.PHONY: help
help: ## List the targets
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "  make %-20s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: build
build: ## Build the release binary
	cargo build --release --locked

.PHONY: tools
tools: ## Install what the tests run against (first time: minutes)
	@hack/bring-tools >/dev/null

.PHONY: unit
unit: ## Run the tests that need no outside parts (seconds, after the build)
	cargo test --locked --workspace --lib --bins --test core -- --skip lab::

.PHONY: test
test: ## Run all tests, on real parts, which are installed if they are missing
	@hack/test

.PHONY: integration
integration: ## Run all tests except e2e
	@hack/test --workspace -- --skip an_operator_installed_by_helm

.PHONY: e2e
e2e: ## Test the operator's image and chart on a real node, from installation to uninstallation (needs root)
	@hack/test --package directory-sync-operator --test e2e

.PHONY: test-gitops
test-gitops: ## Test with Flux and Argo CD themselves, which are built first (minutes; needs root)
	@hack/bring-tools flux-source-controller flux-kustomize-controller flux-helm-controller flux-source-crds flux-kustomize-crds flux-helm-crds flux-notification-controller flux-notification-crds argo-cd argo-cd-crds redis git >/dev/null
	@hack/test --package directory-sync-operator --test gitops_tools

.PHONY: bench
bench: tools ## Measure speed and memory
	cargo bench --locked --workspace --bench '*'

.PHONY: demo
demo: ## Show the operator at work (KEEP=1: leave everything running)
	@hack/demo

.PHONY: check
check: check-format check-lints check-docs check-generated check-dependencies check-scripts check-site ## All checks that run no test

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

.PHONY: check-site
check-site: site

.PHONY: site
site: ## Build the site of the documentation, and check its links
	@hack/site

.PHONY: format
format: ## Format the code
	cargo fmt --all

.PHONY: generate
generate: tools ## Write the generated files
	@hack/check-generated --write
	UPDATE_GENERATED=1 cargo test --locked --test generated --test chart

.PHONY: bundle
bundle: ## Write image, chart, CRD, documentation and checksums into one folder, for a cluster without internet
	@hack/bundle "$(or $(BUNDLE),$${CARGO_TARGET_DIR:-target}/bundle)"

.PHONY: sbom
sbom: ## Write the software bill of materials (CycloneDX)
	@hack/sbom

.PHONY: check-policies
check-policies: ## Check the rendered chart with checkov, where that is installed
	@hack/check-policies

.PHONY: advisories
advisories: ## Check the dependencies against the advisory database (needs the network)
	@hack/check-dependencies advisories

.PHONY: try-fresh
try-fresh: ## Run `make demo` and `make test` as on a new machine (an hour)
	@hack/try-fresh

.PHONY: clean
clean: ## Remove what cargo built; the outside parts stay in the cache
	cargo clean
