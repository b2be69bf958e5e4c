/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What becomes of a library's connection object: each is a connection for as long as it lives. */
#pragma once

#include "plain.h"

/* A new object: whatever had its address before is gone, also where nobody has seen it go. */
static __always_inline void created(u64 handle, u32 target)
{
	if (wanted())
		open_connection(handle, target, 0);
	else
		close_connection(handle);
}

/* A free is the end only when nobody else holds a reference. */
static __always_inline void release(u64 object)
{
	u64 handle = handle_of(object);
	struct connection *c = find_connection(handle);

	if (c && c->shared)
		__sync_fetch_and_add(&c->shared, -1);
	else if (c)
		close_connection(handle);
}

/* The same object for another connection. Libraries also reset an object that was never used: that changes
 * nothing. */
static __always_inline void reset(u64 handle)
{
	struct connection *c = find_connection(handle);

	if (c && (c->offset[READ] || c->offset[WRITE] || c->unwanted))
		renew_connection(c);
}

static __always_inline void set_descriptor(u64 handle, u32 target, s32 fd)
{
	struct connection *c = find_connection(handle);

	if (!c && wanted())
		c = open_connection(handle, target, 1);
	if (c)
		c->fd = fd;
}
