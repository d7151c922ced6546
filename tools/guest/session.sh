# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-only
# What the demo and the interactive console share: both visit a machine that has the module and a guest to give its
# devices to. Sourced after lib.sh.
# shellcheck disable=SC2154 # scratch sets $work

# prepare_visit: set up and build; sets $kernel, $module, $migver and $work, where nested/ is.
prepare_visit() {
	announce_first_run
	"$TOP/tools/setup/packages"
	kernel=${KDIR:-$("$TOP/tools/setup/kernel" l1)}
	scratch
	"$TOP/tools/guest/nested/prepare" "$work/nested"
	say "building migver"
	migver=$("$TOP/tools/install/build")
	say "building the module"
	module=$(KDIR=$kernel "$TOP/tools/module/build" module 2>"$work/build.log") || {
		cat "$work/build.log" >&2
		exit 1
	}
}

# visit ARGUMENT...: run the machine with these arguments of tools/guest/run more, and end as that does.
visit() {
	say "starting an emulated machine with kernel $(<"$kernel/include/config/kernel.release")"
	attend "$TOP/tools/guest/run" --kernel "$kernel" --add "$module" --add "$migver" --add "$work/nested" "$@"
}
