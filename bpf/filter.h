/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Who is watched, decided before anything is remembered or copied. */
#pragma once

#include "kernel/kernel.h"
#include <bpf/bpf_helpers.h>

const volatile u32 filter_pid = 0;     /* 0: all */
const volatile u64 filter_uid = ~0ULL; /* ~0: all; 0 is root */
const volatile u32 filter_cgroup = 0;  /* 1: only tasks under the cgroup in `cgroups` */

struct {
	__uint(type, BPF_MAP_TYPE_CGROUP_ARRAY);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, u32);
} cgroups SEC(".maps");

static __always_inline bool wanted(void)
{
	if (filter_pid && bpf_get_current_pid_tgid() >> 32 != filter_pid)
		return false;
	if (filter_uid != ~0ULL && (u32)bpf_get_current_uid_gid() != filter_uid)
		return false;
	return !filter_cgroup || bpf_current_task_under_cgroup(&cgroups, 0) == 1;
}
