// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Programs that no verifier accepts, each for a reason of its own; a test loads one of them at a time. */
#include "record.h"
#include <bpf/bpf_tracing.h>

struct task_struct___never {
	int no_such_field;
} __attribute__((preserve_access_index));

SEC("uprobe")
int uses_what_may_be_null(struct pt_regs *ctx)
{
	u32 key = PT_REGS_PARM1(ctx);
	struct totals *sum = bpf_map_lookup_elem(&totals, &key);

	sum->seen++;
	return 0;
}

SEC("uprobe")
int keeps_a_record(struct pt_regs *ctx)
{
	u64 *record = bpf_ringbuf_reserve(&ring, sizeof(*record), 0);

	if (record)
		*record = PT_REGS_PARM1(ctx);
	return 0;
}

SEC("uprobe")
int reads_a_missing_field(struct pt_regs *ctx)
{
	struct task_struct___never *task = (void *)bpf_get_current_task();

	return BPF_CORE_READ(task, no_such_field);
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
