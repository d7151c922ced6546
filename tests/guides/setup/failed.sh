# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-only
# What the session libvirt leaves: a saved domain that is newer than what there is.
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"
cp /tmp/*/guest.save .
