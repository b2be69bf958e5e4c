/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Addresses of connections whose TLS goes through memory, and reaches a socket where the library does not
 * see it (asyncio, Node, Envoy): a handshake begins with 32 random bytes (RFC 8446 section 4.1.2, 4.1.3),
 * which the library's object keeps, and which leave the machine's socket in clear text.
 */
#pragma once

#include "field.h"
#include "sock.h"

#define HANDSHAKE 22 /* RFC 8446 section 5.1, ContentType */
#define CLIENT_HELLO 1
#define SERVER_HELLO 2
#define IPPROTO_TCP 6

struct random {
	u8 bytes[32];
};

/* Who has sent which hello. The oldest go first: a connection that asks too late has no addresses. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 16384);
	__type(key, struct random);
	__type(value, struct endpoints);
} hellos SEC(".maps");

/* A record's beginning, up to the random bytes. */
struct hello {
	u8 content, version[2], length[2];
	u8 message, size[3];
	u8 legacy_version[2];
	struct random random;
} __attribute__((packed));

struct ports {
	__be16 source, destination;
};

/* The endpoints of an outgoing TCP segment, and where its payload begins; 0 for anything else. */
static __always_inline u32 payload_of(struct __sk_buff *skb, struct endpoints *ends)
{
	struct ports ports;
	u32 tcp;
	u8 first, protocol, offset;

	if (bpf_skb_load_bytes(skb, 0, &first, 1))
		return 0;
	if (first >> 4 == 4) {
		tcp = (first & 15) * 4;
		ends->family = AF_INET;
		if (bpf_skb_load_bytes(skb, 9, &protocol, 1) || protocol != IPPROTO_TCP ||
		    bpf_skb_load_bytes(skb, 12, ends->local, 4) ||
		    bpf_skb_load_bytes(skb, 16, ends->remote, 4))
			return 0;
	} else {
		tcp = 40;
		ends->family = AF_INET6;
		if (bpf_skb_load_bytes(skb, 6, &protocol, 1) || protocol != IPPROTO_TCP ||
		    bpf_skb_load_bytes(skb, 8, ends->local, 16) ||
		    bpf_skb_load_bytes(skb, 24, ends->remote, 16))
			return 0;
	}
	if (bpf_skb_load_bytes(skb, tcp, &ports, sizeof(ports)) ||
	    bpf_skb_load_bytes(skb, tcp + 12, &offset, 1))
		return 0;
	ends->local_port = __builtin_bswap16(ports.source);
	ends->remote_port = __builtin_bswap16(ports.destination);
	return tcp + (offset >> 4) * 4;
}

static __always_inline void remember_hello(struct __sk_buff *skb)
{
	struct endpoints ends = {};
	struct hello hello;
	u32 payload;

	if (skb->len < 60 + sizeof(hello)) /* an acknowledgement: most packets that are none end here */
		return;
	payload = payload_of(skb, &ends);
	if (!payload || bpf_skb_load_bytes(skb, payload, &hello, sizeof(hello)))
		return;
	if (hello.content == HANDSHAKE && (hello.message == CLIENT_HELLO || hello.message == SERVER_HELLO))
		bpf_map_update_elem(&hellos, &hello.random, &ends, BPF_ANY);
}

/* The addresses of the connection whose own hello this is. */
static __always_inline bool find_hello(u32 target, u64 object, bool server, struct endpoints *ends)
{
	const struct field *field = field_of(target, server ? SERVER_RANDOM : CLIENT_RANDOM);
	struct endpoints *found;
	struct random random;

	if (!field || bpf_probe_read_user(&random, sizeof(random), (void *)place_of(field, object)))
		return false;
	found = bpf_map_lookup_elem(&hellos, &random);
	if (!found)
		return false;
	*ends = *found;
	bpf_map_delete_elem(&hellos, &random);
	return true;
}
