/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Whose a socket is: told where a process makes or uses one, in that process's own context, for by the time
 * that a packet passes an interface somebody else may run.
 */
#pragma once

#include "filter.h"
#include "packet.h"

#define TCP_ESTABLISHED 1
#define TCP_SYN_SENT 2
#define TCP_SYN_RECV 3
#define TCP_CLOSE 7
#define TCP_LISTEN 10

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

/* The comment in the packets of a process, as pcapng has it. */
static __always_inline void write_comment(struct options *to, u32 pid, const char *comm)
{
	s64 size = BPF_SNPRINTF(to->bytes.text, COMMENT_ROOM, "pid=%u comm=%s", pid, comm);

	to->bytes.code = OPTION_COMMENT;
	if (size < 2 || size > COMMENT_ROOM)
		return;
	to->bytes.size = size - 1;
	to->size = 4 + ((size - 1 + 3) & ~3) + 4; /* what is behind the text is 0: its padding, and the end */
}

static __noinline int own(u64 sock, struct task_struct *task, u32 yes)
{
	struct owner owner = {.options.size = 4};
	char comm[16] = {};

	owner.pid = BPF_CORE_READ(task, tgid);
	owner.wanted = yes;
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
		own(sock, (void *)bpf_get_current_task(), wanted());
}
