#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# PCI cards as parents: two of QEMU's edu devices beside the software parent, bound, unbound and unplugged.
set -u
# shellcheck source=ktap.sh
. "$(dirname "$0")/ktap.sh"

PCI=/sys/bus/pci
mapfile -t cards < <(grep -lx 0x11e8 $PCI/devices/*/device | xargs -rn1 dirname | xargs -rn1 basename)
equal "the machine has two cards" "${#cards[@]}" 2
[ ${#cards[@]} -eq 2 ] || finish || exit

# types CARD: the directory of its types.
types() { echo "$PCI/devices/$1/mdev_supported_types"; }

# create_at CARD TYPE: makes a device, and sets `uuid`.
create_at() {
	fresh_uuid
	made+=("$uuid")
	echo "$uuid" >"$(types "$1")/$2/create"
}

registered() { names /sys/class/mdev_bus; }
everything="${cards[0]} ${cards[1]} migdev"

equal "each is a parent" "$(registered)" "$everything"
for card in "${cards[@]}"; do
	equal "$card: its driver" "$(basename "$(readlink "$PCI/devices/$card/driver")")" migdev
	equal "$card: the types are those of the software parent" "$(names "$(types "$card")")" "$(names "$TYPES")"
	for type in $ALL_TYPES; do
		equal "$card: $type has the same files" "$(names "$(types "$card")/$type")" "$(names "$TYPES/$type")"
		check "$card: $type tells the revision that its register has" \
			contains "$(<"$(types "$card")/$type/description")" ", on a card of revision 1.0"
		create_at "$card" "$type"
		equal "$card: a device of $type is below it" "$(readlink -f "$BUS/$uuid")" \
			"$(readlink -f "$PCI/devices/$card")/$uuid"
		remove "$uuid"
	done
	for type in $MIGRATABLE; do
		equal "$card: $type is the same device as elsewhere" \
			"$(<"$(types "$card")/$type/migration_version")" "$(<"$TYPES/$type/migration_version")"
	done
done

create_at "${cards[0]}" migdev-serial2
instances "all parents draw on one number of devices" $((DEFAULT_MAX - 1))
put_is "a UUID is taken at every parent" EEXIST "$(types "${cards[1]}")/migdev-serial1/create" "$uuid"
echo abi=1.0,stream=1 >"$(types "${cards[1]}")/migdev-serial2/migration_baseline"
equal "a type is held under one parent" "$(<"$(types "${cards[0]}")/migdev-serial2/migration_baseline")" abi=1.1,stream=2
create_at "${cards[1]}" migdev-serial2
newer=$(<"$(types "${cards[0]}")/migdev-serial2/migration_version") older=$(<"$BUS/$uuid/migration_version")
put_is "a device of the held type can move to the other card" "ok ${#older}" "$BUS/${made[-2]}/migration_version" "$older"
put_is "not back" EPROTO "$BUS/$uuid/migration_version" "$newer"
remove_all
log_mark
put_is "nor to its type" EPROTO "$(types "${cards[1]}")/migdev-serial2/migration_version" "$newer"
check "the log tells the card" contains "$(log_since)" "${cards[1]}/migdev-serial2: migration_version refused (EPROTO): abi"

# unplug CARD, and plug all in again.
unplug() { echo 1 >"$PCI/devices/$1/remove"; }
rescan() { echo 1 >"$PCI/rescan"; }
# driver bind|unbind CARD
driver() { echo "$2" >"$PCI/drivers/migdev/$1"; }

for type in $ALL_TYPES; do create_at "${cards[0]}" "$type"; done
create migdev-serial1
kept=$uuid
check "a card with idle devices can be unplugged" unplug "${cards[0]}"
equal "it is no parent any more" "$(registered)" "${cards[1]} migdev"
equal "its devices are gone, the others not" "$(names "$BUS")" "$kept"
instances "they do not count any more" $((DEFAULT_MAX - 1))
check "it can be plugged in again" rescan
equal "then it is a parent again" "$(registered)" "$everything"
remove_all

for path in group cdev; do
	create_at "${cards[0]}" migdev-serial2
	hold "$uuid" "$path" --polite
	equal "a device of a card is in use ($path)" $? 0
	check "unplugging asks its user to leave, and ends ($path)" timeout 120 bash -c "echo 1 >'$PCI/devices/${cards[0]}/remove'"
	check "the user was asked ($path)" grep -q 'asked to leave' <&6
	release
	equal "the device is gone ($path)" "$(names "$BUS")" ""
	rescan

	create_at "${cards[0]}" migdev-serial2
	hold "$uuid" "$path"
	equal "a device is in use by one that does not listen ($path)" $? 0
	unplug "${cards[0]}" 5>&- 6<&- & # it must not keep the user's input open
	unplugging=$!
	for ((try = 0; try < 200; try++)); do # it takes a while to begin
		create_at "${cards[0]}" migdev-serial1 2>/dev/null || break
		remove "$uuid"
		sleep 0.1
	done
	check "a card that goes makes no devices ($path)" within "$try" 0 199
	sleep 1
	check "unplugging waits for it ($path)" kill -0 "$unplugging"
	create_at "${cards[1]}" migdev-serial1
	check "meanwhile the other card makes devices ($path)" [ -e "$BUS/$uuid" ]
	release
	wait "$unplugging"
	equal "then it ends ($path)" $? 0
	equal "and it is no parent any more ($path)" "$(registered)" "${cards[1]} migdev"
	remove_all
	rescan
done

create_at "${cards[0]}" migdev-serial2
check "the driver can be unbound from a card with a device" driver unbind "${cards[0]}"
equal "the card's types are gone" "$(names "$PCI/devices/${cards[0]}/mdev_supported_types")" ""
equal "and its device" "$(names "$BUS")" ""
check "it can be bound again" driver bind "${cards[0]}"
equal "with all of its types" "$(names "$(types "${cards[0]}")")" "$(names "$TYPES")"

rounds=$(times 10)
for ((round = 1; round <= rounds; round++)); do
	if ! create_at "${cards[0]}" migdev-serial1 || ! unplug "${cards[0]}" || ! rescan; then break; fi
	[ "$(registered)" = "$everything" ] || break
	made=()
done
equal "a card can be unplugged and plugged in again and again ($rounds times)" "$round" $((rounds + 1))

for card in "${cards[@]}"; do create_at "$card" migdev-serial2; done
create migdev-serial2
check "the module can be unloaded with devices at every parent" unload
equal "nothing is left of the parents" "$(registered)" ""
check "nor at the cards" absent "$PCI/drivers/migdev" "$PCI/devices/${cards[0]}/driver" "$(types "${cards[0]}")"
unplug "${cards[1]}"
reload
equal "a module that is loaded binds the cards that are there" "$(registered)" "${cards[0]} migdev"
rescan
equal "and those that come" "$(registered)" "$everything"
finish
