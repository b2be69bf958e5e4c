/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Flows: the packets between two ends, both ways. A flow says whose its packets are, and which of them have
 * to wait: Wireshark decrypts a packet only where the file has had its keys before (draft-ietf-opsawg-pcapng
 * section 4.7). So from a ClientHello on packets are held, until the secrets of that hello's random have
 * passed through the ring, or for `hold_time`.
 */
#pragma once

#include "headers.h"
#include "owner.h"
#include "packet.h"

#define ETH_P_IP 0x0800
#define ETH_P_IPV6 0x86dd
#define ETH_P_8021Q 0x8100
#define ETH_P_8021AD 0x88a8
#define TCP 6
#define UDP 17
#define FRAGMENT_OFFSET 0x1fff /* RFC 791 section 3.1 */
#define QUIC_FIRST 1200	       /* RFC 9000 section 14.1: no client's first datagram is smaller */
#define QUIC_1 1
#define QUIC_2 0x6b3343cf      /* RFC 9369 section 3.1 */
#define HELD_BYTES (256 << 10) /* a handshake moves less: whatever comes then, the keys do not */
#define SAME_HELLO 4	       /* flows that a proxy or NAT hands one hello on through */

const volatile u64 hold_time = 0; /* ns; 0: nothing is held */

struct flow_key {
	u8 addresses[2][16]; /* IPv4 in the first four bytes; the end with the lower port is first */
	u16 ports[2];
	u16 protocol, family;
	u32 network; /* bpf/network.h */
};

enum waiting { NOTHING, KEYS, NO_LONGER };

/* One end of a flow: of a connection within the machine both are known. */
struct end {
	u64 sock; /* 0: not known */
	u32 wanted;
	u32 looked; /* how often the socket was looked for */
	struct options options;
};

struct flow {
	u64 id; /* another one for each hello */
	u64 until;
	u64 waits; /* enum waiting */
	u64 room;  /* for so many bytes of it */
	struct end ends[2];
};

/* The oldest go first: such a flow is looked at anew with its next packet. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 32768);
	__type(key, struct flow_key);
	__type(value, struct flow);
} flows SEC(".maps");

/* Which flows wait for the secrets of a hello, and which of them have come (enum label, a bit each). */
struct expected {
	u32 labels;
	u32 count;
	struct flow_key flows[SAME_HELLO];
};

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 16384);
	__type(key, struct random);
	__type(value, struct expected);
} expected SEC(".maps");

/* All secrets that its packets need have been handed on. */
struct keyed {
	struct head head;
	u64 flow;
};

/* What is at the same place in both: the ports; and of TCP the length of its header. */
struct transport {
	u16 source, destination;
	u8 between[8];
	u8 offset; /* the upper half, in words */
};

/* Where a packet belongs. */
struct place_in_flow {
	struct flow_key key;
	u32 source;  /* which of the flow's ends */
	u32 payload; /* where it begins */
	struct bpf_sock_tuple tuple;
	u32 tuple_size;
};

static u64 flows_so_far;

static __always_inline bool read_ports(struct __sk_buff *skb, u32 at, u8 protocol, struct place_in_flow *to,
				       const u8 *source, const u8 *destination, const u32 size)
{
	struct transport ends = {};
	u32 first;

	if (protocol == TCP) {
		if (bpf_skb_load_bytes(skb, at, &ends, sizeof(ends)))
			return false;
		to->payload = at + (ends.offset >> 4) * 4;
	} else if (protocol == UDP) {
		if (bpf_skb_load_bytes(skb, at, &ends, 4))
			return false;
		to->payload = at + 8;
	} else {
		return false;
	}
	to->key.protocol = protocol;
	if (size == 4) {
		to->tuple.ipv4.saddr = *(u32 *)source;
		to->tuple.ipv4.daddr = *(u32 *)destination;
		to->tuple.ipv4.sport = ends.source;
		to->tuple.ipv4.dport = ends.destination;
		to->tuple_size = sizeof(to->tuple.ipv4);
	} else {
		__builtin_memcpy(to->tuple.ipv6.saddr, source, size);
		__builtin_memcpy(to->tuple.ipv6.daddr, destination, size);
		to->tuple.ipv6.sport = ends.source;
		to->tuple.ipv6.dport = ends.destination;
		to->tuple_size = sizeof(to->tuple.ipv6);
	}
	first = __builtin_bswap16(ends.source) > __builtin_bswap16(ends.destination);
	if (ends.source == ends.destination) {
#pragma unroll
		for (int i = size - 4; i >= 0; i -= 4)
			if (*(u32 *)(source + i) != *(u32 *)(destination + i))
				first = *(u32 *)(source + i) > *(u32 *)(destination + i);
	}
	to->source = first;
	if (first) {
		__builtin_memcpy(to->key.addresses[1], source, size);
		__builtin_memcpy(to->key.addresses[0], destination, size);
		to->key.ports[1] = ends.source;
		to->key.ports[0] = ends.destination;
	} else {
		__builtin_memcpy(to->key.addresses[0], source, size);
		__builtin_memcpy(to->key.addresses[1], destination, size);
		to->key.ports[0] = ends.source;
		to->key.ports[1] = ends.destination;
	}
	return true;
}

/* False for what is no TCP or UDP, and for fragments but the first, which have no ports. */
static __noinline int find_place(struct __sk_buff *skb, u32 link, struct place_in_flow *to)
{
	u16 protocol = __builtin_bswap16(skb->protocol);
	struct ipv4 v4;
	struct ipv6 v6;
	u32 at = link;

	if (protocol == ETH_P_8021Q || protocol == ETH_P_8021AD) {
		if (bpf_skb_load_bytes(skb, at + 2, &protocol, sizeof(protocol)))
			return false;
		protocol = __builtin_bswap16(protocol);
		at += TAG_SIZE;
	}
	to->key.family = protocol;
	if (protocol == ETH_P_IP) {
		if (bpf_skb_load_bytes(skb, at, &v4, sizeof(v4)) ||
		    v4.fragment & __builtin_bswap16(FRAGMENT_OFFSET))
			return false;
		return read_ports(skb, at + v4.length * 4, v4.protocol, to, v4.source, v4.destination, 4);
	}
	if (protocol != ETH_P_IPV6 || bpf_skb_load_bytes(skb, at, &v6, sizeof(v6)))
		return false;
	return read_ports(skb, at + sizeof(v6), v6.protocol, to, v6.source, v6.destination, 16);
}

static __always_inline void hold(struct flow *flow, u64 now)
{
	flow->id = __sync_fetch_and_add(&flows_so_far, 1) + 1;
	flow->until = now + hold_time;
	flow->waits = KEYS;
	flow->room = HELD_BYTES;
}

/* Which secrets TLS 1.3 packets need, and which older ones (RFC 8446 section 7.1, RFC 5246 section 8.1). */
static __always_inline bool are_all(u32 labels)
{
	const u32 traffic = 1 << CLIENT_TRAFFIC_SECRET_0 | 1 << SERVER_TRAFFIC_SECRET_0;

	return (labels & traffic) == traffic || labels & 1 << CLIENT_RANDOM_LABEL;
}

/* The flow waits for the secrets of this hello, unless they are there: a hop before has sent it too. */
static __noinline int expect(const struct random *random, const struct flow_key *key, struct flow *flow,
			     u64 now)
{
	struct expected *waiting = bpf_map_lookup_elem(&expected, random), fresh = {};
	u32 at;

	if (!waiting) {
		bpf_map_update_elem(&expected, random, &fresh, BPF_NOEXIST);
		waiting = bpf_map_lookup_elem(&expected, random);
	}
	if (!waiting || are_all(waiting->labels))
		return 0;
	if (flow->waits == KEYS && now < flow->until)
		return 0; /* the same hello on another interface, sent again, or after a HelloRetryRequest */
	at = __sync_fetch_and_add(&waiting->count, 1);
	if (at >= SAME_HELLO)
		return 0;
	waiting->flows[at] = *key;
	hold(flow, now);
	return 0;
}

static __always_inline void look_for_hello(struct __sk_buff *skb, const struct place_in_flow *place,
					   struct flow *flow, u64 now)
{
	struct hello hello;

	if (skb->len < place->payload + sizeof(hello) ||
	    bpf_skb_load_bytes(skb, place->payload, &hello, sizeof(hello)))
		return;
	if (hello.content == HANDSHAKE && hello.version[0] == 3 && hello.message == CLIENT_HELLO &&
	    hello.legacy_version[0] == 3)
		expect(&hello.random, &place->key, flow, now);
}

/* A QUIC hello is encrypted, so its random is not known here: the flow waits for time alone. */
static __always_inline void look_for_quic(struct __sk_buff *skb, const struct place_in_flow *place,
					  struct flow *flow, u64 now)
{
	struct {
		u8 first, version[4];
	} header;
	u32 version, type;

	if (flow->waits != NOTHING || skb->len < place->payload + QUIC_FIRST ||
	    bpf_skb_load_bytes(skb, place->payload, &header, sizeof(header)))
		return;
	version =
	    header.version[0] << 24 | header.version[1] << 16 | header.version[2] << 8 | header.version[3];
	type = header.first & 0xf0; /* RFC 9000 section 17.2: long, fixed, type */
	if ((version == QUIC_1 && type == 0xc0) || (version == QUIC_2 && type == 0xd0))
		hold(flow, now);
}

/* Too large for the stack. */
static const struct flow fresh_flow = {.ends[0].options.size = 4, .ends[1].options.size = 4};

static __always_inline struct flow *flow_of(const struct flow_key *key)
{
	struct flow *flow = bpf_map_lookup_elem(&flows, key);

	if (flow)
		return flow;
	bpf_map_update_elem(&flows, key, &fresh_flow, BPF_NOEXIST);
	return bpf_map_lookup_elem(&flows, key);
}

/* Where the flow's packet belongs that is written down now. */
static __always_inline u32 place_now(struct flow *flow, u64 now, u32 size)
{
	if (flow->waits == NOTHING)
		return STRAIGHT;
	if (flow->waits == KEYS && now < flow->until && size <= flow->room) {
		flow->room -= size;
		return HELD;
	}
	flow->waits = NOTHING;
	return FIRST;
}

/* The secrets of a hello have come so far. */
static __noinline int release_flows(struct expected *waiting)
{
	for (u32 i = 0; i < SAME_HELLO && i < waiting->count; i++) {
		struct flow *flow = bpf_map_lookup_elem(&flows, &waiting->flows[i]);
		struct keyed *r;

		if (!flow || flow->waits != KEYS)
			continue;
		r = RECORD(keyed, sizeof(*r));
		if (r) { /* else its next packet says so */
			r->flow = flow->id;
			submit(r);
		}
		flow->waits = NO_LONGER;
	}
	return 0;
}

/* A secret was handed on. */
static __always_inline void note_secret(const void *client_random, u32 label)
{
	struct expected *waiting = bpf_map_lookup_elem(&expected, client_random), fresh = {};

	if (!waiting) { /* early data: the secret comes before the hello leaves */
		fresh.labels = 1 << label;
		bpf_map_update_elem(&expected, client_random, &fresh, BPF_NOEXIST);
		return;
	}
	__sync_fetch_and_or(&waiting->labels, 1 << label);
	if (are_all(waiting->labels))
		release_flows(waiting);
}
