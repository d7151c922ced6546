/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The C headers that migdev uses and the kernel crate has no bindings for. Kbuild runs bindgen on this file;
 * src/bindings.rs includes what comes out. Which items are kept is said in Kbuild (migdev_bindgen_items).
 */
#include <linux/mdev.h>
#include <linux/vfio.h>
