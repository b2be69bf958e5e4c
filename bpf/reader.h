/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* For iterators: tasks as the process that reads them counts them. */
#pragma once

#include "kernel/kernel.h"
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>

/*
 * The number of a task in the reader's pid namespace. `numbers` is declared with one element or with none,
 * depending on the kernel, so it is indexed by hand.
 */
static __always_inline u32 number_of(struct task_struct *task)
{
	struct task_struct *reader = (void *)bpf_get_current_task();
	u32 level = BPF_CORE_READ(reader, thread_pid, level);
	struct pid *pid = BPF_CORE_READ(task, thread_pid);
	u32 number = 0;

	bpf_probe_read_kernel(&number, sizeof(number),
			      (void *)pid + bpf_core_field_offset(pid->numbers) +
				  level * bpf_core_type_size(struct upid) +
				  bpf_core_field_offset(struct upid, nr));
	return number;
}
