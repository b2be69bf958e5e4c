// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* The secrets of TLS handshakes, and nothing else: reads and writes pass no probe, but for a while at the
 * start. */
#include "established.h"

/* Set by user space when the capture ends: what is in the ring by then is all there is. */
volatile u32 stopped SEC(".data.stop") = 0;

SEC("uprobe")
int secret_logged(struct pt_regs *ctx)
{
	u64 cookie = bpf_get_attach_cookie(ctx);
	struct found_secret found = {};

	if (!stopped && wanted() && read_secret(ctx, cookie, &found) && say_secret(&found, cookie, 0))
		know_logged(&found);
	return 0;
}

/* A call that reads or writes begins, with the object as its first argument; temporary. */
SEC("uprobe")
int connection_used(struct pt_regs *ctx)
{
	if (!stopped && wanted())
		meet_established(bpf_get_attach_cookie(ctx), PT_REGS_PARM1(ctx));
	return 0;
}

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

char LICENSE[] SEC("license") = "Dual BSD/GPL";
