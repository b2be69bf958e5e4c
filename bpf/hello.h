/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Addresses of connections whose TLS goes through memory, and reaches a socket where the library does not
 * see it (asyncio, Node, Envoy): a handshake begins with 32 random bytes (RFC 8446 section 4.1.2, 4.1.3),
 * which the library's object keeps, and which leave the machine's socket in clear text.
 */
#pragma once

#include "field.h"
#include "headers.h"
#include "sock.h"

#define SERVER_HELLO 2

struct sent {
	struct endpoints ends;
	u32 pid;
};

/*
 * Which socket has sent a hello first: whoever forwards it does so later. The oldest go first: a connection
 * that asks too late has no addresses.
 */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 16384);
	__type(key, struct random);
	__type(value, struct sent);
} hellos SEC(".maps");

/*
 * Whether a packet's program may ask who sends it, in whose call a hello leaves. Else hellos are no witness:
 * a process that forwards somebody else's cannot be told from its sender. Linux kernel commit eb166e522c77
 * "bpf: Allow helper bpf_get_[ns_]current_pid_tgid() for all prog types" (in v6.10)
 */
const volatile u32 sender_known = 0;

struct tcp {
	u8 before[12], offset; /* the upper half: this header's length in words */
};

/* Where the payload of an outgoing TCP segment begins; 0 for anything else. */
static __always_inline u32 payload_of(struct __sk_buff *skb)
{
	void *data = (void *)(long)skb->data, *end = (void *)(long)skb->data_end;
	struct ipv4 *v4 = data;
	struct ipv6 *v6 = data;
	struct tcp *tcp;
	u32 at;

	if ((void *)(v4 + 1) > end)
		return 0;
	if (v4->version == 4) {
		if (v4->protocol != TCP)
			return 0;
		at = v4->length * 4;
	} else {
		if ((void *)(v6 + 1) > end || v6->protocol != TCP)
			return 0;
		at = sizeof(*v6);
	}
	tcp = data + at;
	if ((void *)(tcp + 1) > end)
		return 0;
	return at + (tcp->offset >> 4) * 4;
}

/* The addresses as the socket has them: those of the packet may have been rewritten on the way (NAT). */
static __always_inline bool ends_of(struct __sk_buff *skb, struct endpoints *ends)
{
	struct bpf_sock *sk = skb->sk;

	if (sk)
		sk = bpf_sk_fullsock(sk);
	if (!sk)
		return false;
	ends->family = sk->family;
	ends->local_port = sk->src_port;
	ends->remote_port = __builtin_bswap16(sk->dst_port);
	if (sk->family == AF_INET) {
		*(u32 *)ends->local = sk->src_ip4;
		*(u32 *)ends->remote = sk->dst_ip4;
		return true;
	}
#pragma unroll
	for (int i = 0; i < 4; i++) {
		((u32 *)ends->local)[i] = sk->src_ip6[i];
		((u32 *)ends->remote)[i] = sk->dst_ip6[i];
	}
	return sk->family == AF_INET6;
}

static __always_inline void remember_hello(struct __sk_buff *skb)
{
	struct sent sent = {};
	struct hello hello;
	u32 payload;

	if (skb->len < sizeof(struct ipv4) + 20 + sizeof(hello)) /* most segments are acknowledgements */
		return;
	payload = payload_of(skb);
	if (!payload || bpf_skb_load_bytes(skb, payload, &hello, sizeof(hello)))
		return;
	if (hello.content != TLS_HANDSHAKE ||
	    (hello.message != CLIENT_HELLO && hello.message != SERVER_HELLO))
		return;
	sent.pid = bpf_get_current_pid_tgid() >> 32;
	if (ends_of(skb, &sent.ends))
		bpf_map_update_elem(&hellos, &hello.random, &sent, BPF_NOEXIST);
}

/* The addresses of the connection whose own hello this was; left alone where nobody has seen it. */
static __always_inline void find_hello(u32 target, u64 object, bool server, struct endpoints *ends)
{
	const struct field *field = field_of(target, server ? SERVER_RANDOM : CLIENT_RANDOM);
	u32 pid = bpf_get_current_pid_tgid() >> 32;
	struct random random;
	struct sent *found;

	if (!field || bpf_probe_read_user(&random, sizeof(random), (void *)place_of(field, object)))
		return;
	found = bpf_map_lookup_elem(&hellos, &random);
	if (!found || found->pid != pid) /* sent by a proxy, which has it from a pipe */
		return;
	*ends = found->ends;
	bpf_map_delete_elem(&hellos, &random);
}
