/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Whose a socket is: told where a process makes or uses one, in that process's own context, for by the time
 * that a packet passes an interface somebody else may run.
 */
#pragma once

#include "filter.h"
#include "network.h"
#include "packet.h"
#include "process.h"
#include "sock.h"

#define TCP_SYN_SENT 2
#define TCP_SYN_RECV 3
#define TCP_CLOSE 7
#define TCP_LISTEN 10

const volatile u64 filter_cgroup_id = 0; /* with filter_cgroup: which one, for tasks other than the current */

#define NAME_MASK 255
#define ID_SIZE 64
#define SHORT_ID 12 /* as `docker ps` shows it */
#define GROUPS 8    /* that a container may have within */

struct group_name {
	char bytes[NAME_MASK + 1 + SHORT_ID];
};

struct owner {
	u32 pid;
	u32 wanted;
	u64 program; /* `self_exec_id`: another one once the process has become another program */
	struct options options;
};

/* By the socket's address in the kernel. The oldest go first: such a socket is known again when it is used.
 */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 32768);
	__type(key, u64);
	__type(value, struct owner);
} owners SEC(".maps");

/* Whoever remembers an owner has to ask again when there is another one. */
static volatile u64 owners_so_far;

/* What filter.h asks of the current task, of any: in programs that may not ask it, and for sockets that are
 * older. */
static __noinline int is_wanted(struct task_struct *task)
{
	struct kernfs_node *node = BPF_CORE_READ(task, cgroups, dfl_cgrp, kn);
	struct comm comm = {};
	u32 pid = BPF_CORE_READ(task, tgid);

	if ((filter_pid && pid != filter_pid) || (filter_follow && !is_followed(pid)))
		return false;
	if (filter_uid != ~0ULL && BPF_CORE_READ(task, cred, uid.val) != filter_uid)
		return false;
	BPF_CORE_READ_STR_INTO(&comm.name, task, group_leader, comm);
	if (filter_comm && !bpf_map_lookup_elem(&comms, &comm))
		return false;
	if (!filter_cgroup)
		return true;
	for (int i = 0; i < DEPTH && node; i++) {
		if (BPF_CORE_READ(node, id) == filter_cgroup_id)
			return true;
		node = parent_of(node);
	}
	return false;
}

/* Too large for the stack. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, struct group_name);
} group_names SEC(".maps");

static __always_inline bool is_hexadecimal(char c)
{
	return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
}

/* Where a container's id is in the name of its cgroup, by the rules of container.py; -1 where there is none.
 */
static __noinline int find_id(const struct group_name *name, u32 length)
{
	static const char scope[] = ".scope";
	u32 start, suffix = sizeof(scope) - 1;

	if (length > suffix && name->bytes[(length - suffix) & NAME_MASK] == '.')
		length -= suffix;
	if (length < ID_SIZE || length > NAME_MASK)
		return -1;
	start = length - ID_SIZE;
	for (u32 i = 0; i < ID_SIZE; i++)
		if (!is_hexadecimal(name->bytes[(start + i) & NAME_MASK]))
			return -1;
	if (start && name->bytes[(start - 1) & NAME_MASK] != '-' &&
	    name->bytes[(start - 1) & NAME_MASK] != ':')
		return -1;
	/* "-conmon-": whoever keeps a container is not in it */
	if (start >= 8 && name->bytes[(start - 8) & NAME_MASK] == '-' &&
	    name->bytes[(start - 7) & NAME_MASK] == 'c' && name->bytes[(start - 2) & NAME_MASK] == 'n')
		return -1;
	return start;
}

/* The beginning of the id of the container that a task is in; false outside of any. */
static __noinline int find_container(struct task_struct *task, char *to)
{
	struct kernfs_node *node = BPF_CORE_READ(task, cgroups, dfl_cgrp, kn);
	struct group_name *name = bpf_map_lookup_elem(&group_names, &(u32){0});

	for (int i = 0; i < GROUPS && node && name; i++) {
		s64 size = bpf_probe_read_kernel_str(name->bytes, NAME_MASK + 1, BPF_CORE_READ(node, name));
		int id = size > 0 ? find_id(name, size - 1) : -1;

		if (id >= 0)
			return !bpf_probe_read_kernel(to, SHORT_ID, name->bytes + (id & NAME_MASK));
		node = parent_of(node);
	}
	return false;
}

/* Whoever names a process may not write to a terminal by it, nor say `pid=1`: one word, of what can be seen.
 */
static __always_inline void tame(char *name, u32 size)
{
	for (u32 i = 0; i < size - 1; i++) {
		u8 c = name[i];

		if (c && (c < '!' || c > '~' || c == '='))
			name[i] = '?';
	}
}

/* The comment in the packets of a process, as pcapng has it. */
static __always_inline void write_comment(struct options *to, struct task_struct *task, u32 pid)
{
	char comm[16] = {}, container[16] = {};
	s64 size;

	BPF_CORE_READ_STR_INTO(&comm, task, group_leader, comm);
	tame(comm, sizeof(comm));
	if (find_container(task, container))
		size = BPF_SNPRINTF(to->bytes.text, COMMENT_ROOM, "pid=%u comm=%s container=%s", pid, comm,
				    container);
	else
		size = BPF_SNPRINTF(to->bytes.text, COMMENT_ROOM, "pid=%u comm=%s", pid, comm);
	if (size < 2 || size > COMMENT_ROOM)
		return;
	to->bytes.code = OPTION_COMMENT;
	to->bytes.size = size - 1;
	to->size = 4 + ((size - 1 + 3) & ~3) + 4; /* what is behind the text is 0: its padding, and the end */
}

static __noinline int own(u64 sock, struct task_struct *task)
{
	struct owner owner = {.options.size = 4};

	owner.pid = BPF_CORE_READ(task, tgid);
	owner.wanted = is_wanted(task);
	if (by_network && owner.wanted)
		note_network(BPF_CORE_READ((struct sock *)sock, __sk_common.skc_net.net), owner.pid);
	owner.program = BPF_CORE_READ(task, self_exec_id);
	write_comment(&owner.options, task, owner.pid);
	bpf_map_update_elem(&owners, &sock, &owner, BPF_ANY);
	__sync_fetch_and_add(&owners_so_far, 1);
	return 0;
}

/* The current process uses the socket. */
static __always_inline void used(u64 sock)
{
	struct owner *owner = bpf_map_lookup_elem(&owners, &sock);
	struct task_struct *task = bpf_get_current_task_btf();

	if (!owner || owner->pid != task->tgid || owner->program != task->self_exec_id)
		own(sock, task);
}
