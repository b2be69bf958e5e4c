/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* For objects that record secrets: how the capture ends, and processes that begin, become another program,
 * and end. */
#pragma once

#include "filter.h"
#include "member.h"

/* Set by user space when the capture ends: what is in the ring by then is all there is. */
volatile u32 stopped SEC(".data.stop") = 0;

SEC("raw_tp")
int process_exit(void *ctx)
{
	struct task_struct *task = (void *)bpf_get_current_task();
	u32 pid = bpf_get_current_pid_tgid() >> 32;

	if (BPF_CORE_READ(task, signal, live.counter))
		return 0;
	unfollow(pid);
	if (!stopped)
		forget_process(pid);
	return 0;
}

SEC("raw_tp")
int process_fork(struct bpf_raw_tracepoint_args *ctx)
{
	follow_child((void *)ctx->args[0], (void *)ctx->args[1]);
	return 0;
}

SEC("raw_tp")
int process_exec(void *ctx)
{
	if (!stopped)
		forget_process(bpf_get_current_pid_tgid() >> 32);
	return 0;
}
