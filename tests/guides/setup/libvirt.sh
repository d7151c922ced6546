# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-only
# A host with libvirt, and on it a domain "guest" that is defined with a device. Its guest is the firmware, which waits.
if ! virsh --quiet version >/dev/null 2>&1; then
	mkdir -p /run/libvirt /var/log/libvirt/qemu /var/lib/libvirt/qemu /var/cache/libvirt/qemu
	pgrep -f systemd-udevd >/dev/null || /usr/lib/systemd/systemd-udevd --daemon
	udevadm trigger
	udevadm settle
	virtlogd --daemon
	PATH=/usr/sbin:/usr/bin libvirtd --daemon
	until virsh --quiet version >/dev/null 2>&1; do sleep 0.2; done
fi
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"
card=$(cd /sys/class/mdev_bus && echo 0000:* | cut -d ' ' -f 1)
echo 83b8f4f2-509f-382f-3c1e-e6bfe0fa1001 >"/sys/class/mdev_bus/$card/mdev_supported_types/migdev-serial2/create"
virsh --quiet define /dev/stdin <<'END'
<domain type='qemu'>
  <name>guest</name>
  <uuid>2f7a1f0e-6f4b-4a39-9d0c-0d6f2b6e5c11</uuid>
  <memory unit='MiB'>64</memory>
  <vcpu>1</vcpu>
  <os><type arch='x86_64' machine='pc-q35-10.0'>hvm</type></os>
  <cpu mode='custom' match='exact' check='none'><model>qemu64</model></cpu>
  <devices>
    <emulator>/usr/bin/qemu-system-x86_64</emulator>
    <controller type='usb' model='none'/>
    <memballoon model='none'/>
    <hostdev mode='subsystem' type='mdev' model='vfio-pci'>
      <source><address uuid='83b8f4f2-509f-382f-3c1e-e6bfe0fa1001'/></source>
      <address type='pci' bus='0' slot='5'/>
    </hostdev>
  </devices>
</domain>
END
virsh --quiet start guest
dmesg --clear
