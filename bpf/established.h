/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Connections that are older than the probes: no secret of theirs comes by any more, but the library's object
 * has what decrypts them. It is read when the program next reads or writes, once.
 */
#pragma once

#include "secret.h"

#define OBJECT_ROOM 4096 /* of OpenSSL's 6 KiB and more */
#define OBJECT_HALF 2048 /* where all of it lies in the builds that are known; behind it the heap may end */
#define TLS_1_3 0x0304
#define SSL_3_0 0x0300
#define DTLS_1_2 0xfefd /* versions of DTLS count down */

/*
 * The memory of a TLS 1.3 connection's object, in which join/established.py finds the secrets; none of it
 * where they cannot be there.
 */
struct established {
	struct head head;
	u64 object; /* its address */
	u32 target;
	u32 pid, tid, uid;
	u16 cipher; /* IANA's number */
	char comm[16];
	u8 random[RANDOM_SIZE]; /* the client's */
	u8 bytes[];
};

/* One end of a connection; another one with the same object has another random. */
struct end {
	u64 object;
	u32 pid;
	u32 pad;
	u8 random[RANDOM_SIZE];
};

/* The ends whose secrets are known. One that is forgotten is told again, which does no harm. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 65536);
	__type(key, struct end);
	__type(value, u8);
} known_ends SEC(".maps");

/*
 * How many are still to be read, by target: attach/keys/established.py enters as many as there are sockets.
 * Nobody can have more read by making up new ones.
 */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 2048);
	__type(key, u32);
	__type(value, s64);
} ends_left SEC(".maps");

static __always_inline struct end end_of(u64 object, const u8 *random)
{
	struct end end = {.object = object, .pid = bpf_get_current_pid_tgid() >> 32};

	__builtin_memcpy(end.random, random, RANDOM_SIZE);
	return end;
}

static __always_inline void know_end(const struct end *end)
{
	u8 yes = 1;

	bpf_map_update_elem(&known_ends, end, &yes, BPF_ANY);
}

/*
 * ssl_log_secret was called: whatever else the handshake brings will be seen there as well. OpenSSL logs the
 * server's secret of the handshake before all others of TLS 1.3 that a full handshake has (ssl/tls13_enc.c).
 */
static __always_inline void know_logged(const struct found_secret *found)
{
	struct end end;

	if (found->label != SERVER_HANDSHAKE_TRAFFIC_SECRET && found->label != CLIENT_RANDOM_LABEL)
		return;
	end = end_of(found->object, found->random);
	know_end(&end);
}

/* Whether the handshake is proven to be over: what lies in the object belongs together then. */
static __always_inline bool is_settled(u32 target, u64 object)
{
	const struct field *field = field_of(target, HANDSHAKE);
	u64 state = 0;

	if (!field || bpf_probe_read_user(&state, field->size == sizeof(state) ? sizeof(state) : sizeof(u32),
					  (void *)place_of(field, object)))
		return false;
	return !state;
}

static __always_inline bool is_zero(const u8 *bytes, u32 size)
{
	u64 all = 0;

#pragma unroll
	for (u32 i = 0; i < size / sizeof(u64); i++)
		all |= ((const u64 *)bytes)[i];
	return !all;
}

/*
 * Whether what secrets follow from may be in the object when the handshake is over. Where the handshake has
 * an object of its own (BoringSSL's SSL_HANDSHAKE, to which HANDSHAKE is the pointer), it is gone with that.
 */
static __always_inline bool keeps_handshake(u32 target)
{
	const struct field *field = field_of(target, HANDSHAKE);

	return field && field->size < sizeof(u64);
}

/*
 * Of TLS 1.3. False where it could not be read, or told: the next call tries again, so that a full ring loses
 * nothing yet, and a connection that is never told stays in `ends_left`, which counts it as unread.
 */
static __always_inline bool say_object(const struct end *end, u32 target)
{
	struct established *r;
	u32 cipher = 0;

	if (!read_fact(target, CIPHER, end->object, &cipher))
		return false;
	member_of(end->pid);
	introduce(end->pid);
	r = RECORD(established, sizeof(*r) + OBJECT_ROOM);
	if (!r)
		return false;
	r->object = end->object;
	r->target = target;
	r->pid = end->pid;
	r->tid = bpf_get_current_pid_tgid();
	r->uid = bpf_get_current_uid_gid();
	r->cipher = cipher;
	bpf_get_current_comm(r->comm, sizeof(r->comm));
	__builtin_memcpy(r->random, end->random, RANDOM_SIZE);
	r->head.size = __builtin_offsetof(struct established, bytes);
	if (keeps_handshake(target)) {
		if (bpf_probe_read_user(r->bytes, OBJECT_HALF, (void *)end->object)) {
			bpf_ringbuf_discard(r, BPF_RB_NO_WAKEUP);
			return false;
		}
		r->head.size += OBJECT_HALF;
		if (!bpf_probe_read_user(r->bytes + OBJECT_HALF, OBJECT_ROOM - OBJECT_HALF,
					 (void *)end->object + OBJECT_HALF))
			r->head.size += OBJECT_ROOM - OBJECT_HALF;
	}
	submit_large(r);
	return true;
}

/* Of TLS 1.2 and before, where the session has the one secret that there is. */
static __always_inline bool say_master(const struct end *end, u32 target)
{
	const struct field *field = field_of(target, MASTER_KEY);
	struct found_secret found = {
	    .object = end->object, .size = MASTER_SECRET, .label = CLIENT_RANDOM_LABEL};
	u64 master[MASTER_SECRET / sizeof(u64)];

	if (!field)
		return false;
	found.address = place_of(field, end->object);
	if (bpf_probe_read_user(master, sizeof(master), (void *)found.address) ||
	    is_zero((u8 *)master, sizeof(master)))
		return false;
	__builtin_memcpy(found.random, end->random, RANDOM_SIZE);
	return say_secret(&found, target, 1);
}

/* What is known of a connection whose program reads or writes now. */
static __always_inline void meet_established(u32 target, u64 object)
{
	const struct field *field = field_of(target, CLIENT_RANDOM);
	s64 *left = bpf_map_lookup_elem(&ends_left, &target);
	u8 random[RANDOM_SIZE];
	u32 version = 0;
	struct end end;

	if (!left || *left <= 0 || !field || !is_connection(target, object) || !is_settled(target, object) ||
	    !read_fact(target, VERSION, object, &version) ||
	    bpf_probe_read_user(random, sizeof(random), (void *)place_of(field, object)) ||
	    is_zero(random, sizeof(random)))
		return;
	end = end_of(object, random);
	if (bpf_map_lookup_elem(&known_ends, &end))
		return;
	if (version == TLS_1_3 ? say_object(&end, target)
			       : (version >= DTLS_1_2 || (version >= SSL_3_0 && version < TLS_1_3)) &&
				     say_master(&end, target)) {
		know_end(&end);
		__sync_fetch_and_add(left, -1);
	}
}
