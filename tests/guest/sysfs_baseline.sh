#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# Holding a type at an older version: what can be written, what it changes, and when it is refused.
set -u
# shellcheck source=ktap.sh
. "$(dirname "$0")/ktap.sh"

read -ra all <<<"abi=1.1,stream=2 abi=1.1,stream=1 abi=1.0,stream=2 abi=1.0,stream=1"
newest=${all[0]} oldest=${all[-1]}

# use TYPE: from here on, `dir` is its directory and `file` its baseline.
use() { dir=$TYPES/$1 file=$dir/migration_baseline; }

# says STRING BASELINE: the string is what a driver says that knows nothing newer than this baseline.
says() {
	local abi=${2%,*} version=${2##*=}
	contains "$1" ",$abi,stream=$version:1-$version,param."
}

# held NAME BASELINE: the type says so, in both files, and a new device agrees.
held() {
	get_is "$1: it reads back" "ok $2"$'\n' "$file"
	check "$1: the type says so" says "$(<"$dir/migration_version")" "$2"
	create "$type"
	equal "$1: so does a device of it" "$(<"$BUS/$uuid/migration_version")" "$(<"$dir/migration_version")"
	remove "$uuid"
}

check "$LOCAL cannot be held" absent "$TYPES/$LOCAL"/migration_baseline{,s}

for type in $MIGRATABLE; do
	use "$type"
	equal "$type: modes" "$(stat -c %a "$file" "${file}s" | paste -sd ' ')" "644 444"
	get_is "$type: what it can be held at" "ok $(printf '%s\n' "${all[@]}")"$'\n' "${file}s"
	put_is "$type: that is only to be read" EACCES "${file}s" "$newest"
	held "$type at first" "$newest"
	for want in "${all[@]}"; do
		put_is "$type: $want is accepted" "ok ${#want}" "$file" "$want"
		held "$type at $want" "$want"
	done
	put_is "$type: a newline may follow" "ok $((${#newest} + 1))" "$file" "$newest"$'\n'
	put_is "$type: the ABI alone" "ok 7" "$file" abi=1.0
	get_is "$type: leaves the stream" $'ok abi=1.0,stream=2\n' "$file"
	put_is "$type: the stream alone" "ok 8" "$file" stream=1
	get_is "$type: leaves the ABI" $'ok abi=1.0,stream=1\n' "$file"
	for text in $'\n' x abi abi=1 abi=01.0 "abi=1.0," stream=0x1 stream=1,abi=1.0 "abi=1.0 stream=1" \
		abi=1.0,stream=1,stream=1 abi=99999999999.0; do
		put_is "$type: '${text//$'\n'/\\n}' is malformed" EINVAL "$file" "$text"
	done
	for text in abi=1.2 abi=0.9 abi=2.0 stream=0 stream=3 stream=4294967295 abi=1.1,stream=3; do
		put_is "$type: the driver has no $text" EOPNOTSUPP "$file" "$text"
	done
	put_is "$type: a write elsewhere than at the start" ESPIPE "$file" "$newest" 1
	put_is "$type: an ordinary user cannot hold it" EACCES "$file" "$newest" 0 65534
	get_is "$type: a refusal changes nothing" "ok $oldest"$'\n' "$file"

	create "$type"
	string=$(<"$BUS/$uuid/migration_version")
	log_mark
	put_is "$type: refused while it has a device" EBUSY "$file" "$newest"
	# The log is limited in its rate, and was used up a moment ago: try until it speaks again.
	for _ in {1..40}; do
		line=$(log_since | grep "migdev/$type: migration_baseline refused (EBUSY)") && break
		sleep 0.25
		put "$file" "$newest"
	done
	check "$type: the log says why" contains "$line" "removed first: 1"
	put_is "$type: but for what is so already" "ok ${#oldest}" "$file" "$oldest"
	equal "$type: the device stays as it was" "$(<"$BUS/$uuid/migration_version")" "$string"
	check "$type: the type too" says "$(<"$dir/migration_version")" "$oldest"
	remove "$uuid"
	put_is "$type: accepted when the device is gone" "ok ${#newest}" "$file" "$newest"
	check "$type: the log says what it is held at" contains "$(log_since)" "migdev/$type: held at $newest"
done

# A type is held by itself.
use migdev-serial1
put "$file" "$oldest"
equal "another type is not held" "$(<"$TYPES/migdev-serial2/migration_baseline")" "$newest"
put "$file" "$newest"

# What older hosts say, newer ones accept; what newer ones say, older ones refuse.
use migdev-serial2
declare -A string
for want in "${all[@]}"; do
	put "$file" "$want"
	string[$want]=$(<"$dir/migration_version")
done
for to in "${all[@]}"; do
	put "$file" "$to"
	create migdev-serial2
	for from in "${all[@]}"; do
		answer_wanted=EPROTO
		# Neither of the two is newer at the source.
		if [[ ! ${from%,*} > ${to%,*} && ! ${from##*=} > ${to##*=} ]]; then answer_wanted="ok ${#string[$from]}"; fi
		put_is "$from to a type at $to" "$answer_wanted" "$dir/migration_version" "${string[$from]}"
		put_is "$from to a device at $to" "$answer_wanted" "$BUS/$uuid/migration_version" "${string[$from]}"
	done
	remove "$uuid"
done
put "$file" "$newest"

# Two at once: whoever creates a device and whoever changes the baseline.
for ((round = 1; round <= 40; round++)); do
	fresh_uuid
	made+=("$uuid")
	want=${all[round % 4]}
	(echo "$want" >"$file") 2>/dev/null &
	echo "$uuid" >"$dir/create"
	wait $!
	[ "$(<"$BUS/$uuid/migration_version")" = "$(<"$dir/migration_version")" ] || break
	remove "$uuid"
done
equal "a type says what its devices say, whoever comes first" "$round" 41
remove_all
reload
equal "a module that is loaded anew holds nothing" "$(<"$file")" "$newest"
finish
