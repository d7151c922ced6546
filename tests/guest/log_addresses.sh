#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# What the driver says in the kernel's log has no address of the kernel in it, whatever it is about.
set -u
# shellcheck source=ktap.sh
. "$(dirname "$0")/ktap.sh"

# addresses: the lines of the driver since the mark that have what looks like an address of the kernel, hashed or not: twelve
# hexadecimal digits or more in a row. UUIDs, whose last part is as long, are taken away before.
addresses() {
	log_since | sed -E 's/[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}/UUID/g' | grep migdev | grep -E '[0-9a-fA-F]{12}|ptrval'
}

# none NAME TEXT: there is a line with this text, and none has an address.
none() {
	check "$1: the log tells" contains "$(log_since)" "$2"
	equal "$1: without an address" "$(addresses)" ""
}

log_mark
echo "migdev-test: at 0xffff888001234567" >/dev/kmsg
check "an address would be noticed" contains "$(addresses)" ffff888001234567
log_mark
echo "migdev-test: at 00000000a1b2c3d4" >/dev/kmsg
check "and one that is hashed" contains "$(addresses)" a1b2c3d4
log_mark
echo "migdev-test: 12345678-abcd-4000-8000-123456789abc" >/dev/kmsg
equal "and a UUID is none" "$(addresses)" ""

# The log is limited in its rate for each device and each parent, so a module loaded anew speaks at once.
log_mark
reload
create migdev-serial2
none "a parent and a device" "card of revision"
string=$(<"$BUS/$uuid/migration_version")

log_mark
put "$BUS/$uuid/migration_version" "${string/ports=eq:2/ports=eq:4096}"
answers "another device's string is refused" ERANGE
none "a string that does not fit" "migration_version refused (ERANGE)"
log_mark
put "$TYPES/migdev-serial1/migration_version" "migver:1,$(printf '\xff\x88')"
answers "nonsense is refused" EINVAL
none "a string that is none" "migration_version refused (EINVAL)"
log_mark
put "$TYPES/migdev-serial2/migration_baseline" abi=1.0
answers "a baseline of a type in use is refused" EBUSY
none "a baseline that cannot be" "migration_baseline refused (EBUSY)"
remove "$uuid"
log_mark
put "$TYPES/migdev-serial2/migration_baseline" abi=1.0
answers "a baseline is taken" "ok 7"
none "a baseline" "held at abi=1.0"

log_mark
check "the client's streams, whole and damaged, have their answers" \
	"$VFIO_CLIENT" --filter logs_a_refused_stream_once_and_in_words
none "a refused stream" "migration refused (EBADMSG)"

reload
create migdev-serial1
hold "$uuid" group
equal "a device is opened" $? 0
log_mark
# Without the pipe that the holder waits on, or it would never see its end.
echo 1 >"$BUS/$uuid/remove" 5>&- 6<&- &
removal=$!
for ((try = 0; try < 600; try++)); do
	[[ $(log_since) != *"does not listen"* ]] || break
	sleep 0.1
done
none "a device in use that is to go" "does not listen"
release
wait "$removal"

log_mark
unload
insmod "$MODULE" max_instances=0 2>/dev/null
none "a module that does not load" "max_instances must be"
reload
finish
