# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-only
# A host with udev, on which the module is loaded after the rule was written.
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"
mkdir -p /etc/udev/rules.d
cat >/etc/udev/rules.d/60-migdev-baseline.rules <<'END'
ACTION=="change", ENV{MDEV_STATE}=="registered", \
  RUN+="/bin/sh -c 'for f in /sys%p/mdev_supported_types/migdev-*/migration_baseline; do echo abi=1.0,stream=1 >$$f; done'"
END
pgrep -f systemd-udevd >/dev/null || /usr/lib/systemd/systemd-udevd --daemon
udevadm control --reload
rmmod migdev
insmod "$guides/../migdev.ko"
udevadm settle
