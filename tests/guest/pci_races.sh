#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# Cards that are unplugged and unbound while devices are made, used and removed under them, types are held, and files read.
set -u
# shellcheck source=ktap.sh
. "$(dirname "$0")/ktap.sh"

readonly SECONDS_EACH=15 PCI=/sys/bus/pci
mapfile -t cards < <(grep -lx 0x11e8 $PCI/devices/*/device | xargs -rn1 dirname | xargs -rn1 basename)
equal "the machine has two cards" "${#cards[@]}" 2
[ ${#cards[@]} -eq 2 ] || finish || exit

# keep NAME COMMAND...: repeats the command until the time is over, and counts how often it succeeded.
keep() {
	local times=0
	while [ $SECONDS -lt $end ]; do
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

# use CARD: a device is open for a moment, or until its user is asked to leave.
use() {
	new "$1" migdev-serial1 || return
	sleep 0.3 | timeout 60 "$VFIO_CLIENT" hold "$uuid" --path group --polite >/dev/null
	remove "$uuid"
}

hold_type() {
	local baseline
	for baseline in abi=1.0,stream=1 abi=1.1,stream=2; do echo "$baseline" >"$(types "$1")/migdev-serial2/migration_baseline"; done
}

look() { cat "$(types "$1")"/*/{migration_version,description,available_instances} "$BUS"/*/migration_version /sys/kernel/debug/migdev/*/migration; }

replug() {
	sleep "0.$((RANDOM % 9))"
	echo 1 >"$PCI/devices/$1/remove"
	echo 1 >"$PCI/rescan"
}

rebind() {
	sleep "0.$((RANDOM % 9))"
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

for name in "${cards[@]/#/made-1-}" "${cards[@]/#/hold_type-}" replugged rebound; do
	note "$name: $(<"$work/$name") times"
	check "$name: came through" [ "$(<"$work/$name")" -gt 0 ]
done
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
