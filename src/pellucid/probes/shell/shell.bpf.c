// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Lines that people type into a shell, and what became of them.
 *
 * The function that reads a line tells both: its return is the line, and its next call for a new command, not
 * for the rest of one, is the end of the command before, whose status the shell keeps in a variable.
 */

#include "bash.h"
#include "zsh.h"

static __always_inline void left(u8 replaced)
{
	struct task_struct *task = (void *)bpf_get_current_task();
	u32 pid = this_process();
	struct left *r;
	bool reads = !bpf_map_delete_elem(&readers, &pid);

	if (!(replaced ? runs_on(pid) : !bpf_map_delete_elem(&runners, &pid)) && !reads)
		return;
	r = RECORD(left, sizeof(*r));
	if (!r) {
		lose(RING_FULL, 1);
		return;
	}
	r->pid = pid;
	r->status = BPF_CORE_READ(task, exit_code);
	r->replaced = replaced;
	submit(r);
}

/* Either shell: the function that reads a line. */
SEC("uprobe")
int line_returned(struct pt_regs *ctx)
{
	answered(ctx);
	return 0;
}

SEC("raw_tp")
int process_exit(void *ctx)
{
	struct task_struct *task = (void *)bpf_get_current_task();

	if (BPF_CORE_READ(task, signal, live.counter))
		return 0;
	unfollow(this_process());
	if (!stopped)
		left(0);
	return 0;
}

SEC("raw_tp")
int process_fork(struct bpf_raw_tracepoint_args *ctx)
{
	follow_child((void *)ctx->args[0], (void *)ctx->args[1]);
	child_may_run((void *)ctx->args[1]);
	return 0;
}

SEC("raw_tp")
int process_exec(void *ctx)
{
	if (!stopped)
		left(1);
	return 0;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
