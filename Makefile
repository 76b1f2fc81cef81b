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

# Packages that start the real programs and measure time run by themselves,
# so that nothing else takes their processors.
PROCESS_PKGS := ./test/e2e ./test/network ./test/docs
TEST := go test -race -shuffle=on -timeout 30m

.PHONY: test
test: setup build lint ## install what the tests need, run everything
	$(TEST) $$(go list ./... | grep -v -F -x $(foreach p,$(PROCESS_PKGS),-e vcsagent/$(p:./%=%)))
	$(TEST) -p 1 $(PROCESS_PKGS)
	go test -run '^TestLargeBodies$$' ./transport # 1 GiB each way: without the race detector
	cd test/clients && $(TEST) -count 1 ./... # go test doesn't see that the programs changed
	cd test/browser && $(TEST) -count 1 ./...
	cd test/helm && $(TEST) ./...
	$(MAKE) fuzz FUZZ=20000x
	$(MAKE) demo ONCE=1

.PHONY: test-long
test-long: setup build lint ## the same with larger numbers
	VCSAGENT_LONG=1 $(TEST) -p 1 -count 1 ./...
	go test -count 1 -run '^TestLargeBodies$$' ./transport
	cd test/clients && $(TEST) -count 1 ./...
	cd test/browser && $(TEST) -count 1 ./...
	cd test/helm && $(TEST) -count 1 ./...
	$(MAKE) fuzz FUZZ=300000x

.PHONY: setup
setup: ## install what the tests need from Debian's packages
	./test/setup.sh

.PHONY: lint
lint: ## formatting, vet, staticcheck, tidy modules
	@test -z "$$(gofmt -l .)" || { gofmt -l .; echo 'gofmt would change these files'; exit 1; }
	go tool -modfile=test/lint/go.mod staticcheck ./...
	for m in . test/clients test/browser test/helm; do (cd $$m && go vet ./... && go mod tidy -diff) || exit 1; done

# Counted, not timed: one that a deadline ends can fail for that alone
# (golang/go#75804).
FUZZ ?= 100000x
.PHONY: fuzz
fuzz: ## each fuzz test on FUZZ inputs
	@set -e; for pkg in ./allow ./transport ./agent ./cmd/internal/privateurl; do \
	  for f in $$(go test -list '^Fuzz' $$pkg | grep ^Fuzz); do \
	    go test -run '^$$' -fuzz "^$$f\$$" -fuzztime $(FUZZ) -fuzzminimizetime 10x $$pkg; \
	  done; \
	done

.PHONY: bench
bench: build ## the whole path beside a chain of two plain reverse proxies
	go run ./test/bench
