/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Connections: an id that is never used twice, the place in the stream of each direction, the addresses.
 *
 * A connection begins with the library's constructor, or with its first call when it is older than the
 * probe; it ends with the destructor, a reset, or the end of its process. Nothing is evicted: a full map
 * is counted as loss.
 */
#pragma once

#include "record.h"
#include "sock.h"

enum direction { READ, WRITE };

struct opened {
	struct head head;
	u64 connection;
	u64 cgroup;
	u32 target;
	u32 pid, tid, uid;
	u16 family, local_port, remote_port;
	u8 mid;
	u8 local[16], remote[16];
	char comm[16];
};

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

/* How many connections a process has, so that only the exit of one that has any walks the map. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 32768);
	__type(key, u32);
	__type(value, u64);
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
	u64 *open = bpf_map_lookup_elem(&processes, &pid), zero = 0;

	if (!open) {
		bpf_map_update_elem(&processes, &pid, &zero, BPF_NOEXIST);
		open = bpf_map_lookup_elem(&processes, &pid);
	}
	if (open)
		__sync_fetch_and_add(open, change);
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

/* Tell user space about the connection, once, and once more when its addresses become known. */
static __always_inline bool announce(struct connection *c)
{
	struct opened *r;

	if (c->announced && (c->resolved || !c->ends.family))
		return true;
	r = RECORD(opened, sizeof(*r));
	if (!r)
		return c->announced;
	r->connection = c->id;
	r->cgroup = bpf_get_current_cgroup_id();
	r->target = c->target;
	r->pid = bpf_get_current_pid_tgid() >> 32;
	r->tid = bpf_get_current_pid_tgid();
	r->uid = bpf_get_current_uid_gid();
	r->family = c->ends.family;
	r->local_port = c->ends.local_port;
	r->remote_port = c->ends.remote_port;
	r->mid = c->mid;
	__builtin_memcpy(r->local, c->ends.local, sizeof(r->local));
	__builtin_memcpy(r->remote, c->ends.remote, sizeof(r->remote));
	bpf_get_current_comm(r->comm, sizeof(r->comm));
	submit(r);
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
	u64 *open = bpf_map_lookup_elem(&processes, &pid);

	if (!open)
		return;
	/* Linux kernel commit 69c087ba6225 "bpf: Add bpf_for_each_map_elem() helper" (in v5.13) */
	if (*open && newer_helpers &&
	    bpf_core_enum_value_exists(enum bpf_func_id, BPF_FUNC_for_each_map_elem))
		bpf_for_each_map_elem(&connections, close_if_of, &pid, 0);
	bpf_map_delete_elem(&processes, &pid);
}
