/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Connections: an id that is never used twice, the place in the stream of each direction, the addresses.
 *
 * A connection begins with the library's constructor, or with its first call when it is older than the
 * probe; it ends with the destructor, a reset, or the end of its process. Nothing is evicted: a full map
 * is counted as loss.
 */
#pragma once

#include "member.h"
#include "sock.h"

enum direction { READ, WRITE };

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
	u8 looked;  /* how often its hello was looked for */
	u8 asked;   /* how often its session was read again */
	u8 announced;
	u8 resolved; /* the announcement had the addresses */
	u8 unwanted; /* by its addresses: nothing more of it is copied, counted or numbered */
	u8 sealed;   /* of a socket: what goes through it is encrypted from here on */
	u64 session; /* what was announced of it, in short */
	u64 object;  /* of a socket: the library's object that it belongs to, an entry of `objects` */
	struct endpoints ends;
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 65536);
	__type(key, struct connection_key);
	__type(value, struct connection);
} connections SEC(".maps");

/* The library's objects whose connection is their socket: handle and process, to the handle it has instead.
 */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 65536);
	__type(key, struct connection_key);
	__type(value, u64);
} objects SEC(".maps");

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

/* False where there is no room to know the process, and so to close its connections when it ends. */
static __always_inline bool count_connection(u32 pid, s64 change)
{
	struct member *member = member_of(pid);

	if (member)
		__sync_fetch_and_add(&member->open, change);
	return member;
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

static __always_inline void forget_object(const struct connection *c, u32 pid)
{
	struct connection_key key = {.handle = c->object, .pid = pid};

	if (c->object)
		bpf_map_delete_elem(&objects, &key);
}

static __always_inline void close_connection(u64 handle)
{
	struct connection_key key = key_of(handle);
	struct connection *c = bpf_map_lookup_elem(&connections, &key);

	if (!c)
		return;
	say_closed(c);
	forget_object(c, key.pid);
	bpf_map_delete_elem(&connections, &key);
	count_connection(key.pid, -1);
}

static __always_inline struct connection *open_connection(u64 handle, u32 target, u8 mid)
{
	struct connection_key key = key_of(handle);
	struct connection fresh = {
	    .id = __sync_add_and_fetch(&last_id, 1), .target = target, .fd = -1, .mid = mid};

	close_connection(handle);
	if (!count_connection(key.pid, 1))
		return NULL;
	if (bpf_map_update_elem(&connections, &key, &fresh, BPF_ANY)) {
		count_connection(key.pid, -1);
		return NULL;
	}
	return bpf_map_lookup_elem(&connections, &key);
}

/* The same object for another connection: its references and its descriptor stay. */
static __always_inline void renew_connection(struct connection *c)
{
	say_closed(c);
	c->id = __sync_add_and_fetch(&last_id, 1);
	c->offset[READ] = c->offset[WRITE] = 0;
	c->mid = c->looked = c->asked = c->announced = c->resolved = c->unwanted = 0;
	c->session = 0;
	c->ends = (struct endpoints){};
}

struct bpf_map;

static long close_if_of(struct bpf_map *map, struct connection_key *key, struct connection *c, u32 *pid)
{
	if (key->pid == *pid) {
		say_closed(c);
		forget_object(c, key->pid);
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
	forget_process(pid);
}
