/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What the library's own connection object says, at places that attach/code/accessors.py has proven. */
#pragma once

#include "kernel/kernel.h"
#include <bpf/bpf_helpers.h>

#define STEPS 4

/*
 * From the object to a value: every step but the last leads to a pointer that is followed, the last one to
 * the value. attach/facts.py writes it.
 */
struct field {
	u32 mask; /* of an integer, after it was read */
	u16 steps[STEPS];
	u8 depth; /* how many steps */
	u8 size;  /* bytes of the value */
};

/* The order is FACTS in attach/facts.py. */
enum fact {
	OBJECT_TYPE, /* where it is known and not 0, the object is none that the others are about */
	CLIENT_RANDOM,
	SERVER_RANDOM,
	IS_SERVER,
	VERSION,
	CIPHER,
	SERVER_NAME,
	SERVER_NAME_ELSEWHERE,
	ALPN,
	ALPN_LENGTH,
	HANDSHAKE,  /* not 0 while one goes on */
	MASTER_KEY, /* of TLS 1.2 and before */
	FACTS
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH); /* for numbers of targets are not given again */
	__uint(max_entries, 2048 * FACTS);
	__type(key, u32); /* target * FACTS + fact */
	__type(value, struct field);
} fields SEC(".maps");

/* NULL where it is not known. */
static __always_inline struct field *field_of(u32 target, enum fact fact)
{
	return bpf_map_lookup_elem(&fields, &(u32){target * FACTS + fact});
}

/* The address of the value in the watched program; 0 where a pointer on the way cannot be read. */
static __always_inline u64 place_of(const struct field *field, u64 object)
{
#pragma unroll
	for (int i = 0; i < STEPS - 1; i++) {
		if (i + 1 >= field->depth)
			return object + field->steps[i];
		if (bpf_probe_read_user(&object, sizeof(object), (void *)(object + field->steps[i])))
			return 0;
	}
	return object + field->steps[STEPS - 1];
}

/* An integer of the object; false where it is not known. */
static __always_inline bool read_fact(u32 target, enum fact fact, u64 object, u32 *value)
{
	const struct field *field = field_of(target, fact);
	u64 read = 0, size;
	u32 mask;

	if (!field)
		return false;
	size = field->size;
	if (size > sizeof(*value))
		return false;
	mask = field->mask;
	/* So that the bound below stays: the verifier of 6.1 has lost the one above by then. */
	barrier_var(size);
	if (bpf_probe_read_user(&read, size & 7, (void *)place_of(field, object)))
		return false;
	*value = read & mask;
	return true;
}

/* Whether the object is a connection: OpenSSL has QUIC streams and others that it calls by the same type. */
static __always_inline bool is_connection(u32 target, u64 object)
{
	u32 type = 0;

	return !read_fact(target, OBJECT_TYPE, object, &type) || !type;
}

/* What a pointer of the object leads to; 0 where it is not known, or leads nowhere. */
static __always_inline u64 pointer_of(u32 target, enum fact fact, u64 object)
{
	const struct field *field = field_of(target, fact);
	u64 pointer = 0;

	if (field)
		bpf_probe_read_user(&pointer, sizeof(pointer), (void *)place_of(field, object));
	return pointer;
}
