# vcs-agent and vcs-gateway. `make help` lists the targets.

VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo devel)
LDFLAGS := -s -w -X vcsagent/cmd/internal/cli.version=$(VERSION)
GOBUILD := CGO_ENABLED=0 go build -trimpath -ldflags '$(LDFLAGS)'

.DEFAULT_GOAL := build
.PHONY: build
build: ## build bin/vcs-agent and bin/vcs-gateway
	$(GOBUILD) -o bin/ ./cmd/vcs-agent ./cmd/vcs-gateway
