#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# Before the tests on the debug kernel: its checks are on.
set -u
# shellcheck source=kernel.sh
. "$(dirname "$0")/kernel.sh"

check "KASAN reports more than once" reports_all
check "locks are checked" locks_are_checked
for check in failslab fail_page_alloc fail_usercopy kcov; do
	check "there is $check" [ -e "/sys/kernel/debug/$check" ]
done

check "kmemleak scans" scan
# What the kernel's own start has left is nothing of what comes.
echo clear >"$LEAKS"
plan
