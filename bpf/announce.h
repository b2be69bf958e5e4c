/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What user space is told of a connection, before any of its bytes: who, where, and what its session is. */
#pragma once

#include "connection.h"
#include "field.h"

enum role { UNKNOWN, CLIENT, SERVER };

struct opened {
	struct head head;
	u64 connection;
	u32 target;
	u32 pid, tid, uid;
	u16 family, local_port, remote_port;
	u16 version; /* as in the protocol, 0x0304 for TLS 1.3; 0: not known, as for all that follows */
	u16 cipher;  /* IANA's number */
	u8 role;     /* enum role */
	u8 mid;
	u8 local[16], remote[16];
	char comm[16];
	u16 server_name; /* bytes of it in `names`; the rest is the ALPN protocol */
	u8 names[];
};

#define SERVER_NAME_SIZE 256 /* RFC 6066 section 3: a DNS name, and the NUL */
#define ALPN_SIZE 255	     /* RFC 7301 section 3.1 */

/* What the library's object says of the session; 0 for what it does not say. */
struct session {
	u32 version, cipher, alpn_size;
	u8 role;
	u64 server_name, alpn; /* addresses in the program */
};

static __always_inline struct session read_session(u32 target, u64 handle)
{
	struct session session = {};
	u32 server = 0;

	if (!is_connection(target, handle))
		return session;
	if (read_fact(target, IS_SERVER, handle, &server))
		session.role = server ? SERVER : CLIENT;
	read_fact(target, VERSION, handle, &session.version);
	read_fact(target, CIPHER, handle, &session.cipher);
	session.server_name =
	    pointer_of(target, SERVER_NAME, handle) ?: pointer_of(target, SERVER_NAME_ELSEWHERE, handle);
	if (read_fact(target, ALPN_LENGTH, handle, &session.alpn_size))
		session.alpn = pointer_of(target, ALPN, handle);
	return session;
}

/* What tells a session from what was announced of it before, well enough. */
static __always_inline u64 in_short(const struct session *session)
{
	return (u64)session->version << 48 | (u64)session->cipher << 32 |
	       (session->alpn ? session->alpn_size & ALPN_SIZE : 0) << 8 |
	       (session->server_name ? 1 << 4 : 0) | session->role;
}

/* Fill in the session, in a record with room for `room` bytes of names (a constant). */
static __always_inline void say_session(struct opened *r, const struct session *session, const u32 room)
{
	u32 alpn_size = session->alpn_size & ALPN_SIZE;
	s64 size = 0;

	r->version = session->version;
	r->cipher = session->cipher;
	r->server_name = 0;
	r->head.size = __builtin_offsetof(struct opened, names);
	if (!room)
		return;
	if (session->server_name)
		size = bpf_probe_read_user_str(r->names, SERVER_NAME_SIZE, (void *)session->server_name);
	if (size < 0 || size > SERVER_NAME_SIZE)
		size = 0;
	r->server_name = size;
	if (session->alpn && !bpf_probe_read_user(r->names + size, alpn_size, (void *)session->alpn))
		size += alpn_size;
	r->head.size += size;
}

/* Who and where: one record, with room for names where there are any. */
static __always_inline bool say_opened(const struct connection *c, const struct session *session, u64 time,
				       const u32 room)
{
	struct opened *r = RECORD_AT(opened, sizeof(*r) + room, time);

	if (!r)
		return false;
	r->connection = c->id;
	r->target = c->target;
	r->pid = bpf_get_current_pid_tgid() >> 32;
	r->tid = bpf_get_current_pid_tgid();
	r->uid = bpf_get_current_uid_gid();
	r->family = c->ends.family;
	r->local_port = c->ends.local_port;
	r->remote_port = c->ends.remote_port;
	r->role = session->role;
	r->mid = c->mid;
	__builtin_memcpy(r->local, c->ends.local, sizeof(r->local));
	__builtin_memcpy(r->remote, c->ends.remote, sizeof(r->remote));
	bpf_get_current_comm(r->comm, sizeof(r->comm));
	say_session(r, session, room);
	submit(r);
	return true;
}

/*
 * A session is read again at a connection's first calls: where the object keeps it may be found after the
 * probes are in place, and the handshake may still go on (early data, false start).
 */
#define ASKS 16

/*
 * Tell user space about the connection: once, again when its addresses become known, and when its session is
 * not what was told. False where nobody knows of it yet.
 */
static __always_inline bool announce(struct connection *c, u64 handle, u64 time)
{
	bool due = !c->announced || (c->ends.family && !c->resolved), said;
	struct session session;

	if (!due && c->asked >= ASKS)
		return true;
	session = read_session(c->target, handle);
	if (!due) {
		c->asked++;
		if (in_short(&session) == c->session)
			return true;
	}
	if (!introduce(bpf_get_current_pid_tgid() >> 32))
		return c->announced;
	said = session.server_name || session.alpn
		   ? say_opened(c, &session, time, SERVER_NAME_SIZE + ALPN_SIZE)
		   : say_opened(c, &session, time, 0);
	if (!said)
		return c->announced;
	c->announced = 1;
	c->session = in_short(&session);
	c->resolved = c->ends.family != 0;
	return true;
}
