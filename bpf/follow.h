/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * A process and all its descendants. Ancestry is handed on when a process is made, before it has run, so its
 * first call is seen; whoever its parent is later does not matter.
 */
#pragma once

#include "record.h"

const volatile u32 filter_follow = 0; /* 1: only the processes in `followed` */

/* Those that exist; attach/follow.py enters the first ones. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 65536);
	__type(key, u32); /* tgid */
	__type(value, u8);
} followed SEC(".maps");

static __always_inline bool is_followed(u32 pid)
{
	return bpf_map_lookup_elem(&followed, &pid);
}

/* A new thread has the process of its maker. */
static __always_inline void follow_child(struct task_struct *maker, struct task_struct *made)
{
	u32 parent = BPF_CORE_READ(maker, tgid), child = BPF_CORE_READ(made, tgid);
	struct totals *t;
	u8 yes = 1;

	if (parent == child || !is_followed(parent) || !bpf_map_update_elem(&followed, &child, &yes, BPF_ANY))
		return;
	t = sums();
	if (t)
		__sync_fetch_and_add(&t->unfollowed, 1);
}

static __always_inline void unfollow(u32 pid)
{
	if (filter_follow)
		bpf_map_delete_elem(&followed, &pid);
}
