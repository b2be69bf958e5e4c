/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Which connections are wanted, by the port and the address of either end. Only one whose ends are known can
 * be decided here; join/select.py decides the others. attach/filters.py sets it.
 */
#pragma once

#include "sock.h"

const volatile u32 filter_port = 0; /* 1: only connections with an end in `ports` */
const volatile u32 filter_host = 0; /* 1: only connections with an end in `networks` */

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1); /* as many as there are */
	__type(key, u32);
	__type(value, u8);
} ports SEC(".maps");

struct network {
	u32 bits;
	u8 address[16]; /* IPv4 as IPv6 has it: RFC 4291 section 2.5.5.2 */
};

struct {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
	__uint(max_entries, 1); /* as many as there are */
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct network);
	__type(value, u8); /* 0: not these, though a larger network is wanted */
} networks SEC(".maps");

static __always_inline bool wanted_port(u32 port)
{
	return bpf_map_lookup_elem(&ports, &port);
}

static __always_inline bool wanted_host(u16 family, const u8 *address)
{
	struct network host = {.bits = 128};
	u8 *yes;

	if (family == AF_INET) {
		host.address[10] = host.address[11] = 0xff;
		__builtin_memcpy(host.address + 12, address, 4);
	} else {
		__builtin_memcpy(host.address, address, 16);
	}
	yes = bpf_map_lookup_elem(&networks, &host);
	return yes && *yes;
}

static __always_inline bool wanted_ends(const struct endpoints *ends)
{
	if (filter_port && !wanted_port(ends->local_port) && !wanted_port(ends->remote_port))
		return false;
	return !filter_host || wanted_host(ends->family, ends->local) ||
	       wanted_host(ends->family, ends->remote);
}
