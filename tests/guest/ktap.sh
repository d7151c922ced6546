# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-only
# What the scripts beside this file share: the report, devices that are removed again, and names for paths. To be
# sourced. MODULE names migdev.ko, VFIO_CLIENT the client; both come from whoever runs the scripts.
# shellcheck source=report.sh
. "$(dirname "${BASH_SOURCE[0]}")/report.sh"

: "${MODULE:=migdev.ko}" "${VFIO_CLIENT:=vfio-client}"
# shellcheck disable=SC2034 # used by the scripts
BUS=/sys/bus/mdev/devices PARENT=/sys/class/mdev_bus/migdev
TYPES=$PARENT/mdev_supported_types
MIGRATABLE="migdev-serial1 migdev-serial2" LOCAL=migdev-serial1-local
# shellcheck disable=SC2034 # used by the scripts
ALL_TYPES="$MIGRATABLE $LOCAL" DEFAULT_MAX=4096

made=() uuids=0 uuid='' answer='' available=''

# answers NAME WANT: the last answer of the client.
answers() { equal "$1" "$answer" "$2"; }

# put FILE STRING [OFFSET [USER]]: one write(2); sets `answer` to `ok COUNT` or the errno's name. A NUL cannot be put.
put() { ask write "$1" "${3:-0}" "${4:-0}" "$2"; }

# get FILE [OFFSET [USER]]: one read(2); sets `answer` to `ok TEXT` or the errno's name, newlines included.
get() { ask read "$1" "${2:-0}" "${3:-0}" 65536; }

# put_is NAME WANT FILE STRING [OFFSET [USER]], get_is NAME WANT FILE [OFFSET [USER]]
put_is() {
	put "${@:3}"
	answers "$1" "$2"
}

get_is() {
	get "${@:3}"
	answers "$1" "$2"
}

# One client serves the whole script; to start one for each access would take most of the time.
ask() {
	printf '%s\0' "$@" >&7
	IFS= read -r -d '' answer <&8
}

start_client() {
	mkfifo "$work/ask" "$work/answer"
	"$VFIO_CLIENT" attrs <"$work/ask" >"$work/answer" &
	client=$!
	exec 7>"$work/ask" 8<"$work/answer"
}

# finish: removes what was made and prints the plan. The last command of a script, so that its status is the script's.
finish() {
	remove_all
	plan
}

leave() {
	remove_all
	exec 7>&- 8<&-
	wait "$client"
	rm -r "$work"
}

# fresh_uuid: sets `uuid` to one that no device has.
fresh_uuid() {
	uuids=$((uuids + 1))
	printf -v uuid '%08x-%04x-4000-8000-%012x' $$ "$RANDOM" "$uuids"
}

# create TYPE: makes a device, and sets `uuid`.
create() {
	fresh_uuid
	made+=("$uuid")
	echo "$uuid" >"$TYPES/$1/create"
}

# remove UUID: returns when the device is gone.
remove() { echo 1 >"$BUS/$1/remove"; }

remove_all() {
	local each
	for each in "${made[@]}"; do
		if [ -e "$BUS/$each" ]; then remove "$each"; fi
	done
	made=()
}

# available TYPE: sets `available` to how many more devices there can be.
available() { available=$(<"$TYPES/$1/available_instances"); }

# instances NAME WANT: checks that number; all types share it.
instances() {
	available migdev-serial1
	equal "$1" "$available" "$2"
}

# unload: after it, the names of the drivers are free again.
unload() { rmmod migdev && soon absent /sys/bus/{mdev,pci}/drivers/migdev; }

# reload [PARAMETER]...: loads the module anew.
reload() {
	if [ -d /sys/module/migdev ]; then unload || return; fi
	modprobe mdev && insmod "$MODULE" "$@"
}

# log_mark: from here on, log_since prints what the kernel says, without what CONFIG_DEBUG_KOBJECT_RELEASE tells of each release.
log_mark() {
	mark="mark $$ $RANDOM$RANDOM"
	echo "migdev-test: $mark" >/dev/kmsg
}

log_since() { dmesg | sed "1,/migdev-test: $mark\$/d; /kobject: .*kobject_release/d"; }

# names DIRECTORY: what is in it, sorted, in one line.
names() {
	local list=("$1"/*)
	[ -e "${list[0]}" ] || return 0
	echo "${list[@]##*/}"
}

# hold UUID PATH [OPTION]...: another process opens the device and keeps it until `release`. Fails when it could not.
hold() {
	local said=
	mkfifo "$work/hold" "$work/held"
	"$VFIO_CLIENT" hold "$1" --path "$2" "${@:3}" <"$work/hold" >"$work/held" 7>&- 8<&- &
	holder=$!
	exec 5>"$work/hold" 6<"$work/held"
	read -r said <&6
	[ "$said" = open ]
}

release() {
	exec 5>&- 6<&-
	wait "$holder"
	rm "$work/hold" "$work/held"
}

work=$(mktemp -d)
start_client
[ -d /sys/module/migdev ] || reload "max_instances=$DEFAULT_MAX"
trap leave EXIT
