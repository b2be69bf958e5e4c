/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Where a packet belongs: to which flow, and which way it goes there. */
#pragma once

#include "headers.h"
#include <bpf/bpf_helpers.h>

struct flow_key {
	u8 addresses[2][16]; /* IPv4 in the first four bytes; the end with the lower port is first */
	u16 ports[2];
	u16 protocol, family;
	u32 network; /* bpf/network.h */
};

struct place_in_flow {
	struct flow_key key;
	u32 source;  /* which of the flow's ends */
	u32 payload; /* where it begins; the packet's length where it is not to be looked at */
	u32 quoted;  /* 1: this is an error's, about the flow, and goes to the one whose packet it quotes */
	u32 tuple_size; /* 0: there is no tuple */
	struct bpf_sock_tuple tuple;
};

enum found {
	NOT_FOUND,
	FOUND,
	INDIRECT, /* IP, but its ports are not right behind the header: indirect.h may find it */
	NO_FIRST  /* a fragment, of whose datagram the first has not passed, or too long ago */
};

static __always_inline bool has_ports(u8 protocol)
{
	return protocol == TCP || protocol == UDP;
}

/* The order of two ends with the same port is that of their addresses; `size` is 4 or 16. */
static __always_inline bool is_greater(const u8 *source, const u8 *destination, const u32 size)
{
	bool greater = false;

#pragma unroll
	for (int i = size - 4; i >= 0; i -= 4)
		if (*(u32 *)(source + i) != *(u32 *)(destination + i))
			greater = *(u32 *)(source + i) > *(u32 *)(destination + i);
	return greater;
}

/* The addresses are of `size` bytes, a constant. */
static __always_inline void set_ends(struct place_in_flow *to, u8 protocol, const struct ports *ports,
				     const u8 *source, const u8 *destination, const u32 size)
{
	u32 first = __builtin_bswap16(ports->source) > __builtin_bswap16(ports->destination);

	to->key.protocol = protocol;
	if (size == 4) {
		to->tuple.ipv4.saddr = *(u32 *)source;
		to->tuple.ipv4.daddr = *(u32 *)destination;
		to->tuple.ipv4.sport = ports->source;
		to->tuple.ipv4.dport = ports->destination;
		to->tuple_size = sizeof(to->tuple.ipv4);
	} else {
		__builtin_memcpy(to->tuple.ipv6.saddr, source, size);
		__builtin_memcpy(to->tuple.ipv6.daddr, destination, size);
		to->tuple.ipv6.sport = ports->source;
		to->tuple.ipv6.dport = ports->destination;
		to->tuple_size = sizeof(to->tuple.ipv6);
	}
	if (ports->source == ports->destination)
		first = is_greater(source, destination, size);
	to->source = first;
	if (first) {
		__builtin_memcpy(to->key.addresses[1], source, size);
		__builtin_memcpy(to->key.addresses[0], destination, size);
		to->key.ports[1] = ports->source;
		to->key.ports[0] = ports->destination;
	} else {
		__builtin_memcpy(to->key.addresses[0], source, size);
		__builtin_memcpy(to->key.addresses[1], destination, size);
		to->key.ports[0] = ports->source;
		to->key.ports[1] = ports->destination;
	}
}

/* The ports at `at`, and where the payload begins behind them. False for what is no TCP or UDP. */
static __always_inline bool read_ports(struct __sk_buff *skb, u32 at, u8 protocol, struct place_in_flow *to,
				       const u8 *source, const u8 *destination, const u32 size)
{
	struct transport header = {};

	if (protocol == TCP) {
		if (bpf_skb_load_bytes(skb, at, &header, sizeof(header)))
			return false;
		to->payload = at + (header.offset >> 4) * 4;
	} else if (protocol == UDP) {
		if (bpf_skb_load_bytes(skb, at, &header, sizeof(header.ports)))
			return false;
		to->payload = at + 8;
	} else {
		return false;
	}
	set_ends(to, protocol, &header.ports, source, destination, size);
	return true;
}
