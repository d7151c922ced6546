# SPDX-License-Identifier: GPL-2.0-only
# The person's commands. What they do stands in tools/ and tests/; what goes into the module stands in Kbuild.
export KDIR RUSTC BINDGEN INSTALL_MOD_PATH STAGES WITHIN V
export DESTDIR PREFIX SYSCONFDIR MDEVCTLDIR

.PHONY: module migver demo test test-debug conformance fuzz bench shell install install-tools uninstall-tools clean clean-cache help
.NOTPARALLEL:

module: ## build build/module/migdev.ko for the running kernel, where that has Rust, else for the test kernel
	@tools/module/build module

demo: ## show the main job in an emulated machine: create, compare versions, use in a guest, migrate, remove
	@tools/demo/run

test: ## run every test; STAGES="host clippy" runs only some, V=1 shows all output
	@tests/run

test-debug: ## run the in-guest tests on the debug kernel, faults and the fuzzer with them; any report of it is a failure
	@STAGES=debug tests/run

conformance: ## try our device and mtty, side by side; FILTER=stream. only some, REASONS=1 says why, MARKDOWN=FILE writes the page
	@tests/conformance/run $(if $(FILTER),--filter '$(FILTER)') $(if $(REASONS),--reasons) $(if $(MARKDOWN),--markdown '$(MARKDOWN)')

fuzz: ## search for what breaks the pure parts and the interface: TARGET="parse stream uart" for TIME=300 seconds each
	@tests/fuzz/run $(if $(TIME),--time $(TIME)) $(TARGET)

bench: ## measure beside mtty and the limit; FILTER=registers only some, RECORD=1 writes Documentation/benchmarks.*
	@tests/bench/run $(if $(FILTER),--filter '$(FILTER)') $(if $(RECORD),--record)

shell: ## an interactive console in an emulated machine with the module loaded and a device made
	@tools/guest/shell

migver: ## build migver, the command-line tool, as one static program, and print its path
	@tools/install/build

install: ## build the module and install it for its kernel
	@tools/module/build install

install-tools: ## build migver and install it with libvirt's hook and mdevctl's callout; DESTDIR= and PREFIX= as usual
	@tools/install/install

uninstall-tools: ## take away what install-tools put there
	@tools/install/install --remove

clean: ## remove what was built in this checkout
	rm -rf build target

clean-cache: ## remove what set-up made outside this checkout (toolchain, kernels, QEMU 7.2, root file system)
	@tools/setup/clean

help: ## this list
	@echo 'make [TARGET] [KDIR=a kernel build tree] [RUSTC=...] [BINDGEN=...]'
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  \1|\2/p' Makefile | awk -F'|' '{printf "%-18s %s\n", $$1, $$2}'
