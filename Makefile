# The two commands of the README, and what else is often needed. CMake does the work: `cmake --preset dev` for development.
# Packages that are missing are installed first (cmake/install-packages.sh); NO_INSTALL=1 leaves the system alone.

PREFIX ?= /usr/local
BUILD := build/release
# ON: warnings are errors, as in the dev preset.
WERROR ?= OFF
# The demo makes its torch environment in sagebuild's cache folder, the tests make theirs below build/cache; uv and what it fetches
# lie in the user's cache folder, so nothing is fetched twice.
WITH_TOOLS = uv=$$(cmake/install-uv.sh) && export PATH="$$uv:$$PATH" &&
CTEST = $(WITH_TOOLS) nginx=$$(cmake/install-nginx.sh build/tools) && PATH="$$PATH:$$nginx" tests/support/run-tests.sh $(BUILD)

.PHONY: all configured tests packages demo test test-full test-docker test-packages bench coverage install package image clean

all: configured
	@cmake --build --preset release --target sagebuild man_pages

configured: packages
	@cmake --preset release -DSAGEBUILD_WERROR=$(WERROR) > $(BUILD).log 2>&1 || { cat $(BUILD).log; false; }

tests: configured
	@cmake --build --preset release

packages:
	@mkdir -p build
ifndef NO_INSTALL
	@cmake/install-packages.sh
endif

demo: all
	@$(WITH_TOOLS) examples/demo.sh $(BUILD)/sagebuild

# Unit tests, and end-to-end tests with a real compile. test-full adds those that take minutes, and the commands of README and docs
# in a fresh root (as root).
test: tests
	@$(CTEST) --label-exclude full

test-full: export WITH_FULL_TESTS = 1
test-full: tests package
	@$(CTEST)
	@$(WITH_TOOLS) tests/packages/run.sh $(BUILD)/packages build/test-packages --blocks

# The image of docker/Dockerfile with the engine that is here (docs/docker.md). IMAGE_ARGS: "--build-arg TORCH_VERSION=2.10.0", ...
ENGINE ?= docker
image:
	$(ENGINE) build -t sagebuild -f docker/Dockerfile $(IMAGE_ARGS) .

# A .deb, a .tar.gz and a Python wheel in build/release/packages.
package: all
	@cmake/install-packages.sh --package
	@$(WITH_TOOLS) cmake/make-packages.sh $(BUILD)

# The image, built and run without a Docker service; the packages, on bare Debian roots. As root; gigabytes and minutes.
test-docker:
	@$(WITH_TOOLS) tests/docker/run.sh build/test-docker $(TESTS)

test-packages: package
	@$(WITH_TOOLS) tests/packages/run.sh $(BUILD)/packages build/test-packages $(TESTS)

# BENCH_ARGS: options of bench/run, such as --only U,cold,warm. SAGEBUILD_BENCH_SOURCE: a git directory of SageAttention.
bench: all
	@$(WITH_TOOLS) bench/run $(BUILD)/sagebuild $(BENCH_ARGS)

coverage: packages
	$(WITH_TOOLS) cmake/coverage.sh

install: all
	cmake --install $(BUILD) --prefix $(PREFIX)

clean:
	rm -rf build/release build/dev build/asan build/tsan build/fuzz build/coverage
