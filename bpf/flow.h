/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Flows: the packets between two ends, both ways. A flow says whose its packets are, and which have to wait.
 */
#pragma once

#include "indirect.h"
#include "owner.h"
#include "packet.h"

enum waiting { NOTHING, KEYS, NO_LONGER };

/* One end of a flow: of a connection within the machine both are known. */
struct end {
	u64 sock; /* 0: not known */
	u32 wanted;
	u32 looked;  /* how often the socket was looked for */
	u64 learned; /* `owners_so_far` then */
	struct options options;
};

struct flow {
	u64 id; /* another one for each hello */
	u64 until;
	u64 waits; /* enum waiting */
	s64 room;  /* for so many bytes of it; below 0 where several CPUs have asked for the last */
	struct end ends[2];
};

/* The oldest go first: such a flow is looked at anew with its next packet. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 32768);
	__type(key, struct flow_key);
	__type(value, struct flow);
} flows SEC(".maps");

/* Too large for the stack. */
static const struct flow fresh_flow = {.ends[0].options.size = 4, .ends[1].options.size = 4};

/*
 * `enum found`. This is the straight way: that of a packet whose ports stand right behind the IP header. With
 * INDIRECT `to->payload` is where that header begins; the caller looks further, for the two do not fit on one
 * stack.
 */
static __noinline int find_place(struct __sk_buff *skb, u32 link, struct place_in_flow *to)
{
	u16 protocol = __builtin_bswap16(skb->protocol);
	struct ipv4 v4;
	struct ipv6 v6;
	u32 at = link;

	if (protocol == ETH_P_8021Q || protocol == ETH_P_8021AD) {
		if (bpf_skb_load_bytes(skb, at + 2, &protocol, sizeof(protocol)))
			return NOT_FOUND;
		protocol = __builtin_bswap16(protocol);
		at += TAG_SIZE;
	}
	to->key.family = protocol;
	if (protocol == ETH_P_IP) {
		if (bpf_skb_load_bytes(skb, at, &v4, sizeof(v4)))
			return NOT_FOUND;
		if (!(v4.fragment & __builtin_bswap16(FRAGMENT_OFFSET | MORE_FRAGMENTS)) &&
		    read_ports(skb, at + v4.length * 4, v4.protocol, to, v4.source, v4.destination, 4))
			return FOUND;
	} else if (protocol == ETH_P_IPV6) {
		if (bpf_skb_load_bytes(skb, at, &v6, sizeof(v6)))
			return NOT_FOUND;
		if (read_ports(skb, at + sizeof(v6), v6.protocol, to, v6.source, v6.destination, 16))
			return FOUND;
	} else {
		return NOT_FOUND;
	}
	to->payload = at;
	return INDIRECT;
}

/* The flow of a place that was found; NULL for an error about none that is known. */
static __always_inline struct flow *flow_of(const struct place_in_flow *place)
{
	struct flow *flow = bpf_map_lookup_elem(&flows, &place->key);

	if (flow || place->quoted)
		return flow;
	bpf_map_update_elem(&flows, &place->key, &fresh_flow, BPF_NOEXIST);
	return bpf_map_lookup_elem(&flows, &place->key);
}

/* Learn whose one end of a flow is, by its socket; anew where a socket has another owner since. */
static __always_inline void learn_owner(struct end *end, u64 sock)
{
	u64 so_far = owners_so_far;
	struct owner *owner;

	if (!sock || (end->sock == sock && end->learned == so_far))
		return;
	owner = bpf_map_lookup_elem(&owners, &sock);
	if (!owner)
		return;
	end->options = owner->options;
	end->wanted = owner->wanted;
	end->learned = so_far;
	end->sock = sock;
}
