/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What a call, or a socket, has moved at once: to its place in its connection's stream, and into the ring. */
#pragma once

#include "announce.h"
#include "data.h"

/* What was read or written at once. */
struct span {
	u64 time; /* of a read its return, and of a write to a socket; of a call that writes its beginning */
	u64 address;
	u64 size;
	u8 direction; /* enum direction */
	u8 absent;    /* it is nowhere in the program's memory */
};

/* Send it, where its connection is wanted. */
static __always_inline void pass_on(struct connection *c, u64 handle, const struct span *span)
{
	struct rest rest;

	if (c && c->unwanted) {
		if (c->announced) /* while its addresses were not known */
			announce(c, handle, span->time);
		return;
	}
	see(span->size);
	if (!c) {
		lose(MAP_FULL, span->size);
		return;
	}
	rest = (struct rest){
	    .connection = c->id,
	    .time = span->time,
	    .offset = c->offset[span->direction & 1],
	    .address = span->address,
	    .end = span->address + span->size,
	    .direction = span->direction & 1,
	};
	c->offset[rest.direction] += span->size;
	if (!announce(c, handle, span->time))
		lose(RING_FULL, span->size);
	else if (span->absent)
		miss(&rest, span->size, SENDFILE);
	else
		send(&rest);
}
