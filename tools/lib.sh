# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-only
# What every script here shares: where things are, how to speak to the person, the cache of artefacts.
# Source it first: `. "$(dirname "${BASH_SOURCE[0]}")/../lib.sh"`.
set -euo pipefail
shopt -s inherit_errexit
export LC_ALL=C.UTF-8
unset MAKEFLAGS MFLAGS MAKEOVERRIDES MAKELEVEL # a make that we run is not part of the make that ran us
export -n V                                    # nor does it want the V=1 that was meant for our tests
PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin

TOP=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
CACHE=${XDG_CACHE_HOME:-${HOME:?is not set; it or XDG_CACHE_HOME says where the cache goes}/.cache}/migdev
# shellcheck disable=SC2034 # for the scripts that source this
readonly TOP CACHE

# --- Speaking. Everything meant for the person goes to stderr: stdout carries results.

say() { printf '==> %s\n' "$*" >&2; }
die() {
	printf 'migdev: %s\n' "$1" >&2
	shift
	[ $# -eq 0 ] || printf '        %s\n' "$@" >&2
	exit 1
}

# have COMMAND...: whether all of them can be run.
have() {
	local command
	for command; do
		command -v "$command" >/dev/null || return 1
	done
}

# at_least WANTED VERSION: whether VERSION is WANTED or later.
at_least() { printf '%s\n' "$1" "$2" | sort -VC; }

# minutes SECONDS: as m:ss.
minutes() { printf '%d:%02d' $(($1 / 60)) $(($1 % 60)); }

# progress LABEL STEPS SECONDS: read a command's output, one line a step, and show how far it is. STEPS is
# how many lines are expected and SECONDS how long that takes here, until the run itself tells better. A
# terminal gets one line that changes; a log gets a line now and then.
progress() {
	local label=$1 steps=$2 expected=$3 count=0 shown=-1 start=$SECONDS elapsed left percent
	local every=20 next=0
	[ ! -t 2 ] || every=1
	printf '    %s: %d steps, about %s\n' "$label" "$steps" "$(minutes "$expected")" >&2
	while IFS= read -r _; do
		count=$((count + 1)) elapsed=$((SECONDS - start))
		[ "$elapsed" -ge "$next" ] || continue
		next=$((elapsed + every))
		percent=$((count * 100 / steps))
		[ "$percent" -lt 100 ] || percent=99
		left=$((expected > elapsed ? expected - elapsed : 0))
		[ "$percent" -lt 5 ] || left=$((elapsed * (100 - percent) / percent))
		[ "$percent" -ne "$shown" ] || [ -t 2 ] || continue
		shown=$percent
		if [ -t 2 ]; then
			printf '\r    %s: %d%% (%d of %d), %s left \033[K' "$label" "$percent" "$count" "$steps" \
				"$(minutes "$left")" >&2
		else
			printf '    %s: %d%% (%d of %d), %s left\n' "$label" "$percent" "$count" "$steps" \
				"$(minutes "$left")" >&2
		fi
	done
	[ ! -t 2 ] || printf '\r\033[K' >&2
	printf '    %s: done in %s (%d steps)\n' "$label" "$(minutes $((SECONDS - start)))" "$count" >&2
}

# logged LOG LABEL STEPS SECONDS COMMAND...: run COMMAND with its output in LOG and its progress shown; when
# it fails, show the end of the log.
logged() {
	local log=$1 label=$2 steps=$3 seconds=$4
	shift 4
	if ! "$@" 2>&1 </dev/null | tee "$log" | progress "$label" "$steps" "$seconds"; then
		tail -n 40 "$log" >&2
		die "$label failed; the whole log is $log"
	fi
}

# announce_first_run: what to expect while the cache is empty.
announce_first_run() {
	local free
	[ ! -d "$CACHE/kernel-source" ] || return 0
	mkdir -p "$CACHE"
	free=$(df -Pm "$CACHE" | awk 'NR == 2 {print $4}')
	[ "$free" -ge 4000 ] || die "set-up needs 4 GB of disk in $CACHE, and $free MB are free" \
		"XDG_CACHE_HOME= names another place."
	say "the first run sets up a toolchain, two small kernels and a root file system in $CACHE:"
	say "about $((24 / $(nproc))) minutes here, 300 MB to fetch, 3 GB of disk; later runs make none of it again"
}

# --- Ending. Whatever ends a script, nothing that it began stays behind.

# scratch: make the directory $work for this script. When the script ends, the directory is removed and the processes in
# $children are ended. An interrupt or a termination ends the script at once, if it waits by `attend`.
scratch() {
	children=()
	mkdir -p "$CACHE/tmp" # there is room for a file system; /tmp is often memory
	work=$(mktemp -d -p "$CACHE/tmp")
	trap leave EXIT
	trap 'exit 130' INT
	trap 'exit 143' TERM
}

leave() {
	trap '' INT TERM # once is enough
	[ ${#children[@]} -eq 0 ] || kill "${children[@]}" 2>/dev/null || true
	wait
	rm -rf "$work"
}

# attend COMMAND...: run COMMAND with this script's input and end as it did; a signal to the script ends COMMAND too. It
# runs as a child of its own because bash looks at signals only after what it runs in the foreground has ended.
attend() {
	local code=0
	"$@" <&0 &
	children+=("$!")
	wait "$!" || code=$?
	return "$code"
}

# commit: this checkout's, and whether it has more than that.
commit() {
	git -C "$TOP" describe --always --dirty --exclude '*' 2>/dev/null || echo unknown
}

# --- The cache. An artefact is a directory $CACHE/KIND/KEY, where KEY is a hash of all that it was made from, among
# it the functions that make it. Its time is when it was last used.

# hash_of TEXT...: a key made of the texts.
hash_of() { printf '%s\0' "$@" | sha256sum | cut -c1-16; }

# contents FILE...: a text that changes when a file does.
contents() { sha256sum -- "$@" | cut -c1-64; }

# with_lock NAME COMMAND...: run COMMAND while no other run does anything under the same name.
with_lock() {
	mkdir -p "$CACHE/locks"
	{
		if ! flock -n 9; then
			say "another run is making the $1; waiting for it"
			flock 9
		fi
		"${@:2}"
	} 9>"$CACHE/locks/$1"
}

# artefact KIND KEY FUNCTION: print the artefact's directory. When it is not there, FUNCTION fills a new
# directory, given as its argument, which takes its place only when complete: an interruption leaves nothing
# that a later run could mistake for it.
artefact() {
	local dir=$CACHE/$1/$2
	[ -d "$dir" ] || with_lock "$1" make_artefact "$1" "$dir" "$3" >&2
	touch -c "$dir"
	printf '%s\n' "$dir"
}

make_artefact() {
	local kind=$1 dir=$2 fill=$3 new
	[ ! -d "$dir" ] || return 0
	rm -rf "$CACHE/$kind"/*.new
	mkdir -p "$CACHE/$kind"
	new=$(mktemp -d --suffix=.new -p "$CACHE/$kind")
	chmod 755 "$new"
	"$fill" "$new"
	mv -T "$new" "$dir"
	remove_superseded "$dir"
}

# remove_superseded DIR: remove the artefacts of DIR's kind that were not used for 30 days. Only for who holds the lock.
remove_superseded() {
	find "${1%/*}" -mindepth 1 -maxdepth 1 -type d -mtime +30 ! -path "$1" -exec rm -rf {} +
}

# artefact_in_place KIND KEY FUNCTION: the same for what cannot move once made (a kernel's build tree knows its
# own path): FUNCTION works in the final directory, which counts only once it holds the file `complete`, and goes
# on where an interrupted run stopped.
artefact_in_place() {
	local dir=$CACHE/$1/$2
	[ -e "$dir/complete" ] || with_lock "$1" complete_artefact "$dir" "$3" >&2
	touch -c "$dir"
	printf '%s\n' "$dir"
}

complete_artefact() {
	local dir=$1 fill=$2
	[ ! -e "$dir/complete" ] || return 0
	mkdir -p "$dir"
	"$fill" "$dir"
	: >"$dir/complete"
	remove_superseded "$dir"
}
