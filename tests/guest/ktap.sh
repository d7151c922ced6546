# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-only
# What the scripts beside this file share: the report (KTAP version 1, the plan at its end), devices that are removed
# again, and names for paths. To be sourced. MODULE names migdev.ko, VFIO_CLIENT the client; both come from whoever
# runs the scripts.

: "${MODULE:=migdev.ko}" "${VFIO_CLIENT:=vfio-client}"
# shellcheck disable=SC2034 # used by the scripts
BUS=/sys/bus/mdev/devices PARENT=/sys/class/mdev_bus/migdev
TYPES=$PARENT/mdev_supported_types
MIGRATABLE="migdev-serial1 migdev-serial2" LOCAL=migdev-serial1-local
# shellcheck disable=SC2034 # used by the scripts
ALL_TYPES="$MIGRATABLE $LOCAL" DEFAULT_MAX=4096

results=0 failures=0 made=() uuids=0 uuid='' answer='' available=''

# note TEXT: a diagnostic.
note() {
	local text=$*
	printf '# %s\n' "${text//$'\n'/$'\n'# }"
}

# pass NAME, miss NAME [REASON]: one result.
pass() {
	results=$((results + 1))
	printf 'ok %d %s\n' "$results" "$1"
}

miss() {
	results=$((results + 1)) failures=$((failures + 1))
	[ $# -lt 2 ] || note "${*:2}"
	printf 'not ok %d %s\n' "$results" "$1"
}

# check NAME COMMAND...: passes when the command succeeds; its output is shown when not.
check() {
	local output
	if output=$("${@:2}" 2>&1); then pass "$1"; else miss "$1" "${output:-${*:2}: no}"; fi
}

# equal NAME GOT WANT
equal() {
	if [ "$2" = "$3" ]; then pass "$1"; else miss "$1" "got: $2" $'\n'"want: $3"; fi
}

# contains TEXT PATTERN: the text has a part that matches the glob pattern.
# shellcheck disable=SC2053 # a pattern
contains() { [[ $1 == *$2* ]]; }

# absent PATH...: none of them exists.
absent() {
	local each
	for each in "$@"; do
		if [ -e "$each" ] || [ -L "$each" ]; then
			echo "$each exists"
			return 1
		fi
	done
}

# within NUMBER LEAST MOST
within() { [ "$1" -ge "$2" ] && [ "$1" -le "$3" ]; }

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
	printf '1..%d\n' "$results"
	[ "$failures" -eq 0 ]
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

# unload: returns when the names of the drivers are free again, which a kernel with CONFIG_DEBUG_KOBJECT_RELEASE takes its
# time for.
unload() {
	rmmod migdev || return
	for _ in {1..100}; do
		! absent /sys/bus/{mdev,pci}/drivers/migdev >/dev/null || return 0
		sleep 0.1
	done
}

# reload [PARAMETER]...: loads the module anew.
reload() {
	if [ -d /sys/module/migdev ]; then unload || return; fi
	modprobe mdev && insmod "$MODULE" "$@"
}

# log_mark: from here on, log_since prints what the kernel says.
log_mark() {
	mark="mark $$ $RANDOM$RANDOM"
	echo "migdev-test: $mark" >/dev/kmsg
}

log_since() { dmesg | sed "1,/migdev-test: $mark\$/d"; }

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
echo "KTAP version 1"
trap leave EXIT
