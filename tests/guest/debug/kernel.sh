# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-only
# What the debug kernel (tools/kernel/debug.config) watches over, for the two scripts beside this file. To be sourced.
# shellcheck source=../report.sh
. "$(dirname "${BASH_SOURCE[0]}")/../report.sh"

LEAKS=/sys/kernel/debug/kmemleak

# locks_are_checked: lockdep ends its work for good after its first report, and when one of its tables is full.
locks_are_checked() { grep -E 'debug_locks: +1$' /proc/lockdep_stats || grep -E 'debug_locks|\[max' /proc/lockdep_stats; }

# reports_all: without this KASAN is silent after its first report.
reports_all() { grep -w kasan_multi_shot /proc/cmdline; }

# scan: kmemleak tells of what it found unreferenced in two scans or more, once it is older than five seconds.
scan() {
	sleep 6
	echo scan >"$LEAKS" && sleep 1 && echo scan >"$LEAKS"
}
