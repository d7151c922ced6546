# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-only
# The report of a script: KTAP version 1, the plan at its end. To be sourced.

results=0 failures=0

# note TEXT: a diagnostic.
note() {
	local text=$*
	printf '# %s\n' "${text//$'\n'/$'\n'# }"
}

# pass NAME, miss NAME [REASON]: one result.
pass() {
	results=$((results + 1))
	printf 'ok %d %s\n' "$results" "$1"
}

miss() {
	results=$((results + 1)) failures=$((failures + 1))
	[ $# -lt 2 ] || note "${*:2}"
	printf 'not ok %d %s\n' "$results" "$1"
}

# check NAME COMMAND...: passes when the command succeeds; its output is shown when not.
check() {
	local output
	if output=$("${@:2}" 2>&1); then pass "$1"; else miss "$1" "${output:-${*:2}: no}"; fi
}

# equal NAME GOT WANT
equal() {
	if [ "$2" = "$3" ]; then pass "$1"; else miss "$1" "got: $2" $'\n'"want: $3"; fi
}

# contains TEXT PATTERN: the text has a part that matches the glob pattern.
# shellcheck disable=SC2053 # a pattern
contains() { [[ $1 == *$2* ]]; }

# absent PATH...: none of them exists.
absent() {
	local each
	for each in "$@"; do
		if [ -e "$each" ] || [ -L "$each" ]; then
			echo "$each exists"
			return 1
		fi
	done
}

# within NUMBER LEAST MOST
within() { [ "$1" -ge "$2" ] && [ "$1" -le "$3" ]; }

# soon COMMAND...: whether the command succeeds. Where LATE_RELEASES is set, the kernel has CONFIG_DEBUG_KOBJECT_RELEASE and takes
# seconds for each release: there it is tried again for two minutes, a bound that only what is wrong comes near.
soon() {
	local end=$((SECONDS + 120))
	while [ -n "${LATE_RELEASES:-}" ] && [ $SECONDS -lt $end ]; do
		! "$@" >/dev/null 2>&1 || return 0
		sleep 0.1
	done
	"$@"
}

# times NUMBER: how often a script repeats what it repeats: so often, or as often as REPEAT says where that is set, on a kernel
# on which each round takes seconds.
times() { echo "${REPEAT:-$1}"; }

# plan: the last line of the report; succeeds when nothing failed.
plan() {
	printf '1..%d\n' "$results"
	[ "$failures" -eq 0 ]
}

echo "KTAP version 1"
