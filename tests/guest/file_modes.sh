#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# Who may use the files of the driver: all of them belong to root, and others may read the text files of sysfs and no more.
set -u
# shellcheck source=ktap.sh
. "$(dirname "$0")/ktap.sh"

debugfs=/sys/kernel/debug/migdev
create migdev-serial2

# mode FILE WANT: the permission bits, and root as the owner and the group.
mode() { equal "${1/$uuid/UUID}: mode, owner and group" "$(stat -c '%a %u %g' "$1")" "$2 0 0"; }

# no_more FILE: who is not root cannot write it.
no_more() { put_is "${1/$uuid/UUID}: an ordinary user cannot write it" EACCES "$1" x 0 65534; }

for dir in "$TYPES/migdev-serial2" "$BUS/$uuid"; do
	mode "$dir/migration_version" 644
	no_more "$dir/migration_version"
done
mode "$TYPES/migdev-serial2/migration_baseline" 644
no_more "$TYPES/migdev-serial2/migration_baseline"
mode "$TYPES/migdev-serial2/migration_baselines" 444
no_more "$TYPES/migdev-serial2/migration_baselines"
put_is "migration_baselines: nor can root" EACCES "$TYPES/migdev-serial2/migration_baselines" abi=1.0
mode "$TYPES/migdev-serial2/create" 200
mode "$BUS/$uuid/remove" 200

# Nothing but what is listed here is the driver's, so a new file is noticed.
equal "a device has no other files" \
	"$(find "$BUS/$uuid/" -maxdepth 1 -type f -printf '%f\n' | sort | paste -sd ' ')" "migration_version remove uevent"
if [ -d "$debugfs" ]; then
	equal "debugfs has one file of it" "$(names "$debugfs/$uuid")" migration
	mode "$debugfs/$uuid/migration" 400
	get_is "what debugfs shows is for root alone" EACCES "$debugfs/$uuid/migration" 0 65534
fi
finish
