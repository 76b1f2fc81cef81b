# vcs-agent and vcs-gateway. `make help` lists the targets.

VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo devel)
LDFLAGS := -s -w -X vcsagent/cmd/internal/cli.version=$(VERSION)
GOBUILD := CGO_ENABLED=0 go build -trimpath -ldflags '$(LDFLAGS)'

.DEFAULT_GOAL := build

.PHONY: help
help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "%-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: build
build: ## build bin/vcs-agent and bin/vcs-gateway
	$(GOBUILD) -o bin/ ./cmd/vcs-agent ./cmd/vcs-gateway

.PHONY: demo
demo: build ## show the whole path here; ONCE=1 exits after the calls, TARGET=URL VENDOR=… uses your VCS
	@command -v git >/dev/null && command -v curl >/dev/null || ./test/setup.sh
	@ONCE='$(ONCE)' TARGET='$(TARGET)' VENDOR='$(VENDOR)' go run ./test/demo
