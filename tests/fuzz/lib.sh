# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-only
# What `make fuzz` and the stage `fuzz` share: building the fuzzers and running them. To be sourced after tools/lib.sh.
# Needs RUSTC and CARGO, as tools/setup/toolchain prints them.

# shellcheck disable=SC2034 # for the scripts that source this
readonly FUZZ=$TOP/tests/fuzz FUZZ_TARGETS="parse check compare baseline stream records region states uart config"
# Where inputs go that break something, and where those that longer runs add to the corpus.
# shellcheck disable=SC2034
readonly FINDINGS=$TOP/build/fuzz/findings FOUND=$TOP/build/fuzz/corpus

# What `cargo fuzz` gives to LLVM, with a compiler of the distribution: counters of edges for libFuzzer to see where an
# input led, and what was compared with what, for it to guess.
readonly FUZZ_FLAGS="--cfg fuzzing -Ccodegen-units=1 -Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
-Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
-Cllvm-args=-sanitizer-coverage-trace-compares"

# fuzz_build TREE [OPTION]...: build the fuzzers of the tree, and print the directory that they are in. libFuzzer itself
# is C++, in the crate libfuzzer-sys; the clang that kernels need compiles it, once for all trees.
fuzz_build() {
	local host cxx=clang++-19
	have "$cxx" || cxx=c++
	host=$("$RUSTC" -vV | sed -n 's/^host: //p')
	# With --target, the flags are for what is fuzzed only, and not for build scripts.
	CXX=$cxx RUSTC=$RUSTC RUSTFLAGS=$FUZZ_FLAGS "$CARGO" build --locked --quiet --release --target "$host" --target-dir "$TOP/build/fuzz/target" \
		--manifest-path "$1/tests/fuzz/Cargo.toml" "${@:2}" >&2 || return 1
	printf '%s\n' "$TOP/build/fuzz/target/$host/release"
}

# fuzz_inputs TARGET: what libFuzzer has to know of the inputs: the words of those that are text or have some in them.
# The others are what to do, a byte or a few for each step.
fuzz_inputs() {
	case $1 in
	parse | check | compare | baseline | stream) printf '%s\n' "-max_len=2200" "-dict=$FUZZ/dictionary" ;;
	*) printf '%s\n' "-max_len=400" ;;
	esac
}

# fuzz_runs TARGET: how many inputs the stage has it try. A machine with nothing else to do takes some seconds.
fuzz_runs() {
	case $1 in
	parse | baseline) echo 1000000 ;;
	check) echo 500000 ;;
	compare) echo 10000 ;;
	stream | records) echo 20000 ;;
	uart | config) echo 50000 ;;
	region | states) echo 100000 ;;
	esac
}

# fuzz PROGRAM FINDINGS [OPTION|CORPUS]...: run a fuzzer; what it finds goes to the directory FINDINGS.
fuzz() {
	local inputs
	mapfile -t inputs < <(fuzz_inputs "${1##*/}")
	mkdir -p "$2"
	"$1" -artifact_prefix="$2/" "${inputs[@]}" -timeout=10 -print_final_stats=1 "${@:3}" 2>&1
}

# fuzz_merge PROGRAM FINDINGS TO FROM...: the fewest inputs of the directories FROM that lead to as many edges.
fuzz_merge() { fuzz "$1" "$2" -set_cover_merge=1 -use_counters=0 "${@:3}"; }

# is_instrumented LOG: whether the fuzzer that wrote LOG had counters, and saw some of them count.
is_instrumented() {
	grep -qE '^INFO: Loaded [1-9][0-9]* modules +\([0-9]{3,} inline 8-bit counters\)' "$1" && grep -qE ' cov: [0-9]{2,} ' "$1"
}

# fuzz_summary LOG: how far a run came, in one line.
fuzz_summary() {
	awk '/ cov: / {for (i = 1; i < NF; i++) if ($i == "cov:") cov = $(i + 1); else if ($i == "corp:") corpus = $(i + 1)}
		/inline 8-bit counters/ {gsub(/[()]/, ""); counters = $5}
		/number_of_executed_units/ {runs = $2}
		/average_exec_per_sec/ {speed = $2}
		END {printf "%d executions, %d/s; %d of %d edges, corpus %s\n", runs, speed, cov, counters, corpus}' "$1"
}
