#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# The module: what it says of itself, its parameter, loading and unloading in every state, and its uevents.
set -u
# shellcheck source=ktap.sh
. "$(dirname "$0")/ktap.sh"

equal "the name" "$(modinfo -F name "$MODULE")" migdev
equal "the license" "$(modinfo -F license "$MODULE")" GPL
check "an author" contains "$(modinfo -F author "$MODULE")" "[A-Za-z]"
check "a description" contains "$(modinfo -F description "$MODULE")" "[A-Za-z]"
check "max_instances is described" contains "$(modinfo -F parm "$MODULE")" "max_instances:*[A-Za-z]"
check "it depends on mdev" contains ",$(modinfo -F depends "$MODULE")," ,mdev,

# What there is of the module while it is loaded.
traces=(/sys/module/migdev "$PARENT" /sys/devices/virtual/migdev /sys/class/migdev /sys/bus/mdev/drivers/migdev)

check "while loaded it can be found" [ -d "${traces[0]}" -a -d "${traces[1]}" -a -d "${traces[2]}" ]
check "an idle module can be unloaded" unload
check "nothing of it is left then" absent "${traces[@]}"

# refused NAME PARAMETER: the module does not load, and leaves nothing.
refused() {
	local said
	said=$(insmod "$MODULE" "$2" 2>&1)
	note "insmod: $said"
	check "$1" contains "$said" "@(Invalid|out of range)"
	check "and leaves nothing behind ($2)" absent "${traces[@]}"
	[ ! -d /sys/module/migdev ] || unload
}

refused "max_instances of 0 is refused" max_instances=0
refused "max_instances of -1 is refused" max_instances=-1
refused "max_instances of a word is refused" max_instances=many
refused "max_instances beyond 32 bits is refused" max_instances=4294967296

for limit in 1 3 4294967295; do
	check "it loads with max_instances=$limit" insmod "$MODULE" "max_instances=$limit"
	instances "$limit devices can be created" "$limit"
	unload
done
insmod "$MODULE" max_instances=1
create migdev-serial1
fresh_uuid
put_is "the second of one device is refused" EUSERS "$TYPES/migdev-serial2/create" "$uuid"
remove_all
check "it loads with the default" reload
instances "the default is $DEFAULT_MAX" "$DEFAULT_MAX"
check "it cannot be loaded twice" contains "$(insmod "$MODULE" 2>&1)" "File exists"

equal "nobody holds an idle module" "$(</sys/module/migdev/refcnt)" 0
for path in group cdev; do
	create migdev-serial2
	equal "an idle device does not hold the module ($path)" "$(</sys/module/migdev/refcnt)" 0
	hold "$uuid" "$path"
	equal "the device can be opened ($path)" $? 0
	equal "an open device holds the module ($path)" "$(</sys/module/migdev/refcnt)" 1
	said=$(rmmod migdev 2>&1)
	check "unloading is refused while a device is open ($path)" contains "$said" "in use"
	check "the module and the device are still there ($path)" [ -d /sys/module/migdev -a -e "$BUS/$uuid" ]
	release
	equal "a closed device does not hold the module ($path)" "$(</sys/module/migdev/refcnt)" 0
	remove "$uuid"
done

create migdev-serial1
hold "$uuid" group --polite
equal "a user who listens to requests opens a device" $? 0
check "removal asks that user to leave, and ends" timeout 9 bash -c "echo 1 >'$BUS/$uuid/remove'"
release
check "the device is gone" [ ! -e "$BUS/$uuid" ]

shown=/sys/kernel/debug/migdev
if [ -d "$shown" ]; then
	create migdev-serial1
	exec 9<"$shown/$uuid/migration"
	equal "an open file in debugfs holds the module" "$(</sys/module/migdev/refcnt)" 1
	remove "$uuid"
	check "its device is gone" absent "$BUS/$uuid" "$shown/$uuid"
	check "unloading is refused while it is open" contains "$(rmmod migdev 2>&1)" "in use"
	check "the module is still there" [ -d /sys/module/migdev ]
	check "it says nothing any more" [ -z "$(cat <&9 2>&1 | grep state:)" ]
	exec 9<&-
	equal "once it is closed, it does not" "$(</sys/module/migdev/refcnt)" 0
	check "the module can be unloaded then" unload
	reload
fi

for type in $ALL_TYPES $ALL_TYPES; do create "$type"; done
check "unloading removes idle devices" unload
equal "no device is left" "$(names "$BUS")" ""
check "nothing of the module is left" absent "${traces[@]}"
equal "no group is left" "$(find /dev/vfio -type c ! -name vfio | wc -l)" 0

rounds=$(times 20)
for ((round = 1; round <= rounds; round++)); do
	insmod "$MODULE" || break
	[ $((round % 2)) -eq 0 ] || create migdev-serial2
	unload || break
done
equal "it can be loaded and unloaded again and again ($rounds times)" "$round" $((rounds + 1))

"$VFIO_CLIENT" uevents --seconds 600 --look "/sys/devices/virtual/migdev/migdev/mdev_supported_types/migdev-serial1" \
	>"$work/events" &
listener=$!
until grep -qs listening "$work/events"; do sleep 0.05; done
reload
create migdev-serial1
remove "$uuid"
unload
# The last that is announced of the module.
for ((try = 0; try < 600; try++)); do
	! grep -q '^remove@/module/migdev ' "$work/events" || break
	sleep 0.1
done
kill "$listener"
wait "$listener"
parent=/devices/virtual/migdev/migdev
grep "^[a-z]*@$parent" "$work/events" | cut -d ' ' -f 1,5- | while IFS= read -r line; do note "$line"; done
registered=$(grep -A1 "^change@$parent .*MDEV_STATE=registered" "$work/events")
equal "registration is announced, and again once the files are there" "$(grep -c ^change <<<"$registered")" 2
check "migration_version is there at the second announcement" \
	contains "$(tail -n 1 <<<"$registered")" " files:*migration_version"
equal "the end is announced once" "$(grep -c "^change@$parent .*MDEV_STATE=unregistered" "$work/events")" 1
for action in add bind unbind remove; do
	check "a device announces $action" grep -q "^$action@$parent/$uuid " "$work/events"
done

reload
finish
