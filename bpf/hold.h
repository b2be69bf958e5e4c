/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Which packets have to wait: Wireshark decrypts a packet only where the file has had its keys before
 * (draft-ietf-opsawg-pcapng section 4.7). So from a ClientHello on packets of its flow are held, until the
 * secrets of that hello's random have passed through the ring, or for `hold_time`.
 */
#pragma once

#include "flow.h"
#include "secret.h"

#define QUIC_FIRST 1200 /* RFC 9000 section 14.1: no client's first datagram is smaller */
#define QUIC_1 1
#define QUIC_2 0x6b3343cf      /* RFC 9369 section 3.1 */
#define HELD_BYTES (256 << 10) /* a handshake moves less: whatever comes then, the keys do not */
#define SAME_HELLO 4	       /* flows that a proxy or NAT hands one hello on through */

const volatile u64 hold_time = 0; /* ns; 0: nothing is held */

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

static u64 flows_so_far;

static __always_inline void hold(struct flow *flow, u64 now)
{
	flow->id = __sync_fetch_and_add(&flows_so_far, 1) + 1;
	flow->until = now + hold_time;
	flow->room = HELD_BYTES;
	flow->waits = KEYS;
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
	if (are_all(waiting->labels)) /* they came meanwhile, when the flow was not among these yet */
		flow->waits = NO_LONGER;
	return 0;
}

static __always_inline void look_for_hello(struct __sk_buff *skb, const struct place_in_flow *place,
					   struct flow *flow, u64 now)
{
	struct hello hello;

	if (skb->len < place->payload + sizeof(hello) ||
	    bpf_skb_load_bytes(skb, place->payload, &hello, sizeof(hello)))
		return;
	if (hello.content == TLS_HANDSHAKE && hello.version[0] == 3 && hello.message == CLIENT_HELLO &&
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

/* Where the flow's packet belongs that is written down now. */
static __always_inline u32 place_now(struct flow *flow, u64 now, u32 size)
{
	if (flow->waits == NOTHING)
		return STRAIGHT;
	if (flow->waits == KEYS && now < flow->until &&
	    (s64)__sync_fetch_and_add(&flow->room, -(s64)size) >= (s64)size)
		return HELD;
	flow->waits = NO_LONGER;
	return FIRST;
}

/* A packet that is FIRST was written down. One that is lost says nothing, so the next one has to. */
static __always_inline void told_first(struct flow *flow)
{
	/* else there is another hello already */
	__sync_val_compare_and_swap(&flow->waits, NO_LONGER, NOTHING);
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
		if (!bpf_map_update_elem(&expected, client_random, &fresh, BPF_NOEXIST))
			return;
		waiting = bpf_map_lookup_elem(&expected, client_random); /* the hello came at this moment */
		if (!waiting)
			return;
	}
	__sync_fetch_and_or(&waiting->labels, 1 << label);
	if (are_all(waiting->labels))
		release_flows(waiting);
}
