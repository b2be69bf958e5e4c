/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Packets whose ports do not stand right behind the IP header: behind IPv6 extension headers; in another
 * packet, for fragments but the first; and in a packet that an ICMP error quotes.
 */
#pragma once

#include "place.h"

#define EXTENSIONS 4 /* IPv6 extension headers that are walked */
#define REASSEMBLY_TIME                                                                                      \
	30000000000ULL /* ns; net.ipv4.ipfrag_time of Linux: later its number is another's                   \
			*/

/* What fragments of one datagram have in common (RFC 791 section 3.2; RFC 8200 section 4.5). */
struct datagram {
	u8 source[16], destination[16]; /* IPv4 in the first four bytes */
	u32 id;
	u32 network; /* bpf/network.h */
	u16 family;
	u16 protocol; /* of IPv4; IPv6's may differ among its fragments */
};

/* To which flow, and when that was learnt. */
struct datagram_place {
	struct flow_key key;
	u32 source; /* as in `place_in_flow` */
	u64 time;
};

/* The oldest go first: their fragments are nobody's then, and counted. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 4096);
	__type(key, struct datagram);
	__type(value, struct datagram_place);
} datagrams SEC(".maps");

enum fragment { WHOLE, FIRST_FRAGMENT, LATER_FRAGMENT };

/* An IP packet, as far as it was read. */
struct internet {
	struct datagram datagram;
	u32 at; /* where what it carries begins */
	u32 fragment;
	u8 protocol; /* of what it carries */
};

static __always_inline bool read_ipv4(struct __sk_buff *skb, u32 at, struct internet *to)
{
	struct ipv4 v4;
	u16 fragment;

	if (bpf_skb_load_bytes(skb, at, &v4, sizeof(v4)))
		return false;
	fragment = __builtin_bswap16(v4.fragment);
	__builtin_memcpy(to->datagram.source, v4.source, 4);
	__builtin_memcpy(to->datagram.destination, v4.destination, 4);
	to->datagram.id = v4.id;
	to->datagram.protocol = to->protocol = v4.protocol;
	to->at = at + v4.length * 4;
	if (fragment & FRAGMENT_OFFSET)
		to->fragment = LATER_FRAGMENT;
	else if (fragment & MORE_FRAGMENTS)
		to->fragment = FIRST_FRAGMENT;
	return true;
}

/* Where one more header begins to be read, and what it is, by the one before it. False where it is not there,
 * or the last: what follows is no header, or another fragment's. */
static __always_inline bool pass_extension(struct __sk_buff *skb, struct internet *to)
{
	struct extension header;
	u16 fragment;

	if (to->protocol != HOP_BY_HOP && to->protocol != ROUTING && to->protocol != FRAGMENT &&
	    to->protocol != AUTHENTICATION && to->protocol != DESTINATION_OPTIONS)
		return false;
	if (bpf_skb_load_bytes(skb, to->at, &header, sizeof(header)))
		return false;
	if (to->protocol == FRAGMENT) {
		fragment = __builtin_bswap16(header.fragment);
		to->datagram.id = header.id;
		if (fragment & FRAGMENT_OFFSET_6)
			to->fragment = LATER_FRAGMENT;
		else if (fragment & MORE_FRAGMENTS_6)
			to->fragment = FIRST_FRAGMENT;
		to->at += sizeof(header);
	} else if (to->protocol == AUTHENTICATION) {
		to->at += (header.length + 2) * 4;
	} else {
		to->at += (header.length + 1) * 8;
	}
	to->protocol = header.next;
	return to->fragment != LATER_FRAGMENT;
}

static __always_inline bool read_ipv6(struct __sk_buff *skb, u32 at, struct internet *to)
{
	struct ipv6 v6;

	if (bpf_skb_load_bytes(skb, at, &v6, sizeof(v6)))
		return false;
	__builtin_memcpy(to->datagram.source, v6.source, 16);
	__builtin_memcpy(to->datagram.destination, v6.destination, 16);
	to->protocol = v6.protocol;
	to->at = at + sizeof(v6);
	for (int i = 0; i < EXTENSIONS; i++)
		if (!pass_extension(skb, to))
			break;
	return true;
}

/* `key` has family and network. */
static __noinline int read_internet(struct __sk_buff *skb, u32 at, const struct flow_key *key,
				    struct internet *to)
{
	__builtin_memset(to, 0, sizeof(*to));
	to->datagram.family = key->family;
	to->datagram.network = key->network;
	return key->family == ETH_P_IP ? read_ipv4(skb, at, to) : read_ipv6(skb, at, to);
}

/* Whether it carries an ICMP error, all of which quote from the IP header on (RFC 792, RFC 4443 section 2.1).
 */
static __always_inline bool is_error(struct __sk_buff *skb, const struct internet *packet)
{
	const u32 errors = 1 << 3 | 1 << 4 | 1 << 5 | 1 << 11 | 1 << 12;
	u8 type;

	if (packet->protocol != (packet->datagram.family == ETH_P_IP ? ICMP : ICMP_6) ||
	    bpf_skb_load_bytes(skb, packet->at, &type, sizeof(type)))
		return false;
	return packet->datagram.family == ETH_P_IP ? type < 32 && errors & 1U << (type & 31) : type < 128;
}

static __always_inline bool recall(const struct internet *packet, struct place_in_flow *to)
{
	struct datagram_place *known = bpf_map_lookup_elem(&datagrams, &packet->datagram);

	if (!known || bpf_ktime_get_boot_ns() - known->time > REASSEMBLY_TIME)
		return false;
	to->key = known->key;
	to->source = known->source;
	return true;
}

static __always_inline void remember(const struct internet *packet, const struct place_in_flow *place)
{
	struct datagram_place known = {
	    .key = place->key, .source = place->source, .time = bpf_ktime_get_boot_ns()};

	bpf_map_update_elem(&datagrams, &packet->datagram, &known, BPF_ANY);
}

/* The place by the ports. An error quotes eight bytes behind the IP header at least (RFC 792), no whole TCP
 * header. */
static __always_inline bool read_ports_of(struct __sk_buff *skb, const struct internet *packet,
					  struct place_in_flow *to)
{
	const struct datagram *ends = &packet->datagram;
	struct ports ports;

	if (!to->quoted)
		return ends->family == ETH_P_IP ? read_ports(skb, packet->at, packet->protocol, to,
							     ends->source, ends->destination, 4)
						: read_ports(skb, packet->at, packet->protocol, to,
							     ends->source, ends->destination, 16);
	if (!has_ports(packet->protocol) || bpf_skb_load_bytes(skb, packet->at, &ports, sizeof(ports)))
		return false;
	if (ends->family == ETH_P_IP)
		set_ends(to, packet->protocol, &ports, ends->source, ends->destination, 4);
	else
		set_ends(to, packet->protocol, &ports, ends->source, ends->destination, 16);
	return true;
}

/* The place of the IP packet at `at`, if it is one of these; `to->key` has family and network. */
static __noinline int find_indirect(struct __sk_buff *skb, u32 at, struct place_in_flow *to)
{
	struct internet packet;
	bool found;

	if (!read_internet(skb, at, &to->key, &packet))
		return NOT_FOUND;
	if (packet.fragment != LATER_FRAGMENT && is_error(skb, &packet)) {
		to->quoted = true;
		if (!read_internet(skb, packet.at + ICMP_SIZE, &to->key, &packet))
			return NOT_FOUND;
	}
	if (packet.fragment == LATER_FRAGMENT) {
		found = recall(&packet, to);
		if (!found && !to->quoted && has_ports(packet.protocol))
			return NO_FIRST;
	} else {
		found = read_ports_of(skb, &packet, to);
		if (found && packet.fragment == FIRST_FRAGMENT && !to->quoted)
			remember(&packet, to);
	}
	if (!found)
		return NOT_FOUND;
	if (to->quoted)
		to->source = !to->source;
	if (to->quoted || packet.fragment == LATER_FRAGMENT) {
		to->payload = skb->len;
		to->tuple_size = 0;
	}
	return FOUND;
}
