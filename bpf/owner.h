/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Whose a socket is: told where a process makes or uses one, in that process's own context, for by the time
 * that a packet passes an interface somebody else may run.
 */
#pragma once

#include "filter.h"
#include "packet.h"
#include "process.h"
#include "sock.h"

#define TCP_SYN_SENT 2
#define TCP_SYN_RECV 3
#define TCP_CLOSE 7
#define TCP_LISTEN 10

const volatile u64 filter_cgroup_id = 0; /* with filter_cgroup: which one, for tasks other than the current */

struct owner {
	u32 pid;
	u32 wanted;
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

/* The comment in the packets of a process, as pcapng has it. */
static __always_inline void write_comment(struct options *to, u32 pid, const char *comm)
{
	s64 size = BPF_SNPRINTF(to->bytes.text, COMMENT_ROOM, "pid=%u comm=%s", pid, comm);

	if (size < 2 || size > COMMENT_ROOM)
		return;
	to->bytes.code = OPTION_COMMENT;
	to->bytes.size = size - 1;
	to->size = 4 + ((size - 1 + 3) & ~3) + 4; /* what is behind the text is 0: its padding, and the end */
}

static __noinline int own(u64 sock, struct task_struct *task)
{
	struct owner owner = {.options.size = 4};
	char comm[16] = {};

	owner.pid = BPF_CORE_READ(task, tgid);
	owner.wanted = is_wanted(task);
	BPF_CORE_READ_STR_INTO(&comm, task, group_leader, comm);
	write_comment(&owner.options, owner.pid, comm);
	bpf_map_update_elem(&owners, &sock, &owner, BPF_ANY);
	return 0;
}

/* The current process uses the socket. */
static __always_inline void used(u64 sock)
{
	struct owner *owner = bpf_map_lookup_elem(&owners, &sock);

	if (!owner || owner->pid != bpf_get_current_pid_tgid() >> 32)
		own(sock, (void *)bpf_get_current_task());
}
