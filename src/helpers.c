// SPDX-License-Identifier: GPL-2.0-only
/*
 * Inline functions of the kernel's headers that Rust cannot call, as real ones.
 */
#include <linux/ratelimit.h>

void rust_helper_ratelimit_default_init(struct ratelimit_state *rs);

void rust_helper_ratelimit_default_init(struct ratelimit_state *rs)
{
	ratelimit_default_init(rs);
}
