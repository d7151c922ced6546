#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# After the tests on the debug kernel: nothing has leaked, with the module loaded and when it is gone, and all of the kernel's
# checks were on until now. What these said on the way is in the log, which tools/guest/run looks at.
set -u
# shellcheck source=kernel.sh
. "$(dirname "$0")/kernel.sh"

# leaks: what kmemleak found, without what begin.sh leaked, with names for the module's addresses.
leaks() {
	awk -v symbols="$symbols" -v planted="$PLANTED" '
		function lower(a, b) { return length(a) != length(b) ? length(a) < length(b) : (a "") < (b "") }
		# Which of the symbols, in order of their addresses, an address lies behind.
		function name(address,    i, best) {
			for (i = 1; i <= count && !lower(address, at[i]); i++) best = i
			return best && best < count ? called[best] " [migdev, now gone]" : ""
		}
		BEGIN {
			while ((getline line <planted) > 0) known["0x" line] = 1
			while ((getline line <symbols) > 0) { split(line, part, " "); at[++count] = part[1]; called[count] = part[3] }
		}
		/^unreferenced / { shown = !($3 in known) && !($4 in known) }
		shown && /^ *0x[0-9a-f]+$/ { print $0 " " name(substr($1, 3)); next }
		shown
	' "$LEAKS"
}

# none_leaked WHEN
none_leaked() {
	check "kmemleak scans, $1" scan
	equal "nothing has leaked, $1" "$(leaks | head -n 200)" ""
}

symbols=$(mktemp)
check "the module is loaded" [ -d /sys/module/migdev ]
# A leak may name what is gone by then.
grep '\[migdev\]$' /proc/kallsyms | sort >"$symbols"
equal "no device was left" "$(ls /sys/bus/mdev/devices)" ""
none_leaked "while the module is loaded"
check "the module can be unloaded" rmmod migdev
none_leaked "when it is gone"

check "locks are still checked" locks_are_checked
note "$(grep '\[max' /proc/lockdep_stats)"
check "KASAN still reports" reports_all
# Bits of Documentation/admin-guide/tainted-kernels.rst: a module from elsewhere (12, 13), tests (18).
tainted=$(</proc/sys/kernel/tainted)
equal "nothing else taints the kernel" $((tainted & ~(1 << 12 | 1 << 13 | 1 << 18))) 0
rm "$symbols"
plan
