/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Tracepoints of migdev, in /sys/kernel/tracing/events/migdev.
 */
#undef TRACE_SYSTEM
#define TRACE_SYSTEM migdev

#if !defined(MIGDEV_TRACE_H) || defined(TRACE_HEADER_MULTI_READ)
#define MIGDEV_TRACE_H

#include <linux/tracepoint.h>
#include <linux/vfio.h>

/* So that programs which read the format know the numbers. */
TRACE_DEFINE_ENUM(VFIO_DEVICE_STATE_ERROR);
TRACE_DEFINE_ENUM(VFIO_DEVICE_STATE_STOP);
TRACE_DEFINE_ENUM(VFIO_DEVICE_STATE_RUNNING);
TRACE_DEFINE_ENUM(VFIO_DEVICE_STATE_STOP_COPY);
TRACE_DEFINE_ENUM(VFIO_DEVICE_STATE_RESUMING);
TRACE_DEFINE_ENUM(VFIO_DEVICE_STATE_RUNNING_P2P);
TRACE_DEFINE_ENUM(VFIO_DEVICE_STATE_PRE_COPY);
TRACE_DEFINE_ENUM(VFIO_DEVICE_STATE_PRE_COPY_P2P);

#define migdev_show_state(state)					\
	__print_symbolic(state,						\
		{ VFIO_DEVICE_STATE_ERROR, "ERROR" },			\
		{ VFIO_DEVICE_STATE_STOP, "STOP" },			\
		{ VFIO_DEVICE_STATE_RUNNING, "RUNNING" },		\
		{ VFIO_DEVICE_STATE_STOP_COPY, "STOP_COPY" },		\
		{ VFIO_DEVICE_STATE_RESUMING, "RESUMING" },		\
		{ VFIO_DEVICE_STATE_RUNNING_P2P, "RUNNING_P2P" },	\
		{ VFIO_DEVICE_STATE_PRE_COPY, "PRE_COPY" },		\
		{ VFIO_DEVICE_STATE_PRE_COPY_P2P, "PRE_COPY_P2P" })

TRACE_EVENT(migdev_state,
	TP_PROTO(const char *device, u32 from, u32 to),
	TP_ARGS(device, from, to),
	TP_STRUCT__entry(
		__string(device, device)
		__field(u32, from)
		__field(u32, to)
	),
	TP_fast_assign(
		__assign_str(device);
		__entry->from = from;
		__entry->to = to;
	),
	TP_printk("device=%s from=%s to=%s", __get_str(device),
		  migdev_show_state(__entry->from), migdev_show_state(__entry->to))
);

#endif

#undef TRACE_INCLUDE_PATH
#define TRACE_INCLUDE_PATH .
#undef TRACE_INCLUDE_FILE
#define TRACE_INCLUDE_FILE migdev_trace
#include <trace/define_trace.h>
