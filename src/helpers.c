// SPDX-License-Identifier: GPL-2.0-only
/*
 * What Rust cannot call or be called by: inline functions of the kernel's headers, tracepoints, and callbacks that
 * take an enum, whose type control-flow integrity checks and Rust does not have.
 */
#include <linux/ratelimit.h>

#include "vfio_migration.h"

#define CREATE_TRACE_POINTS
#include "migdev_trace.h"

void rust_helper_ratelimit_default_init(struct ratelimit_state *rs);
void rust_helper_trace_migdev_state(const char *device, u32 from, u32 to);

void rust_helper_ratelimit_default_init(struct ratelimit_state *rs)
{
	ratelimit_default_init(rs);
}

void rust_helper_trace_migdev_state(const char *device, u32 from, u32 to)
{
	trace_migdev_state(device, from, to);
}

static const struct rust_vfio_migration_ops *rust_ops(struct vfio_device *device)
{
	return container_of(device->mig_ops, struct rust_vfio_migration_ops, ops);
}

struct file *rust_helper_vfio_migration_set_state(struct vfio_device *device, enum vfio_device_mig_state state)
{
	return rust_ops(device)->set_state(device, state);
}

int rust_helper_vfio_migration_get_state(struct vfio_device *device, enum vfio_device_mig_state *state)
{
	u32 number;
	int ret = rust_ops(device)->get_state(device, &number);

	if (!ret)
		*state = number;
	return ret;
}
