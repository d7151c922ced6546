#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# Devices are created, found in every place where they belong, refused where they must be, and removed.
set -u
# shellcheck source=ktap.sh
. "$(dirname "$0")/ktap.sh"

# exists UUID: the device is in all of its places.
exists() {
	local group node
	group=$(readlink -f "$BUS/$1/iommu_group") && node=$(names "$BUS/$1/vfio-dev") &&
		[ -d "$PARENT/$1" ] && [ -L "$BUS/$1/driver" ] &&
		[ -c "/dev/vfio/${group##*/}" ] && [ -c "/dev/vfio/devices/$node" ]
}

# gone UUID: it is in none of them.
gone() { absent "$BUS/$1" "$PARENT/$1" "$TYPES"/*/devices/"$1"; }

for type in $ALL_TYPES; do
	create "$type"
	check "$type makes a device with a group and a character device" exists "$uuid"
	equal "the device of $type leads back to it" \
		"$(readlink -f "$BUS/$uuid/mdev_type")" "$(readlink -f "$TYPES/$type")"
	instances "the device of $type takes one instance" $((DEFAULT_MAX - 1))

	for other in $ALL_TYPES; do
		put_is "$other refuses the UUID of a device of $type" EEXIST "$TYPES/$other/create" "$uuid"
	done
	instances "a refused UUID takes no instance" $((DEFAULT_MAX - 1))

	put_is "remove refuses what is not a number" EINVAL "$BUS/$uuid/remove" please
	put "$BUS/$uuid/remove" 0
	check "a 0 written to remove removes nothing" exists "$uuid"
	put_is "an ordinary user cannot remove a device" EACCES "$BUS/$uuid/remove" 1 0 65534
	put_is "remove takes a 1" "ok 1" "$BUS/$uuid/remove" 1
	instances "the instance is back when remove returns" "$DEFAULT_MAX"
	check "a removed device of $type is gone from every place" gone "$uuid"
	put_is "it cannot be removed twice" ENOENT "$BUS/$uuid/remove" 1
done

create_file=$TYPES/migdev-serial1/create
put_is "an ordinary user cannot create a device" EACCES \
	"$create_file" 11111111-2222-4333-8444-555555555555 0 65534

# The core of mdev looks at no more than the first 36 of 37 bytes, whatever the last one is: not tested here.
printf -v long 'a%.0s' {1..4000}
for bad in x 1234 11111111222243338444555555555555 '{11111111-2222-4333-8444-555555555555}' \
	11111111-2222-4333-8444-55555555555 11111111-2222-4333-8444-55555555555555 11111111-2222-4333-8444-55555555555g \
	11111111_2222_4333_8444_555555555555 "11111111-2222-4333-8444-555555555555  " "$long"; do
	put_is "create refuses '${bad:0:50}'" EINVAL "$create_file" "$bad"
done
instances "refused UUIDs take no instance" "$DEFAULT_MAX"
equal "refused UUIDs make no device" "$(names "$BUS")" ""

fresh_uuid
made+=("$uuid")
put_is "create takes a UUID with a newline" "ok 37" "$create_file" "$uuid"$'\n'
remove "$uuid"
fresh_uuid
made+=("$uuid")
put_is "create takes a UUID without a newline" "ok 36" "$create_file" "$uuid"
remove "$uuid"
fresh_uuid
uuid=abcdef${uuid:6}
made+=("$uuid")
put_is "create takes a UUID in capitals" "ok 36" "$create_file" "${uuid^^}"
check "and names the device in small letters" exists "$uuid"
remove "$uuid"

driver=/sys/bus/mdev/drivers/migdev
check "the driver is on the bus" [ -d "$driver" ]
check "the driver offers no bind and unbind" absent "$driver/bind" "$driver/unbind"

for _ in {1..64}; do create migdev-serial2; done
instances "64 devices take 64 instances" $((DEFAULT_MAX - 64))
equal "64 devices are on the bus" "$(names "$BUS" | wc -w)" 64
remove_all
instances "64 removals give them back" "$DEFAULT_MAX"

# create_again TYPE: makes a device with the same UUID as before.
create_again() { echo "$uuid" >"$TYPES/$1/create"; }

rounds=$(times 50)
for ((round = 0; round < rounds; round++)); do
	soon create_again "migdev-serial$((round % 2 + 1))" || break
	remove "$uuid" || break
done
equal "one UUID serves $rounds devices, of this type and of that, one after the other" "$round" "$rounds"
instances "no instance is lost in that" "$DEFAULT_MAX"
finish
