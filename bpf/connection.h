/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Connections: an id that is never used twice, the place in the stream of each direction, the addresses.
 *
 * A connection begins with the library's constructor, or with its first call when it is older than the
 * probe; it ends with the destructor, a reset, or the end of its process. Nothing is evicted: a full map
 * is counted as loss.
 */
#pragma once

#include "hello.h"
#include "process.h"
#include "record.h"

enum direction { READ, WRITE };

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

struct closed {
	struct head head;
	u64 connection;
	u64 read, written;
};

struct connection_key {
	u64 handle;
	u32 pid;
	u32 pad;
};

struct connection {
	u64 id;
	u64 offset[2]; /* by enum direction: bytes so far, seen or lost */
	u32 target;
	s32 fd;	    /* told by the library's setter; -1: not told */
	u32 shared; /* references beyond the first: a free gives back one of them */
	u8 mid;	    /* older than the probe */
	u8 role;    /* enum role */
	u8 looked;  /* how often its hello was looked for */
	u8 announced;
	u8 resolved; /* the announcement had the addresses */
	u8 unwanted; /* by its addresses: nothing more of it is copied, counted or numbered */
	struct endpoints ends;
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 65536);
	__type(key, struct connection_key);
	__type(value, struct connection);
} connections SEC(".maps");

struct member {
	u64 open; /* connections: only the exit of a process that has any walks their map */
	u8 said;  /* user space knows who it is */
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 32768);
	__type(key, u32);
	__type(value, struct member);
} processes SEC(".maps");

struct ended {
	u64 read, written;
};

/*
 * Ends that found no room in the ring, by connection id: the tracer collects them every second. An end that
 * finds no room here either is not said; the bytes before it are counted as lost all the same.
 */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 16384);
	__type(key, u64);
	__type(value, struct ended);
} unsaid SEC(".maps");

static u64 last_id;

static __always_inline struct connection_key key_of(u64 handle)
{
	return (struct connection_key){.handle = handle, .pid = bpf_get_current_pid_tgid() >> 32};
}

static __always_inline struct connection *find_connection(u64 handle)
{
	struct connection_key key = key_of(handle);

	return bpf_map_lookup_elem(&connections, &key);
}

static __always_inline void count_connection(u32 pid, s64 change)
{
	struct member *member = bpf_map_lookup_elem(&processes, &pid), fresh = {};

	if (!member) {
		bpf_map_update_elem(&processes, &pid, &fresh, BPF_NOEXIST);
		member = bpf_map_lookup_elem(&processes, &pid);
	}
	if (member)
		__sync_fetch_and_add(&member->open, change);
}

/* Say who the current process is, once, before the first of its connections. */
static __always_inline void introduce(u32 pid)
{
	struct member *member = bpf_map_lookup_elem(&processes, &pid);

	if (member && !member->said)
		member->said = say_process();
}

/* Say that it is over, where anybody knows of it. */
static __always_inline void say_closed(const struct connection *c)
{
	struct ended ended = {.read = c->offset[READ], .written = c->offset[WRITE]};
	struct closed *r;

	if (!c->announced)
		return;
	r = RECORD(closed, sizeof(*r));
	if (!r) {
		bpf_map_update_elem(&unsaid, &c->id, &ended, BPF_ANY);
		return;
	}
	r->connection = c->id;
	r->read = ended.read;
	r->written = ended.written;
	submit(r);
}

static __always_inline void close_connection(u64 handle)
{
	struct connection_key key = key_of(handle);
	struct connection *c = bpf_map_lookup_elem(&connections, &key);

	if (!c)
		return;
	say_closed(c);
	bpf_map_delete_elem(&connections, &key);
	count_connection(key.pid, -1);
}

static __always_inline struct connection *open_connection(u64 handle, u32 target, u8 mid)
{
	struct connection_key key = key_of(handle);
	struct connection fresh = {
	    .id = __sync_add_and_fetch(&last_id, 1), .target = target, .fd = -1, .mid = mid};

	close_connection(handle);
	if (bpf_map_update_elem(&connections, &key, &fresh, BPF_ANY))
		return NULL;
	count_connection(key.pid, 1);
	return bpf_map_lookup_elem(&connections, &key);
}

/* What the library's object says of the session; 0 for what it does not say. */
struct session {
	u32 version, cipher, alpn_size;
	u64 server_name, alpn; /* addresses in the program */
};

static __always_inline struct session read_session(u32 target, u64 handle)
{
	struct session session = {};

	if (!is_connection(target, handle))
		return session;
	read_fact(target, VERSION, handle, &session.version);
	read_fact(target, CIPHER, handle, &session.cipher);
	session.server_name =
	    pointer_of(target, SERVER_NAME, handle) ?: pointer_of(target, SERVER_NAME_ELSEWHERE, handle);
	if (read_fact(target, ALPN_LENGTH, handle, &session.alpn_size))
		session.alpn = pointer_of(target, ALPN, handle);
	return session;
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
static __always_inline bool say_opened(const struct connection *c, const struct session *session,
				       const u32 room)
{
	struct opened *r = RECORD(opened, sizeof(*r) + room);

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
	r->role = c->role;
	r->mid = c->mid;
	__builtin_memcpy(r->local, c->ends.local, sizeof(r->local));
	__builtin_memcpy(r->remote, c->ends.remote, sizeof(r->remote));
	bpf_get_current_comm(r->comm, sizeof(r->comm));
	say_session(r, session, room);
	submit(r);
	return true;
}

/* Tell user space about the connection, once, and once more when its addresses become known. */
static __always_inline bool announce(struct connection *c, u64 handle)
{
	struct session session;
	bool said;

	if (c->announced && (c->resolved || !c->ends.family))
		return true;
	introduce(bpf_get_current_pid_tgid() >> 32);
	session = read_session(c->target, handle);
	said = session.server_name || session.alpn ? say_opened(c, &session, SERVER_NAME_SIZE + ALPN_SIZE)
						   : say_opened(c, &session, 0);
	if (!said)
		return c->announced;
	c->announced = 1;
	c->resolved = c->ends.family != 0;
	return true;
}

struct bpf_map;

static long close_if_of(struct bpf_map *map, struct connection_key *key, struct connection *c, u32 *pid)
{
	if (key->pid == *pid) {
		say_closed(c);
		bpf_map_delete_elem(map, key);
	}
	return 0;
}

/* The process is gone, or runs another program now: so are its connections. */
static __always_inline void close_all_of(u32 pid)
{
	struct member *member = bpf_map_lookup_elem(&processes, &pid);

	if (!member)
		return;
	/* Linux kernel commit 69c087ba6225 "bpf: Add bpf_for_each_map_elem() helper" (in v5.13) */
	if (member->open && newer_helpers &&
	    bpf_core_enum_value_exists(enum bpf_func_id, BPF_FUNC_for_each_map_elem))
		bpf_for_each_map_elem(&connections, close_if_of, &pid, 0);
	if (member->said)
		say_gone(pid);
	bpf_map_delete_elem(&processes, &pid);
}
