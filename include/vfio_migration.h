/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The migration callbacks of a vfio device as Rust has them: with an integer for the state, which user space chose
 * freely, in place of an enum. src/helpers.c has the callbacks that the VFIO core calls, and that call these.
 */
#ifndef MIGDEV_VFIO_MIGRATION_H
#define MIGDEV_VFIO_MIGRATION_H

#include <linux/vfio.h>

struct rust_vfio_migration_ops {
	struct vfio_migration_ops ops;
	struct file *(*set_state)(struct vfio_device *device, u32 state);
	int (*get_state)(struct vfio_device *device, u32 *state);
};

struct file *rust_helper_vfio_migration_set_state(struct vfio_device *device, enum vfio_device_mig_state state);
int rust_helper_vfio_migration_get_state(struct vfio_device *device, enum vfio_device_mig_state *state);

#endif
