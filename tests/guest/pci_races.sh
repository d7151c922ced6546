#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# Cards that are unplugged and unbound while devices are made, used and removed under them, types are held, and files read.
set -u
# shellcheck source=ktap.sh
. "$(dirname "$0")/ktap.sh"

readonly SECONDS_EACH=15 PCI=/sys/bus/pci
# Where releases are late a card takes longer to go and come back, and must meet users all the same.
readonly STAYS=${LATE_RELEASES:+2}2 GRACE=${LATE_RELEASES:+3}60
mapfile -t cards < <(grep -lx 0x11e8 $PCI/devices/*/device | xargs -rn1 dirname | xargs -rn1 basename)
equal "the machine has two cards" "${#cards[@]}" 2
[ ${#cards[@]} -eq 2 ] || finish || exit

# goes_on: whether there is time left; on a slow machine there is more, until users of both were asked to leave.
goes_on() {
	local card
	[ $SECONDS -ge $end ] || return 0
	[ $SECONDS -lt $((end + GRACE)) ] || return 1
	for card in "${cards[@]}"; do [ -e "$work/asked-$card" ] || return 0; done
	return 1
}

# keep NAME COMMAND...: repeats the command until the time is over, and counts how often it succeeded.
keep() {
	local times=0
	while goes_on; do
		if "${@:2}"; then times=$((times + 1)); fi
	done 2>/dev/null
	echo "$times" >"$work/$1"
}

types() { echo "$PCI/devices/$1/mdev_supported_types"; }

# new CARD TYPE: makes a device, and sets `uuid`.
new() {
	uuid=$(</proc/sys/kernel/random/uuid)
	echo "$uuid" >"$(types "$1")/$2/create"
}

make_and_remove() { new "$1" "migdev-serial$((RANDOM % 2 + 1))" && remove "$uuid"; }

# use CARD: a device is open for a while, or until its user is asked to leave.
use() {
	local said=$work/said-$1 opened
	new "$1" migdev-serial1 || return
	timeout 60 "$VFIO_CLIENT" hold "$uuid" --path group --polite < <(sleep "$STAYS") >"$said"
	grep -q open "$said"
	opened=$?
	! grep -q asked "$said" || : >"$work/asked-$1"
	rm "$said"
	remove "$uuid"
	return "$opened"
}

# pause CARD: a while, or until a device of the card is in use.
pause() {
	local try
	if [ $((RANDOM % 2)) -eq 0 ]; then
		sleep "0.$((RANDOM % 9))"
		return
	fi
	for ((try = 0; try < 50; try++)); do
		[[ $(<"$work/said-$1") != open* ]] || return
		sleep 0.1
	done
}

hold_type() {
	local baseline
	for baseline in abi=1.0,stream=1 abi=1.1,stream=2; do echo "$baseline" >"$(types "$1")/migdev-serial2/migration_baseline"; done
}

look() { cat "$(types "$1")"/*/{migration_version,description,available_instances} "$BUS"/*/migration_version /sys/kernel/debug/migdev/*/migration; }

replug() {
	pause "$1"
	echo 1 >"$PCI/devices/$1/remove"
	echo 1 >"$PCI/rescan"
}

rebind() {
	pause "$1"
	echo "$1" >"$PCI/drivers/migdev/unbind"
	echo "$1" >"$PCI/drivers/migdev/bind"
}

end=$((SECONDS + SECONDS_EACH))
workers=()
start() {
	keep "$@" 7>&- 8<&- >/dev/null &
	workers+=($!)
}
for card in "${cards[@]}"; do
	for each in 1 2; do start "made-$each-$card" make_and_remove "$card"; done
	for action in use hold_type look; do start "$action-$card" "$action" "$card"; done
done
start replugged replug "${cards[0]}"
start rebound rebind "${cards[1]}"
wait "${workers[@]}"

for name in "${cards[@]/#/made-1-}" "${cards[@]/#/use-}" "${cards[@]/#/hold_type-}" replugged rebound; do
	note "$name: $(<"$work/$name") times"
	check "$name: came through" [ "$(<"$work/$name")" -gt 0 ]
done
for card in "${cards[@]}"; do check "$card: a user was asked to leave" [ -e "$work/asked-$card" ]; done
equal "all parents are there" "$(names /sys/class/mdev_bus)" "${cards[0]} ${cards[1]} migdev"
# A removal that found its card on the way out leaves the device to that.
equal "no device is left" "$(names "$BUS")" ""
instances "none counts" $DEFAULT_MAX
for card in "${cards[@]}"; do
	file=$(types "$card")/migdev-serial2/migration_baseline
	put_is "$card: its type can be held" "ok 16" "$file" abi=1.0,stream=1
	put_is "$card: and let go" "ok 16" "$file" abi=1.1,stream=2
done
check "the module can be unloaded" unload
reload
finish
