# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-only
# A host with one device.
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"
echo 83b8f4f2-509f-382f-3c1e-e6bfe0fa1001 >/sys/class/mdev_bus/migdev/mdev_supported_types/migdev-serial2/create
