/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What packets begin with, as far as it is read: IP, ICMP, ports, and the first hello of TLS. */
#pragma once

#include "kernel/kernel.h"

#define ETH_P_IP 0x0800
#define ETH_P_IPV6 0x86dd
#define ETH_P_8021Q 0x8100
#define ETH_P_8021AD 0x88a8
#define ICMP 1
#define TCP 6
#define UDP 17
#define ICMP_6 58
#define ICMP_SIZE 8	      /* RFC 792, RFC 4443: of an error's header, before what it quotes */
#define MORE_FRAGMENTS 0x2000 /* RFC 791 section 3.1 */
#define FRAGMENT_OFFSET 0x1fff
#define MORE_FRAGMENTS_6 1 /* RFC 8200 section 4.5 */
#define FRAGMENT_OFFSET_6 0xfff8
#define TLS_HANDSHAKE 22 /* RFC 8446 section 5.1, ContentType */
#define CLIENT_HELLO 1

struct random {
	u8 bytes[32];
};

/* A TLS record's beginning, up to the random bytes (RFC 8446 section 5.1 and 4.1.2). */
struct hello {
	u8 content, version[2], length[2];
	u8 message, size[3];
	u8 legacy_version[2];
	struct random random;
} __attribute__((packed));

struct ipv4 {
	u8 length : 4, version : 4; /* the length in words */
	u8 service;
	u16 size, id, fragment;
	u8 hops, protocol;
	u16 checksum;
	u8 source[4], destination[4];
};

struct ipv6 {
	u8 before[6], protocol, hops;
	u8 source[16], destination[16];
};

/* IPv6 extension headers (RFC 8200 section 4, RFC 4302 section 2). */
enum extensions {
	HOP_BY_HOP = 0,
	ROUTING = 43,
	FRAGMENT = 44,
	AUTHENTICATION = 51,
	DESTINATION_OPTIONS = 60
};

/* What all of them begin with; `fragment` and `id` are the fragment header's. */
struct extension {
	u8 next, length;
	u16 fragment;
	u32 id;
};

struct ports {
	u16 source, destination;
};

/* What is at the same place in both: the ports; and of TCP the length of its header. */
struct transport {
	struct ports ports;
	u8 between[8];
	u8 offset; /* the upper half, in words */
};
