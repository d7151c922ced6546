#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# migver, the command-line tool, on the sysfs of a real kernel: it shows what is there, its verdict is the kernel's, and what
# it advises works.
set -u
shopt -s extglob
# shellcheck source=ktap.sh
. "$(dirname "$0")/ktap.sh"

card=$(grep -lx 0x11e8 /sys/bus/pci/devices/*/device | head -n 1 | xargs -r dirname | xargs -r basename)
check "the machine has a card" [ -n "$card" ]
type=migdev-serial2
create "$type"
string=$(<"$BUS/$uuid/migration_version")

# gives NAME STATUS OUTPUT ARGUMENT...: what migver answers and prints.
gives() {
	local output code=0
	output=$(migver "${@:4}" 2>&1) || code=$?
	equal "$1" "$code $output" "$2 $3"
}

# shows NAME PATTERN ARGUMENT...: it answers yes, and prints something that matches.
shows() {
	local output
	output=$(migver "${@:3}" 2>&1) || miss "$1" "$output" || return
	check "$1" contains "$output" "$2"
}

for parent in migdev "$card"; do
	for each in $MIGRATABLE; do
		own=$(<"/sys/class/mdev_bus/$parent/mdev_supported_types/$each/migration_version")
		shows "it shows $parent/$each" "$parent*( )$each*( )vfio-pci*$own" show "$parent/$each"
	done
	shows "it shows that $parent/$LOCAL does not migrate" "$LOCAL*(does not migrate)" show "$parent"
done
shows "it shows a device" "$uuid*( )migdev*( )$type*( )$string" show "$uuid"
shows "its inventory has the device" "$uuid*\"parent\": \"migdev\"*\"type\": \"$type\"*$string" inventory
shows "its inventory has the kernel" "\"kernel\": \"$(uname -r)\"" inventory

# agree ERRNO WHAT STRING DESTINATION: migver refuses with that errno, and so does the kernel.
agree() {
	local output code=0
	output=$(migver check --kernel "$3" "$4" 2>&1) || code=$?
	equal "$1 for $2 at ${4/$uuid/DEVICE}" "$code ${output##*kernel: }" "1 refuses with $1"
}

for where in "migdev/$type" "$card/$type" "$type" "$uuid" "$BUS/$uuid"; do
	gives "the string of its own at ${where/$uuid/DEVICE}" 0 $'compatible\nkernel: compatible' check --kernel "$string" "$where"
	agree "E2BIG (too-long)" "a string too long" "migver:1,$(printf '%02000d' 0)" "$where"
	agree "EINVAL (malformed)" "capitals" "migver:1,${string^^}" "$where"
	agree "EXDEV (other-device)" "another vendor" "${string/vendor=migdev/vendor=acme}" "$where"
	agree "EPROTO (version)" "a newer ABI" "${string/abi=1./abi=1.9}" "$where"
	agree "EPROTO (version)" "a later schema" "${string/migver:1/migver:2}" "$where"
	agree "EPROTO (version)" "a newer stream" "${string/stream=*([!,])/stream=9:1-9}" "$where"
	agree "EOPNOTSUPP (feature)" "a feature" "${string/,param/,needs=x,takes=x,param}" "$where"
	agree "EOPNOTSUPP (feature)" "an extension" "$string,ext.x=must:1" "$where"
	agree "ERANGE (parameter)" "a port less" "${string/ports=eq:2/ports=eq:1}" "$where"
done
# The card is held where an older host would be. What migver advises lets devices of the software parent go there.
held=/sys/class/mdev_bus/$card/mdev_supported_types/$type/migration_baseline
echo abi=1.0,stream=1 >"$held"
advice=$(migver explain "$uuid" "$card/$type" | sed -n 's/^  echo /echo /p')
check "it says how to hold the type" contains "$advice" "echo abi=1.0,stream=1 >/sys/*/$type/migration_baseline"
remove_all
bash -c "$advice"
create "$type"
gives "and that lets a new device go there" 0 $'compatible\nkernel: compatible' check --kernel "$uuid" "$card/$type"
remove_all
echo abi=1.1,stream=2 | tee "$held" >"$TYPES/$type/migration_baseline"

finish
