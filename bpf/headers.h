/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What packets begin with, as far as it is read: IP, and the first hello of TLS. */
#pragma once

#include "kernel/kernel.h"

#define HANDSHAKE 22 /* RFC 8446 section 5.1, ContentType */
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
