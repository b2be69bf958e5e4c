/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * TLS secrets, where a library hands them to its own key log.
 *
 * `ssl_log_secret(ssl, label, secret, size)` of OpenSSL, BoringSSL and their kin is called for each secret of
 * each handshake, whether anybody has asked for a log or not (ssl/ssl_lib.c, ssl/ssl_lib.cc). The attach
 * cookie is the target's number, with RSA_HOOK for the other function that logs, and HANDED_ON_HOOK where the
 * first one jumps to its inner function; `fields` says where objects keep the client random.
 */
#pragma once

#include "field.h"
#include "filter.h"
#include "member.h"
#include <bpf/bpf_tracing.h>

#define RANDOM_SIZE 32	 /* RFC 8446 section 4.1.2 */
#define SECRET_ROOM 64	 /* the longest is a hash of SHA-512's size */
#define MASTER_SECRET 48 /* RFC 5246 section 8.1 */
#define ENCRYPTED_SIZE 8 /* bytes of the encrypted premaster secret that tell its handshake */
#define LABEL_SIZE 32	 /* the longest label has 31 characters */
#define RSA_HOOK (1ULL << 32)
#define HANDED_ON_HOOK (1ULL << 33)
#define NO_LABEL ((u32)-1) /* of no secret that is known */

/* PT_REGS_PARM6 came with libbpf 1.2; elsewhere than here no such place is looked for. */
#if defined(__TARGET_ARCH_x86)
#define SIXTH_ARGUMENT(ctx) ((ctx)->r9)
#else
#define SIXTH_ARGUMENT(ctx) 0
#endif

/* The order is LABELS in model/records.py. */
enum label {
	CLIENT_RANDOM_LABEL,
	CLIENT_EARLY_TRAFFIC_SECRET,
	CLIENT_HANDSHAKE_TRAFFIC_SECRET,
	SERVER_HANDSHAKE_TRAFFIC_SECRET,
	CLIENT_TRAFFIC_SECRET_0,
	SERVER_TRAFFIC_SECRET_0,
	EARLY_EXPORTER_SECRET,
	EXPORTER_SECRET,
	CLIENT_TRAFFIC_SECRET_N,
	SERVER_TRAFFIC_SECRET_N,
	RSA_LABEL,
	SECRET_LABELS
};

static const char label_texts[SECRET_LABELS][LABEL_SIZE] __attribute__((aligned(8))) = {
    "CLIENT_RANDOM",
    "CLIENT_EARLY_TRAFFIC_SECRET",
    "CLIENT_HANDSHAKE_TRAFFIC_SECRET",
    "SERVER_HANDSHAKE_TRAFFIC_SECRET",
    "CLIENT_TRAFFIC_SECRET_0",
    "SERVER_TRAFFIC_SECRET_0",
    "EARLY_EXPORTER_SECRET",
    "EXPORTER_SECRET",
    "CLIENT_TRAFFIC_SECRET_N",
    "SERVER_TRAFFIC_SECRET_N",
    "RSA",
};

/* One line of a key log. */
struct secret {
	struct head head;
	u64 object; /* the library's connection object: an address in the process */
	u32 target;
	u32 pid, tid, uid;
	u8 label; /* enum label */
	u8 mid;	  /* 1: read from a connection that is older than the probe */
	char comm[16];
	u8 random[RANDOM_SIZE]; /* the client's; with RSA_LABEL 8 bytes of the encrypted premaster secret */
	u8 bytes[];
};

/* A secret that lies in the watched program. */
struct found_secret {
	u64 object;
	u64 address;
	u64 size;
	u32 label;
	u8 random[RANDOM_SIZE];
};

static __always_inline u32 label_of(u64 address)
{
	u64 text[LABEL_SIZE / 8] = {};

	if (bpf_probe_read_user_str(text, sizeof(text), (void *)address) < 2)
		return NO_LABEL;
	for (u32 label = 0; label < SECRET_LABELS; label++) {
		const u64 *known = (const void *)label_texts[label];

		if (text[0] == known[0] && text[1] == known[1] && text[2] == known[2] && text[3] == known[3])
			return label;
	}
	return NO_LABEL;
}

/* RFC 8446 section 7.1: as long as the hash of the cipher suite. Before TLS 1.3 it is the master secret. */
static __always_inline bool is_secret_size(u32 label, u64 size)
{
	if (label == CLIENT_RANDOM_LABEL || label == RSA_LABEL)
		return size == MASTER_SECRET;
	return size == 32 || size == 48 || size == 64;
}

/* ssl_log_rsa_client_key_exchange(ssl, encrypted, its size, premaster, its size): the key of RSA key
 * exchange. */
static __always_inline bool read_rsa(struct pt_regs *ctx, struct found_secret *found)
{
	found->object = PT_REGS_PARM1(ctx);
	found->address = PT_REGS_PARM4(ctx);
	found->size = PT_REGS_PARM5(ctx);
	found->label = RSA_LABEL;
	return !bpf_probe_read_user(found->random, ENCRYPTED_SIZE, (void *)PT_REGS_PARM2(ctx));
}

static __always_inline bool read_logged(struct pt_regs *ctx, u32 target, struct found_secret *found)
{
	const struct field *field = field_of(target, CLIENT_RANDOM);

	found->object = PT_REGS_PARM1(ctx);
	found->address = PT_REGS_PARM3(ctx);
	found->size = PT_REGS_PARM4(ctx);
	found->label = label_of(PT_REGS_PARM2(ctx));
	return field &&
	       !bpf_probe_read_user(found->random, RANDOM_SIZE, (void *)place_of(field, found->object));
}

/* nss_keylog_int(label, ssl, random, its size, secret, size): OpenSSL's inner function. */
static __always_inline bool read_handed_on(struct pt_regs *ctx, struct found_secret *found)
{
	found->object = PT_REGS_PARM2(ctx);
	found->address = PT_REGS_PARM5(ctx);
	found->size = SIXTH_ARGUMENT(ctx);
	found->label = label_of(PT_REGS_PARM1(ctx));
	return !bpf_probe_read_user(found->random, RANDOM_SIZE, (void *)PT_REGS_PARM3(ctx));
}

/*
 * What a probed call tells. False, and counted, where it is not what such a function is called with: a label
 * that nobody knows, a length that no secret has, an object without a client random.
 */
static __always_inline bool read_secret(struct pt_regs *ctx, u64 cookie, struct found_secret *found)
{
	bool read = cookie & RSA_HOOK	      ? read_rsa(ctx, found)
		    : cookie & HANDED_ON_HOOK ? read_handed_on(ctx, found)
					      : read_logged(ctx, cookie, found);

	if (read && found->label != NO_LABEL && is_secret_size(found->label, found->size))
		return true;
	untracked();
	return false;
}

/* Hand on one secret, and before the first of a process who that is. False where it is lost, and counted. */
static __always_inline bool say_secret(const struct found_secret *found, u32 target, u8 mid)
{
	u32 pid = bpf_get_current_pid_tgid() >> 32;
	u64 size = found->size;
	struct secret *r;

	see(size);
	member_of(pid);
	introduce(pid);
	r = RECORD(secret, sizeof(*r) + SECRET_ROOM);
	if (!r) {
		lose(RING_FULL, size);
		return false;
	}
	r->object = found->object;
	r->target = target;
	r->pid = pid;
	r->tid = bpf_get_current_pid_tgid();
	r->uid = bpf_get_current_uid_gid();
	r->label = found->label;
	r->mid = mid;
	bpf_get_current_comm(r->comm, sizeof(r->comm));
	__builtin_memcpy(r->random, found->random, RANDOM_SIZE);
	if (size > SECRET_ROOM || bpf_probe_read_user(r->bytes, size, (void *)found->address)) {
		bpf_ringbuf_discard(r, BPF_RB_NO_WAKEUP);
		lose(UNREADABLE, size);
		return false;
	}
	r->head.size = __builtin_offsetof(struct secret, bytes) + size;
	submit(r);
	return true;
}
