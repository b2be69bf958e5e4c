# Pellucid. `make demo` shows it at work; `make test` runs every test.
SHELL := /bin/bash
.DELETE_ON_ERROR:

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMPS := build/stamps
COMPILED := build/compiled

# What the build needs, and what the tests use as real programs, from the distribution.
BUILD_PACKAGES := clang clang-format llvm gcc libbpf-dev libelf-dev zlib1g-dev pkg-config linux-libc-dev \
	python3-dev python3-venv libssl-dev openssl curl protobuf-compiler
TEST_PACKAGES := jq nftables zstd nginx apache2 apache2-utils nghttp2-client wrk tshark strace gdb iproute2 \
	bsdextrautils libmariadb3 mariadb-server-core postgresql sysbench zsh tcpdump libpcap0.8 libreadline-dev
JAVA_PACKAGES := openjdk-17-jdk-headless libpostgresql-jdbc-java libmariadb-java
KERNEL_PACKAGES := qemu-system-x86 busybox-static kmod iproute2
SOURCES := $(shell find src bpf -name '*.c' -o -name '*.h') src/pellucid/libbpf/build.py
C_SOURCES := $(shell find src bpf tests bench -name '*.c' -o -name '*.h')

.PHONY: help demo test targets-big often servers unit compiled setup bpf lint format bench kernels dist clean

# List these targets.
help:
	@awk '/^# / {text = substr($$0, 3)} /^[a-z-]+:/ {split($$1, t, ":"); if (text) printf "%-11s %s\n", t[1], text} !/^# / {text = ""}' Makefile

# Watch a real HTTPS exchange in plain text: sets up, captures, ends by itself.
demo: setup
	@$(BIN)/python tools/demo.py

# Run every test, those that need root and real programs too.
test: setup $(STAMPS)/test-packages
	@$(BIN)/python -m pytest

# Watch Bun, Chromium and Envoy, whose TLS has no symbols, and import HAR in Chromium (downloads some 250 MB the first time).
targets-big: setup $(STAMPS)/test-packages
	@$(BIN)/python -m pytest -m big

# Decrypt what each program says fifty times over, where `make test` does it five times (about two minutes).
often: setup $(STAMPS)/test-packages
	@$(BIN)/python -m pytest -m long

# Watch PostgreSQL 13 to 18, MySQL and MariaDB of other releases, and clients in Java (downloads some GB the first time).
servers: setup $(STAMPS)/test-packages $(STAMPS)/java-packages
	@$(BIN)/python -m pytest -m servers

# Run the tests that need neither root nor real programs.
unit: setup
	@$(BIN)/python -m pytest -m "not kernel and not compiled"

# Run the tests of parsers and of recordings with the wheel, whose hot path is compiled.
compiled: setup $(STAMPS)/compiled
	@$(COMPILED)/bin/python -m pytest -m "not big and not long and not interpreted" tests/test_compiled.py tests/parse tests/join tests/test_replay.py

# Install what is missing and build: the command is then .venv/bin/pellucid.
setup: $(STAMPS)/built

# Compile the BPF objects and the native binding again, after a change to C.
bpf: $(STAMPS)/built

# Check style, types and formatting of everything.
lint: setup
	@$(BIN)/ruff check
	@$(BIN)/ruff format --check
	@$(BIN)/mypy
	@clang-format --dry-run --Werror $(C_SOURCES)

# Put everything into the project's format.
format: setup
	@$(BIN)/ruff check --fix --quiet; $(BIN)/ruff format
	@clang-format -i $(C_SOURCES)

# Measure what capturing costs (about eight minutes).
bench: setup $(STAMPS)/test-packages $(STAMPS)/compiled
	@$(BIN)/python bench/nginx.py
	@$(BIN)/python bench/keylog.py
	@$(BIN)/python bench/rate.py
	@$(BIN)/python bench/packets.py
	@$(BIN)/python bench/replay.py --beside $(COMPILED)/bin/python
	@$(BIN)/python bench/others.py
	@$(BIN)/python bench/sql.py
	@$(BIN)/python bench/shells.py

# Run the most telling tests under other kernels, in QEMU (about ten minutes a kernel without KVM).
kernels: setup $(STAMPS)/kernel-packages
	@$(BIN)/python tools/kernels.py

# Build the wheel and the source archive.
dist: setup
	@$(BIN)/python -m build --no-isolation

# Remove everything that was built.
clean:
	rm -rf build dist $(VENV)

$(STAMPS)/build-packages: tools/packages Makefile
	@tools/packages $(BUILD_PACKAGES)
	@mkdir -p $(@D) && touch $@

$(STAMPS)/test-packages: tools/packages Makefile
	@tools/packages $(TEST_PACKAGES)
	@mkdir -p $(@D) && touch $@

$(STAMPS)/java-packages: tools/packages Makefile
	@tools/packages $(JAVA_PACKAGES)
	@mkdir -p $(@D) && touch $@

$(STAMPS)/kernel-packages: tools/packages Makefile
	@tools/packages $(KERNEL_PACKAGES)
	@$(BIN)/python -m pip install --quiet virtme-ng
	@mkdir -p $(@D) && touch $@

$(STAMPS)/venv: $(STAMPS)/build-packages pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Pellucid needs Python 3.11 or newer; name one with make PYTHON=...")'
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "Installing Python packages into $(VENV)"
	@$(BIN)/python -m pip install --quiet --upgrade "pip>=25.1"
	@$(BIN)/python -m pip install --quiet "scikit-build-core>=0.10" "cffi>=1.17" "cmake>=3.26" ninja "mypy[mypyc]>=2.4" build
	@$(BIN)/python -m pip install --quiet --group dev
	@mkdir -p $(@D) && touch $@

$(STAMPS)/built: $(STAMPS)/venv $(SOURCES) CMakeLists.txt
	@echo "Building the BPF objects and the native binding"
	@$(BIN)/python -m pip install --quiet --no-build-isolation --editable .
	@touch $@

# The wheel in a venv of its own, beside what the tests need from the other one.
$(STAMPS)/compiled: $(STAMPS)/built $(shell find src -name '*.py') tools/compiled.py
	@echo "Building the wheel and installing it into $(COMPILED)"
	@rm -rf $(COMPILED) build/wheel
	@$(BIN)/python -m pip wheel --quiet --no-build-isolation --no-deps --wheel-dir build/wheel .
	@$(BIN)/python -m venv --without-pip $(COMPILED)
	@$(BIN)/python -m pip --python $(COMPILED) install --quiet --no-deps build/wheel/*.whl
	@realpath $(BIN)/../lib/python3*/site-packages >"$$(echo $(COMPILED)/lib/python3*/site-packages)/tests.pth"
	@touch $@
