# The verbs of this project; CI uses the same ones. `make help` lists them.
#
#   make test PYTHON=python3.12 VENV=.venv-3.12     another interpreter
#   make test-cpp CTEST="-R arena"                  some tests only
#   make test-python PYTEST="-k queue -x"           or PYTEST=tests/python/test_queue.py

PYTHON ?= python3
VENV ?= .venv
JOBS ?= $(shell nproc)

BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet
CPP_FILES = $(wildcard $(shell git ls-files -co --exclude-standard '*.cpp' '*.hpp'))

# The venv comes first: pip brings cmake and ninja where the system has none, or too old ones.
export PATH := $(CURDIR)/$(BIN):$(PATH)
# Lets the trees under build/ share what they compile.
export CCACHE_BASEDIR := $(CURDIR)
export CCACHE_NOHASHDIR := 1

HAVE_CMAKE := $(shell cmake --version 2>/dev/null | sed -n 's/^cmake version //p' \
                | xargs printf '3.23\n%s\n' | sort -VC && command -v ninja)
CMAKE_READY := build/.system $(if $(HAVE_CMAKE),,$(BIN)/.cmake)

.PHONY: help
help: ## list the verbs
	@sed -n 's/^\([a-z0-9-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 14

.PHONY: setup
setup: $(CMAKE_READY) $(BIN)/.test $(BIN)/.lint ## install what the other verbs need

.PHONY: build build-cpp build-python
build: build-cpp build-python ## build the C++ library and examples, and the Python package into .venv

build-cpp: build/release/build.ninja
	cmake --build --preset release

build-python: build/.editable-$(notdir $(VENV))
	@set -e; \
	tree=build/$$($(BIN)/python -c 'import sys; print(sys.implementation.cache_tag)'); \
	site=$$($(BIN)/python -c 'import sysconfig; print(sysconfig.get_path("platlib"))'); \
	cmake --build "$$tree"; \
	cmake --install "$$tree" --component python --prefix "$$site" >/dev/null

.PHONY: test test-cpp test-python test-apps test-clang test-aarch64 test-asan test-tsan
test: test-cpp test-python ## run the C++ and the Python tests

test-cpp: build-cpp ## run the C++ tests; needs no Python headers
	ctest --preset release -j $(JOBS) $(CTEST)

test-python: build-python ## run the Python tests, modules side by side
	$(BIN)/python tests/side_by_side.py -- $(PYTEST)

test-apps: build-python $(BIN)/.apps ## run other people's programs under `forkful run`
	$(BIN)/python -m pytest tests/apps $(PYTEST)

test-clang: $(CMAKE_READY) ## build the unit tests with clang and run them [ROOMS="sync arena"]
	@if tools/clang >/dev/null; then $(MAKE) --no-print-directory run-clang; \
		else echo "clang 16 or newer was not found: its unit tests did not run"; fi

test-aarch64: $(CMAKE_READY) build/.system-aarch64 ## cross compile the unit tests for AArch64; qemu-user runs them [ROOMS="sync arena"]
	@missing=$$(tools/missing-for-aarch64); \
	if [ -z "$$missing" ]; then $(MAKE) --no-print-directory run-aarch64; \
		else echo "AArch64's unit tests did not run; there is no:" $$missing; fi

.PHONY: run-clang run-aarch64
run-clang run-aarch64: run-%: build/%/build.ninja
	cmake --build --preset $* $(if $(ROOMS),--target $(addprefix unit_,$(ROOMS)))
	ctest --preset $* -j $(JOBS) $(if $(ROOMS),-L "^($$(echo $(ROOMS) | tr ' ' '|'))$$") $(CTEST)

test-asan: build/asan-ubsan/build.ninja ## run the unit tests under the address and undefined sanitizers
	cmake --build --preset asan-ubsan
	ctest --preset asan-ubsan -j $(JOBS) $(CTEST)

# Why setarch: gcc 12's ThreadSanitizer refuses the layouts of kernels that randomise more bits.
test-tsan: build/tsan/build.ninja ## run the unit tests under the thread sanitizer
	cmake --build --preset tsan
	$$(setarch -R true 2>/dev/null && echo setarch -R) ctest --preset tsan -j $(JOBS) $(CTEST)

# The package is built for the same version by a venv of that; PY itself is copied, not changed.
VERSION_OF := -c 'import sys; print("%d.%d" % sys.version_info[:2])'
.PHONY: conformance run-conformance
conformance: ## run CPython's own suites: make conformance [PY=python3.12] [ONLY="fork main"] [TESTS="Queue Pool"] [IF_THERE=1]
	@set -e; py="$(or $(PY),$(PYTHON))"; version=$$("$$py" $(VERSION_OF)); \
	if [ "$$version" = "$$($(PYTHON) $(VERSION_OF))" ]; \
		then with="PYTHON=$(PYTHON) VENV=$(VENV)"; \
		else with="PYTHON=$$py VENV=.venv-$$version"; fi; \
	$(MAKE) --no-print-directory run-conformance PY="$$py" $$with

run-conformance: folder = build/conformance/$(notdir $(VENV))
run-conformance: $(BIN)/.test $(CMAKE_READY)
	rm -rf $(folder)
	$(PIP) wheel --no-build-isolation --no-deps --wheel-dir $(folder)/wheel . \
		--config-settings=cmake.define.FORKFUL_STRICT=ON
	$(PIP) install --no-deps --target $(folder)/package $(folder)/wheel/*.whl
	tests/conformance/run --python "$(PY)" --package $(folder)/package \
		$(if $(IF_THERE),--if-there,--page) \
		--jobs $(if $(filter command environment,$(firstword $(origin JOBS))),$(JOBS),3) \
		$(if $(ONLY),--only "$(ONLY)") $(if $(TESTS),--tests $(TESTS))

# Short ones are among the tests. A failure says how to repeat it.
.PHONY: chaos
chaos: build ## kill storms, side by side: make chaos SECONDS=60 [SEED=1] [STORM=queue]
	$(BIN)/python tests/chaos/run --seconds $(or $(SECONDS),60) $(if $(SEED),--seed $(SEED)) \
		$(if $(STORM),--only "$(STORM)")

# Short turns are among the C++ tests. Without clang's libFuzzer the inputs are mutated blindly.
.PHONY: fuzz
fuzz: build-python build/fuzz/build.ninja ## run the fuzzers: make fuzz SECONDS=60 [SEED=1] [FUZZER=ring]
	cmake --build --preset fuzz
	$(BIN)/python tests/fuzz/run --seconds $(or $(SECONDS),60) $(if $(SEED),--seed $(SEED)) \
		$(if $(FUZZER),--only $(FUZZER))

# Short runs are among the C++ tests. A failure says how to repeat it.
.PHONY: models
models: build/release/build.ninja ## random operations beside plain models: make models [OPERATIONS=100000] [DEATHS=1000] [SEED=1] [MODEL=heap]
	cmake --build --preset release --target model_tests
	FORKFUL_OPERATIONS=$(or $(OPERATIONS),100000) FORKFUL_DEATHS=$(or $(DEATHS),1000) \
		$(if $(SEED),FORKFUL_SEED=$(SEED)) build/release/tests/model_tests --gtest_filter="*$(MODEL)*"

# Some thousands are among the C++ tests.
.PHONY: schedules
schedules: build/release/build.ninja ## explore interleavings: make schedules SEEDS=100000 [SEED=0] [PROTOCOL=owner_word]
	cmake --build --preset release --target run_schedules
	build/release/tests/run_schedules $(or $(PROTOCOL),all) --seeds $(or $(SEEDS),100000) \
		--seed $(or $(SEED),0)

.PHONY: bench demo
bench: build-python build/bench/build.ninja $(BIN)/.bench ## run the benchmarks
	cmake --build --preset bench
	bench/run

demo: build-python build/release/build.ninja $(BIN)/.bench ## run the demonstration
	demo/run

# Each check is a verb of its own, for .pre-commit-config.yaml.
.PHONY: lint lint-format lint-cpp lint-python lint-types lint-stubs format
lint: lint-format lint-cpp lint-python lint-types lint-stubs ## check formatting, clang-tidy, ruff, mypy, and the types that users see

lint-format: $(BIN)/.lint
	clang-format --dry-run --Werror $(CPP_FILES)
	ruff format --check

# Why configured anew: nothing is built there, which would do so for new files and changed mutants.
lint-cpp: $(BIN)/.lint build/lint/build.ninja
	@cmake build/lint >/dev/null
	$(BIN)/python tools/tidy.py build/lint

lint-python: $(BIN)/.lint
	ruff check

lint-types: $(BIN)/.lint
	mypy

# The stub of the extension is compared with the built one.
lint-stubs: $(BIN)/.lint build-python
	MYPYPATH=python $(BIN)/python -m mypy.stubtest --ignore-disjoint-bases forkful._core
	$(BIN)/python tools/public_types.py

format: $(BIN)/.lint ## format all C++ and Python files
	clang-format -i $(CPP_FILES)
	ruff check --fix-only --quiet
	ruff format

.PHONY: clean
clean: ## remove what was built; the venv stays
	rm -rf build .pytest_cache .mypy_cache .ruff_cache

# --- Set-up, done once: a stamp stands for each step.

build/.system: tools/system-packages
	@mkdir -p $(@D)
	tools/system-packages $(PYTHON)
	@touch $@

$(BIN)/python: | build/.system
	$(PYTHON) -m venv $(VENV)

$(BIN)/.cmake: | $(BIN)/python
	$(PIP) install cmake ninja
	@touch $@

# $(BIN)/.test, $(BIN)/.lint, $(BIN)/.bench, $(BIN)/.apps: the extras of those names.
$(BIN)/.%: pyproject.toml tools/requirements.py | $(BIN)/python
	$(BIN)/python tools/requirements.py $* | $(PIP) install -r /dev/stdin
	@touch $@

# Editable, without isolation, into a kept tree: cold it compiles all, afterwards seconds.
build/.editable-%: pyproject.toml CMakeLists.txt $(BIN)/.test | $(CMAKE_READY)
	$(PIP) install --no-build-isolation --no-deps --editable . \
		--config-settings=cmake.define.FORKFUL_STRICT=ON
	@touch $@

build/lint/build.ninja: CMakePresets.json $(BIN)/.test | $(CMAKE_READY)
	cmake --preset dev -B build/lint -DFORKFUL_BUILD_PYTHON=ON -DPython_EXECUTABLE=$(CURDIR)/$(BIN)/python
	@touch $@

# What one verb alone needs; a tree without it is configured anew.
build/.system-bench build/.system-aarch64: build/.system-%: tools/system-packages | build/.system
	tools/system-packages $(PYTHON) $*
	@touch $@

build/bench/build.ninja: build/.system-bench
build/aarch64/build.ninja: build/.system-aarch64

build/clang/build.ninja: export CXX = $(shell tools/clang)
build/fuzz/build.ninja: export CXX = $(or $(shell tools/clang),c++)

build/%/build.ninja: CMakePresets.json | $(CMAKE_READY)
	cmake --preset $*
	@touch $@
