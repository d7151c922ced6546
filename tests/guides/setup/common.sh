# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-only
# What every session begins with: no domain that runs, no devices, no type held, a quiet kernel log, and ssh to the fleet.
guides=$(dirname "${BASH_SOURCE[0]}")/..
PATH=$(cd "$guides/bin" && pwd):$PATH
export PATH MIGVER_SSH=ssh
if [ -e /run/libvirt/libvirt-sock ]; then virsh --quiet destroy guest >/dev/null 2>&1; fi
for each in /sys/bus/mdev/devices/*/remove; do [ ! -e "$each" ] || echo 1 >"$each"; done
for each in /sys/class/mdev_bus/*/mdev_supported_types/*/migration_baseline; do echo abi=1.1,stream=2 >"$each"; done
rm -f /etc/udev/rules.d/60-migdev-baseline.rules
dmesg --clear
