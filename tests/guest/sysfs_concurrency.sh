#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# Many processes create and remove at once: the count of instances stays exact, and the limit holds.
set -u
# shellcheck source=ktap.sh
. "$(dirname "$0")/ktap.sh"

type=migdev-serial1
readonly WORKERS=8 ROUNDS=12

# numbered_uuid WORKER ROUND: sets `uuid`.
numbered_uuid() { printf -v uuid '%08x-0000-4000-8000-%012x' "$1" "$2"; }

# worker NUMBER: creates and removes, and says how often that failed.
worker() {
	local round failed=0
	for ((round = 0; round < ROUNDS; round++)); do
		numbered_uuid "$1" "$round"
		echo "$uuid" >"$TYPES/migdev-serial$((round % 2 + 1))/create" || failed=$((failed + 1))
		if [ $((round % 3)) -ne 0 ]; then remove "$uuid" || failed=$((failed + 1)); fi
	done
	for ((round = 0; round < ROUNDS; round += 3)); do
		numbered_uuid "$1" "$round"
		remove "$uuid" || failed=$((failed + 1))
	done
	echo "$failed"
}

# sampler MAXIMUM: reads the count until told to stop, and says when it is impossible.
sampler() {
	local count samples=0
	while [ ! -e "$work/stop" ]; do
		read -r count <"$TYPES/$type/available_instances"
		samples=$((samples + 1))
		if ! [[ $count =~ ^[0-9]+$ ]] || [ "$count" -gt "$1" ]; then echo "impossible: $count"; fi
	done
	echo "samples $samples"
}

# reader: reads the version of whatever device there is, while devices come and go.
reader() {
	local file _
	while [ ! -e "$work/stop" ]; do
		for file in "$BUS"/*/migration_version; do read -r _ <"$file"; done 2>/dev/null
	done
}

available $type
maximum=$available
sampler "$maximum" >"$work/samples" &
watchers=$!
reader &
watchers+=" $!"
workers=()
for ((number = 1; number <= WORKERS; number++)); do
	worker "$number" >"$work/worker.$number" 2>&1 &
	workers+=($!)
done
wait "${workers[@]}"
touch "$work/stop"
# shellcheck disable=SC2086 # several numbers
wait $watchers
equal "$WORKERS processes create and remove without an error" \
	"$(cat "$work"/worker.* | sort | uniq -c | awk '{print $1 " times " $2}')" "$WORKERS times 0"
equal "the count is never above the maximum, nor below nothing" "$(grep impossible "$work/samples")" ""
check "the count was looked at meanwhile" grep -qE 'samples [0-9]{2,}' "$work/samples"
instances "the count is back at the maximum" "$maximum"
equal "no device is left" "$(names "$BUS")" ""

# at_once COUNT COMMAND: runs the command COUNT times at the same moment, with a number as its argument; a file of output
# each. All wait for a byte of one pipe.
at_once() {
	local count=$1 number jobs=() _
	rm -f "$work"/job.* "$work/go"
	mkfifo "$work/go"
	exec 4<>"$work/go"
	for ((number = 1; number <= count; number++)); do
		(
			read -r -N 1 _ <&4
			"$2" "$number" >"$work/job.$number" 2>&1
		) &
		jobs+=($!)
	done
	printf '%*s' "$count" '' >&4
	wait "${jobs[@]}"
	exec 4>&-
}

create_numbered() {
	numbered_uuid "99$round" "$1"
	if echo "$uuid" >"$TYPES/$type/create"; then echo made; fi
}

create_same() {
	numbered_uuid "98$round" 0
	if echo "$uuid" >"$TYPES/migdev-serial$(($1 % 2 + 1))/create"; then echo made; fi
}

remove_same() {
	numbered_uuid "98$round" 0
	remove "$uuid"
}

# outcomes: how often each outcome came, with what bash says of an errno.
outcomes() {
	sed -E 's/.*: //' "$work"/job.* | sort | uniq -c | awk '{n = $1; $1 = ""; print n $0}' | paste -sd ';'
}

reload max_instances=6
for round in 1 2 3; do
	at_once 12 create_numbered
	equal "of 12 creations at once 6 succeed, round $round" "$(outcomes)" "6 Too many users;6 made"
	instances "none is available then, round $round" 0
	equal "6 devices exist then, round $round" "$(names "$BUS" | wc -w)" 6
	fresh_uuid
	put_is "one more is refused, round $round" EUSERS "$TYPES/$LOCAL/create" "$uuid"
	for each in $(names "$BUS"); do remove "$each"; done
	instances "all are available again, round $round" 6
done

for round in 1 2 3; do
	at_once 6 create_same
	equal "of 6 creations of one UUID one succeeds, round $round" "$(outcomes)" "5 File exists;1 made"
	instances "and takes one instance, round $round" 5
	at_once 6 remove_same
	equal "6 removals at once remove it, round $round" "$(names "$BUS")" ""
	instances "and give one instance back, round $round" 6
done

reload
instances "the default limit is back" "$DEFAULT_MAX"
finish
