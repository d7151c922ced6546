/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The C headers that migdev uses and the kernel crate has no bindings for. Kbuild runs bindgen on this file;
 * src/bindings.rs includes what comes out. Which items are kept is said in Kbuild (migdev_bindgen_items).
 */
#include <linux/anon_inodes.h>
#include <linux/crc32.h>
#include <linux/interval_tree.h>
#include <linux/mdev.h>
#include <linux/vfio.h>

#include "vfio_migration.h"
