/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * One packet as the record that user space writes to its file: an Enhanced Packet Block of pcapng
 * (draft-ietf-opsawg-pcapng section 4.3), all of it, so that nobody copies or computes anything later.
 */
#pragma once

#include "record.h"

#define ENHANCED_PACKET 6
#define OPTION_COMMENT 1
#define OPTION_FLAGS 2
#define INBOUND 1 /* of OPTION_FLAGS: bits 0 and 1 */
#define OUTBOUND 2
#define TAG_SIZE 4	  /* IEEE 802.1Q */
#define ADDRESSES_SIZE 12 /* of Ethernet: the tag comes behind them */
#define COMMENT_ROOM 60
#define LARGEST (65536 + 256) /* a GSO packet and its headers; BIG TCP's larger ones are cut */

/* The order is that of libbpf/packets.c. */
enum place {
	STRAIGHT, /* nothing is waited for */
	HELD,	  /* until the keys of its flow are there */
	FIRST	  /* it is straight, and what was held of its flow goes before it */
};

struct packet {
	struct head head;
	u64 flow;
	u32 place;
	/* the block, from here to the end of the record */
	u32 type;
	u32 size;
	u32 interface;
	u32 time_high, time_low; /* ns since 1970 */
	u32 captured, original;
	u8 data[]; /* padded to 4 bytes, then options, then `size` again */
};

/* What follows the flags in each packet of a flow: a comment, if there is one, and the end of options. */
struct options {
	struct {
		u16 code, size;
		char text[COMMENT_ROOM];
		u32 end;
	} bytes;
	u32 size; /* of what counts of `bytes` */
};

/* The flags' option, the flow's options, and the block's size once more. */
#define TAIL_ROOM (8 + sizeof(((struct options *)0)->bytes) + 4)

struct interface_key {
	u32 network; /* bpf/network.h */
	u32 index;   /* ifindex */
};

struct interface {
	u32 id;		  /* its number in the file */
	u32 link;	  /* bytes of the link layer's header: 14, or 0 without one */
	u32 inbound_only; /* loopback: each packet passes twice */
};

struct interface_counts {
	u64 wanted, lost; /* packets */
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 4096);
	__type(key, struct interface_key);
	__type(value, struct interface);
} interfaces SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_HASH); /* of those that are watched now, as many as `interfaces` */
	__uint(max_entries, 4096);
	__type(key, u32); /* the interface's id */
	__type(value, struct interface_counts);
} interface_counts SEC(".maps");

/* Packets that a filter for processes has left out because it is not known whose they are. The order is
 * LEFT_OUT in model/context.py. */
enum left_out { UNOWNED, WITHOUT_FIRST, LEFT_OUT };

struct left_out_counts {
	u64 packets[LEFT_OUT];
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, struct left_out_counts);
} left_out_counts SEC(".maps");

/* Wall-clock time less boot time, in ns; user space keeps it right. */
volatile u64 wall_less_boot SEC(".data.clock") = 0;

/* What is known of a packet when it is written down. */
struct sighting {
	u64 flow;
	u64 time;
	u32 place;
	u32 interface;
	u32 direction;
	u32 link;
};

/*
 * The packet's bytes. A tag that the network card or its driver keeps beside the packet goes where it was or
 * will be in the cable.
 */
static __always_inline bool load_packet(struct __sk_buff *skb, u8 *to, u32 size, bool tagged)
{
	u8 *rest = to + ADDRESSES_SIZE + TAG_SIZE;

	if (!tagged)
		return !bpf_skb_load_bytes(skb, 0, to, size);
	if (size <= ADDRESSES_SIZE + TAG_SIZE || bpf_skb_load_bytes(skb, 0, to, ADDRESSES_SIZE))
		return false;
	((u16 *)to)[6] = skb->vlan_proto;
	((u16 *)to)[7] = __builtin_bswap16(skb->vlan_tci);
	size -= ADDRESSES_SIZE + TAG_SIZE;
	return !bpf_skb_load_bytes(skb, ADDRESSES_SIZE, rest, size);
}

/* Write the packet down in a record of `room` bytes, a constant; false without room in the ring. */
static __always_inline bool put(struct __sk_buff *skb, const struct sighting *seen,
				const struct options *options, u32 size, const u32 room)
{
	const u32 most = room - sizeof(struct packet) - TAIL_ROOM;
	struct packet *r = bpf_ringbuf_reserve(&ring, room, 0);
	u64 time = seen->time + wall_less_boot;
	u32 original = size, padded;
	u32 *tail;

	if (!r)
		return false;
	barrier_var(size); /* the verifier has to see these comparisons on the very value that is used */
	if (size > most - 3)
		size = most - 3;
	padded = (size + 3) & ~3;
	barrier_var(padded);
	/* no packet is so short, and older verifiers see no lower bound in a comparison with 0 */
	if (padded > most || padded < 4 || size < 2) {
		bpf_ringbuf_discard(r, BPF_RB_NO_WAKEUP);
		return false;
	}
	*(u32 *)(r->data + padded - 4) = 0;
	if (!load_packet(skb, r->data, size, seen->link && skb->vlan_present)) {
		bpf_ringbuf_discard(r, BPF_RB_NO_WAKEUP);
		return false;
	}
	tail = (u32 *)(r->data + padded);
	tail[0] = OPTION_FLAGS | 4 << 16;
	tail[1] = seen->direction;
	__builtin_memcpy(tail + 2, &options->bytes, sizeof(options->bytes));
	padded += options->size & 127;
	r->head = (struct head){.type = bpf_core_type_id_local(struct packet), .time = seen->time};
	r->flow = seen->flow;
	r->place = seen->place;
	r->type = ENHANCED_PACKET;
	r->size = padded + 8 + 4 + sizeof(*r) - __builtin_offsetof(struct packet, type);
	r->head.size = r->size + __builtin_offsetof(struct packet, type);
	r->interface = seen->interface;
	r->time_high = time >> 32;
	r->time_low = time;
	r->captured = size;
	r->original = original;
	if (padded > room - 12 - sizeof(struct packet)) {
		bpf_ringbuf_discard(r, BPF_RB_NO_WAKEUP);
		return false;
	}
	*(u32 *)(r->data + padded + 8) = r->size;
	if (room < 4096)
		submit(r);
	else
		submit_large(r);
	return true;
}

/* Write the packet down in the smallest record that holds it. */
static __noinline int put_packet(struct __sk_buff *skb, const struct sighting *seen,
				 const struct options *options)
{
	const u32 more = sizeof(struct packet) + TAIL_ROOM + 3;
	u32 size = skb->len + (seen->link && skb->vlan_present ? TAG_SIZE : 0);

	if (size <= 256 - more)
		return put(skb, seen, options, size, 256);
	if (size <= 512 - more)
		return put(skb, seen, options, size, 512);
	if (size <= 1024 - more)
		return put(skb, seen, options, size, 1024);
	if (size <= 1792 - more)
		return put(skb, seen, options, size, 1792);
	if (size <= 4096 - more)
		return put(skb, seen, options, size, 4096);
	if (size <= 9216 - more)
		return put(skb, seen, options, size, 9216);
	if (size <= (16 << 10) - more)
		return put(skb, seen, options, size, 16 << 10);
	if (size <= (32 << 10) - more)
		return put(skb, seen, options, size, 32 << 10);
	if (size <= (48 << 10) - more)
		return put(skb, seen, options, size, 48 << 10);
	return put(skb, seen, options, size, LARGEST + 256);
}
