#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# What the parent and its types show in sysfs.
set -u
# shellcheck source=ktap.sh
. "$(dirname "$0")/ktap.sh"

equal "the parent is a software device of its own class" \
	"$(readlink -f "$PARENT")" /sys/devices/virtual/migdev/migdev
equal "there are the three documented types" \
	"$(names "$TYPES")" "migdev-serial1 migdev-serial1-local migdev-serial2"

for type in $ALL_TYPES; do
	dir=$TYPES/$type
	want="available_instances create description device_api devices"
	[ "$type" = "$LOCAL" ] || want+=" migration_baseline migration_baselines migration_version"
	equal "$type has the documented files" "$(names "$dir")" "$want name"
	equal "$type: create is for root alone, the rest for all to read" \
		"$(stat -c '%n=%a' "$dir"/{available_instances,create,description,device_api,name} | sed 's/.*\///' | paste -sd ' ')" \
		"available_instances=444 create=200 description=444 device_api=444 name=444"
	get_is "$type is for vfio-pci" $'ok vfio-pci\n' "$dir/device_api"
	for file in name description device_api available_instances; do
		get "$dir/$file" 0 65534
		check "an ordinary user reads a line from $type/$file" contains "$answer" "ok [!"$'\n'"]*"$'\n'
		equal "$type/$file is one line" "$(tr -dc '\n' <<<"${answer%$'\n'}" | wc -c)" 1
		put_is "$type/$file refuses a write by root" EACCES "$dir/$file" x
	done
	get_is "$type/create refuses to be read" EACCES "$dir/create"
	equal "$type has no device yet" "$(names "$dir/devices")" ""
	available "$type"
	equal "$type can have the default number of devices" "$available" "$DEFAULT_MAX"
done

equal "names differ from type to type" "$(cat "$TYPES"/*/name | sort -u | wc -l)" 3
equal "descriptions differ from type to type" "$(cat "$TYPES"/*/description | sort -u | wc -l)" 3

for type in $ALL_TYPES; do
	create "$type"
	equal "$type lists its device" "$(names "$TYPES/$type/devices")" "$uuid"
	for other in $ALL_TYPES; do
		available "$other"
		equal "a device of $type counts for $other" "$available" $((DEFAULT_MAX - 1))
	done
	remove "$uuid"
	equal "$type no longer lists a removed device" "$(names "$TYPES/$type/devices")" ""
done
finish
