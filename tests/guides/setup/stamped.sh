# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-only
# The domain "guest" runs, and carries the string of its device.
. "$(dirname "${BASH_SOURCE[0]}")/libvirt.sh"
migver libvirt-stamp guest >/dev/null
