# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-only
# What the stages share. A stage prints what a person needs to read when something failed, and adds lines `PASSED FAILED
# SKIPPED` to the file that COUNTS names.
. "$(dirname "${BASH_SOURCE[0]}")/../../tools/lib.sh"
COUNTS=${COUNTS:-/dev/stderr}

# Else bash would go on after an interrupt when the command that ran then ended in good order.
trap 'exit 130' INT
trap 'exit 143' TERM

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

# kernel: sets KDIR, the kernel that modules are built for and that the emulated machine runs; one for both.
kernel() {
	KDIR=${KDIR:-$("$TOP/tools/setup/kernel" l1)}
	export KDIR
}

# rust_files: the project's Rust sources, one a line.
rust_files() { (cd "$TOP" && find src tests tools -name '*.rs' -not -path '*/target/*' | sort); }

# guest_scripts: the scripts of tests/guest that are tests, in one line. The others are libraries of theirs.
guest_scripts() { find "$TOP/tests/guest" -maxdepth 1 -name '*.sh' -executable -printf '%f\n' | sort | paste -sd ' '; }

# kunit_suites: the names of the KUnit suites of the module, in one line.
kunit_suites() { (cd "$TOP/src" && grep -rhoP 'kunit_tests\(\K\w+' . | sort | paste -sd ' '); }

# count_ktap OUTPUT NAME...: count the reports in the output of tests/stages/in-guest, and print what failed in them. Each
# program NAME must have left one.
count_ktap() {
	local file report=$1.d code counts
	rm -rf "$report" # what an earlier run left there is no result of this one
	mkdir -p "$report"
	for file in "${@:2}"; do : >"$report/$file"; done
	awk -v dir="$report" '
		/^### begin / {out = dir "/" $3; printf "" >out; printf "" >(out ".status"); close(out ".status"); next}
		/^### end / {print $4 >(out ".status"); close(out); close(out ".status"); out = ""; next}
		out {print >out}' "$1"
	for file in "$report"/*; do
		case $file in *.status | *'*') continue ;; esac
		# Without a status the machine stopped before the program ended.
		code=$(cat "$file.status" 2>/dev/null || true)
		code=${code:-125}
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

# in_guest MODE "NAME..." [RUN-OPTION]...: run the programs NAME as tests/stages/in-guest does in that mode, in the emulated
# machine, count their results, and exit as the machine did.
in_guest() {
	local output=$TOP/build/logs/$1-output code=0 names
	read -ra names <<<"$2"
	mkdir -p "$TOP/build/logs"
	"$TOP/tools/guest/run" --kernel "$KDIR" --add "$TOP/tests/stages/in-guest" "${@:3}" -- ./in-guest "$1" "${names[@]}" \
		>"$output" || code=$?
	count_ktap "$output" "${names[@]}"
	exit "$code"
}
