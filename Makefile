# Everything a developer or CI runs. `make help` lists it.

GO            ?= go
BIN           := bin
GOLANGCI      := github.com/golangci/golangci-lint/v2/cmd/golangci-lint@v2.15.0
FUZZTIME      ?= 60s
TESTTIMEOUT   ?= 9m
RACEPKGS      ?= ./...
# The release binary is static: no C library is needed where it runs.
BUILD         := CGO_ENABLED=0 $(GO) build -trimpath

.PHONY: help
help: ## list the targets
	@awk -F':.*## ' '/^[a-z-]+:.*## /{printf "  %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: build
build: ## build bin/vcomd
	@mkdir -p $(BIN)
	$(BUILD) -o $(BIN)/vcomd ./cmd/vcomd

.PHONY: deps
deps: ## install what the tests need (apt, with sudo when not root)
	@scripts/deps.sh

.PHONY: test
test: deps ## install what the tests need, then run all of them
	VCOMD_TEST_REQUIRE=$${VCOMD_TEST_REQUIRE:-all} $(GO) test -count=1 -timeout $(TESTTIMEOUT) ./...

.PHONY: race
race: deps ## all tests under the race detector, then on one processor
	VCOMD_TEST_REQUIRE=all $(GO) test -race -timeout 30m $(RACEPKGS)
	VCOMD_TEST_REQUIRE=all GOMAXPROCS=1 $(GO) test -count=1 -timeout 30m $(RACEPKGS)

.PHONY: stress
stress: deps ## everything twenty times, under the race detector and on one processor
	VCOMD_TEST_REQUIRE=all $(GO) test -race -count=20 -timeout 120m ./...
	VCOMD_TEST_REQUIRE=all GOMAXPROCS=1 $(GO) test -count=20 -timeout 120m ./...

.PHONY: soak
soak: deps ## thousands of network faults in three minutes: memory, descriptors, goroutines
	VCOMD_SOAK=1 VCOMD_TEST_REQUIRE=all $(GO) test -count=1 -v -timeout 6m -run 'TestSoak|TestFaultsLeaveNoGoroutine' ./test/integration

.PHONY: test-vm
test-vm: ## what needs a kernel of its own: Debian's in QEMU, ten minutes at most; UPDATE=1 rewrites its table in docs
	@scripts/deps.sh vm
	VCOMD_VM=1 VCOMD_VM_UPDATE=$(UPDATE) $(GO) test -count=1 -v -timeout 11m -run '^TestVM$$' ./test/vm

.PHONY: lint
lint: ## gofumpt, vet, and the linters of .golangci.yml
	$(GO) mod tidy -diff
	$(GO) run $(GOLANGCI) run ./...

.PHONY: fuzz
fuzz: ## run every fuzz target for FUZZTIME (60s)
	@scripts/fuzz.sh $(FUZZTIME)

.PHONY: bench
bench: deps build ## compare vcomd side by side with socat, gensiot, ser2net
	@scripts/bench.sh

.PHONY: demo
demo: build ## see NMEA sentences arrive through a virtual serial port
	@scripts/demo.sh $(BIN)/vcomd

.PHONY: dist
dist: ## static binaries for amd64, arm64 and arm in dist/
	@mkdir -p dist
	GOOS=linux GOARCH=amd64 $(BUILD) -ldflags='-s -w' -o dist/vcomd-linux-amd64 ./cmd/vcomd
	GOOS=linux GOARCH=arm64 $(BUILD) -ldflags='-s -w' -o dist/vcomd-linux-arm64 ./cmd/vcomd
	GOOS=linux GOARCH=arm GOARM=6 $(BUILD) -ldflags='-s -w' -o dist/vcomd-linux-arm ./cmd/vcomd

.PHONY: packages
packages: ## Debian and RPM packages for amd64, arm64 and arm in dist/
	@scripts/packages.sh

.PHONY: install
install: build ## install the binary, units, manual pages and an example; DESTDIR and PREFIX (/usr/local) say where
	@BIN=$(BIN) packaging/install.sh install

.PHONY: uninstall
uninstall: ## take away what install has installed; an edited configuration stays
	@BIN=$(BIN) packaging/install.sh uninstall

.PHONY: clean
clean: ## remove what the build made
	rm -rf $(BIN) dist bench-results
