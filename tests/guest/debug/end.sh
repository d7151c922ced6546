#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# After the tests on the debug kernel: nothing has leaked, with the module loaded and when it is gone, and all of the kernel's
# checks were on until now. What these said on the way is in the log, which tools/guest/run looks at. kmemleak-test.ko, the
# kernel's sample of a module that leaks, is in /payload.
set -u
# shellcheck source=kernel.sh
. "$(dirname "$0")/kernel.sh"

# leaks: what kmemleak found, with names for the module's addresses.
leaks() {
	awk -v symbols="$symbols" '
		function lower(a, b) { return length(a) != length(b) ? length(a) < length(b) : (a "") < (b "") }
		# Which of the symbols, in order of their addresses, an address lies behind.
		function name(address,    i, best) {
			for (i = 1; i <= count && !lower(address, at[i]); i++) best = i
			return best && best < count ? called[best] " [migdev, now gone]" : ""
		}
		BEGIN {
			while ((getline line <symbols) > 0) { split(line, part, " "); at[++count] = part[1]; called[count] = part[3] }
		}
		/^ *0x[0-9a-f]+$/ { print $0 " " name(substr($1, 3)); next }
		{ print }
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

# That kmemleak would have found something. It comes last, as some of what the sample leaks is found long after. The sample prints
# where each object is; those that it has in a list are lost when it is gone. That not all are found is no fault: the arrays by
# which the allocator hands out objects keep what stood there before, and kmemleak takes that for a reference.
planted=$(mktemp)
insmod /payload/kmemleak-test.ko && rmmod kmemleak_test
dmesg | sed -nE 's/.*kmemleak: .* = 0x([0-9a-f]{16})$/\1/p' >"$planted"
count=$(wc -l <"$planted")
check "objects are leaked ($count)" [ "$count" -ge 20 ]
check "kmemleak scans" scan
found=$(sed -nE 's/^unreferenced object( .*)? 0x([0-9a-f]+) .*/\2/p' "$LEAKS" | grep -cFf "$planted")
check "it finds some of them ($found)" [ "$found" -ge 1 ]
check "it tells who leaked them" grep -q 'comm "insmod"' "$LEAKS"

check "locks are still checked" locks_are_checked
note "$(grep '\[max' /proc/lockdep_stats)"
check "KASAN still reports" reports_all
# Bits of Documentation/admin-guide/tainted-kernels.rst: a module from elsewhere (12, 13), tests (18).
tainted=$(</proc/sys/kernel/tainted)
equal "nothing else taints the kernel" $((tainted & ~(1 << 12 | 1 << 13 | 1 << 18))) 0
rm "$symbols" "$planted"
plan
