/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Who is watched, decided before anything is remembered or copied; attach/filters.py sets it. */
#pragma once

#include "follow.h"

const volatile u32 filter_pid = 0;     /* 0: all */
const volatile u64 filter_uid = ~0ULL; /* ~0: all; 0 is root */
const volatile u32 filter_cgroup = 0;  /* 1: only tasks in or under the cgroup in `cgroups` */
const volatile u32 filter_comm = 0;    /* 1: only tasks with a name in `comms` */

struct {
	__uint(type, BPF_MAP_TYPE_CGROUP_ARRAY);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, u32);
} cgroups SEC(".maps");

struct comm {
	char name[16]; /* filled up with zeros */
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1); /* as many as there are */
	__type(key, struct comm);
	__type(value, u8);
} comms SEC(".maps");

/* By the thread's own name, or by that of its process, which is its first thread's. */
static __always_inline bool wanted_comm(void)
{
	struct task_struct *task = (void *)bpf_get_current_task();
	struct comm thread = {}, process = {};

	BPF_CORE_READ_STR_INTO(&thread.name, task, comm);
	BPF_CORE_READ_STR_INTO(&process.name, task, group_leader, comm);
	return bpf_map_lookup_elem(&comms, &thread) || bpf_map_lookup_elem(&comms, &process);
}

/* The cheapest question of all, for places where every process of the machine comes by. */
static __always_inline bool is_ours(void)
{
	return !filter_pid || bpf_get_current_pid_tgid() >> 32 == filter_pid;
}

static __always_inline bool wanted(void)
{
	if (!is_ours())
		return false;
	if (filter_follow && !is_followed(bpf_get_current_pid_tgid() >> 32))
		return false;
	if (filter_uid != ~0ULL && (u32)bpf_get_current_uid_gid() != filter_uid)
		return false;
	if (filter_comm && !wanted_comm())
		return false;
	return !filter_cgroup || bpf_current_task_under_cgroup(&cgroups, 0) == 1;
}
