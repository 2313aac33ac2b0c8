# SPDX-License-Identifier: Apache-2.0

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

VERSION ?= v0.1.0
export CGO_ENABLED ?= 0
GO ?= go
TOOL := $(GO) tool -modfile=hack/tools/go.mod
GOBUILD := $(GO) build -trimpath -ldflags "-s -w -X metallb.io/metallb-frr/pkg/telemetry.Version=$(VERSION)"
LAB := out/bin/lab
NAME ?= dev
NODES ?= 3
ROUTERS ?= 2

##@ Start here

.PHONY: demo
demo: lab-ready ## A cluster with two routers on this machine: a Service from <pending> to ECMP, and a power cut. KEEP=0 removes it at the end
	out/bin/demo -keep=$(or $(KEEP),1)

.PHONY: test
test: ## Everything, once: what CI runs. Installs what it needs
	hack/test all

##@ Quick loops

.PHONY: unit
unit: ## The tests that need nothing but Go
	$(GO) test ./pkg/... ./cmd/... ./frr-templates/... ./deploy ./e2e/product ./e2e/wire

.PHONY: e2e
e2e: lab-ready ## The cluster scenarios; RUN=<regexp> chooses
	$(GO) test ./e2e/scenarios -count=1 -timeout 30m $(if $(RUN),-run '$(RUN)')

.PHONY: soak
soak: lab-ready ## The full counts, for a night
	METALLB_SOAK=1 $(GO) test ./e2e/... ./pkg/... -count=1 -timeout 12h

.PHONY: bench
bench: lab-ready ## Figures: BENCH=<name> runs one; results also in out/bench/<name>.json
	$(if $(filter-out frr,$(BENCH)),,deploy/images/build frr-reload)
	out/bin/bench $(BENCH)

.PHONY: lint
lint: ## go vet, golangci-lint, generated files up to date
	hack/lint

.PHONY: generate
generate: ## CRDs, deepcopy, chart copies, reference docs, manifests
	hack/generate
	deploy/manifests/generate

##@ The lab

.PHONY: lab-up
lab-up: lab-ready ## A cluster that stays: NAME=dev NODES=3 ROUTERS=2; prints the KUBECONFIG
	$(LAB) up -name $(NAME) -nodes $(NODES) -routers $(ROUTERS)

.PHONY: lab-down
lab-down: ## Remove it
	$(LAB) down -name $(NAME)

.PHONY: lab-shell
lab-shell: ## A shell inside it, with KUBECONFIG and PATH set
	$(LAB) shell -name $(NAME)

##@ Parts

.PHONY: install
install: ## Debian packages that build and tests need
	hack/install

.PHONY: bin
bin: ## controller, speaker and the lab's programs into out/bin
	mkdir -p out/bin
	$(GOBUILD) -o out/bin/ ./cmd/... ./e2e/lab/cmd/lab ./e2e/demo ./e2e/bench

.PHONY: kube
kube: ## Kubernetes, etcd and helm into out/kube, from the Go module proxy
	hack/kube

.PHONY: images
images: ## Container images into out/images, with or without a container engine
	deploy/images/build
	$(GO) run ./e2e/lab/cmd/lab app-images

.PHONY: lab-ready
lab-ready: install kube images bin

.PHONY: clean
clean: ## Remove what was built
	rm -rf out

.PHONY: help
help: ## This text
	@awk 'BEGIN {FS = ":.*## "} /^##@/ {printf "\n%s\n", substr($$0, 5)} /^[a-z0-9-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
