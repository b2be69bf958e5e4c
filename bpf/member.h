/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Processes that something was seen of: user space is told once who each is, and that it has gone. */
#pragma once

#include "process.h"

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

/* NULL where there is no room to know the process, and so to notice that it ends. */
static __always_inline struct member *member_of(u32 pid)
{
	struct member *member = bpf_map_lookup_elem(&processes, &pid), fresh = {};

	if (member)
		return member;
	bpf_map_update_elem(&processes, &pid, &fresh, BPF_NOEXIST);
	return bpf_map_lookup_elem(&processes, &pid);
}

/* Say who the current process is, once, before the first that is told of it; false without room for it. */
static __always_inline bool introduce(u32 pid)
{
	struct member *member = bpf_map_lookup_elem(&processes, &pid);

	if (member && !member->said)
		member->said = say_process();
	return member && member->said;
}

/* The process is gone, or runs another program now. */
static __always_inline void forget_process(u32 pid)
{
	struct member *member = bpf_map_lookup_elem(&processes, &pid);

	if (!member)
		return;
	if (member->said)
		say_gone(pid);
	bpf_map_delete_elem(&processes, &pid);
}
