#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# Before the tests on the debug kernel: its checks are on and find what they are for. kmemleak-test.ko, the kernel's sample of
# a module that leaks, is in /payload.
set -u
# shellcheck source=kernel.sh
. "$(dirname "$0")/kernel.sh"

check "KASAN reports more than once" reports_all
check "locks are checked" locks_are_checked
for check in failslab fail_page_alloc fail_usercopy kcov; do
	check "there is $check" [ -e "/sys/kernel/debug/$check" ]
done

# The sample prints where each object is. Those it has in a list are lost when it is gone. That not all are found is no fault: the
# arrays by which the allocator hands out objects keep what stood there before, and kmemleak takes that for a reference.
insmod /payload/kmemleak-test.ko && rmmod kmemleak_test
dmesg | sed -nE 's/.*kmemleak: .* = 0x([0-9a-f]{16})$/\1/p' >"$PLANTED"
planted=$(wc -l <"$PLANTED")
check "objects are leaked ($planted)" [ "$planted" -ge 20 ]
check "kmemleak scans" scan
found=$(sed -nE 's/^unreferenced object( .*)? 0x([0-9a-f]+) .*/\2/p' "$LEAKS" | grep -cFf "$PLANTED")
check "it finds some of them ($found)" [ "$found" -ge 1 ]
check "it tells who leaked them" grep -q 'comm "insmod"' "$LEAKS"
# What there is now, of the sample or of the kernel's start, is nothing of what comes.
echo clear >"$LEAKS"
plan
