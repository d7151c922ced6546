// SPDX-License-Identifier: GPL-2.0-only

//! What libvirt and mdevctl get to see of migver, as far as neither is needed for it.

mod libvirt_choice;
mod libvirt_hook;
mod libvirt_host;
mod libvirt_stamp;
mod libvirt_tree;
mod libvirt_xml;
mod mdevctl;
