/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* A connection's addresses and role, from the surest witness that there is. */
#pragma once

#include "announce.h"
#include "call.h"
#include "ends.h"
#include "hello.h"

#define LOOKS 4 /* early data is written before the hello leaves */

/*
 * The connection's addresses, by what is surest: the hello that its own object remembers; the socket that
 * this thread has used inside the call; the descriptor that the library was told.
 */
static __always_inline void find_addresses(struct connection *c, const struct frame *frame)
{
	u32 server = 0;
	struct sock *sk;

	if (c->looked < LOOKS && is_connection(c->target, frame->handle) &&
	    read_fact(c->target, IS_SERVER, frame->handle, &server)) {
		c->looked++;
		find_hello(c->target, frame->handle, server, &c->ends);
	}
	if (!c->ends.family) {
		sk = (void *)frame->sk ?: socket_of(c->fd);
		if (sk)
			read_endpoints(sk, &c->ends);
	}
	c->unwanted = c->ends.family && !wanted_ends(&c->ends);
}
