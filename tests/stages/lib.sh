# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-only
# What the stages share. A stage prints what a person needs to read when something failed, and adds lines `PASSED FAILED
# SKIPPED` to the file that COUNTS names.
. "$(dirname "${BASH_SOURCE[0]}")/../../tools/lib.sh"
COUNTS=${COUNTS:-/dev/stderr}

count() { printf '%d %d %d\n' "$1" "$2" "$3" >>"$COUNTS"; }

# one_test NAME COMMAND...: one test, passed when COMMAND succeeds.
one_test() {
	if "${@:2}"; then
		echo "ok - $1"
		count 1 0 0
	else
		echo "not ok - $1"
		count 0 1 0
	fi
}

# toolchain: RUSTC and the rest, see tools/setup/toolchain. What cargo builds goes to build/, like all else.
toolchain() {
	local assignments
	assignments=$("$TOP/tools/setup/toolchain")
	eval "$assignments"
	export RUSTC RUSTDOC CARGO_TARGET_DIR=$TOP/build/cargo
}

# rust_files: the project's Rust sources, one a line.
rust_files() { (cd "$TOP" && find src tests tools -name '*.rs' -not -path '*/target/*' | sort); }

# count_ktap OUTPUT: count the reports in the output of tests/stages/in-guest, one for each program that ran, and print
# what failed in them.
count_ktap() {
	local file report=$1.d code counts
	mkdir -p "$report"
	awk -v dir="$report" '
		/^### begin / {out = dir "/" $3; printf "" >out; next}
		/^### end / {print $4 >(out ".status"); close(out); close(out ".status"); out = ""; next}
		out {print >out}' "$1"
	for file in "$report"/*; do
		case $file in *.status | *'*') continue ;; esac
		# Without a status the machine stopped while the program ran.
		code=$(cat "$file.status" 2>/dev/null || echo 125)
		counts=$(awk -f "$TOP/tests/stages/ktap" "$file")
		# shellcheck disable=SC2086 # three numbers
		set -- $counts
		if [ "$code" -ne 0 ] && [ "$2" -eq 0 ]; then
			set -- "$1" 1 "$3"
			echo "not ok - ${file##*/} ended with status $code"
			tail -n 40 "$file" | sed 's/^/  | /'
		fi
		count "$@"
		awk -f "$TOP/tests/stages/ktap" -v list=1 "$file"
		printf '%s: %d passed, %d failed, %d skipped\n' "${file##*/}" "$@"
	done
}
