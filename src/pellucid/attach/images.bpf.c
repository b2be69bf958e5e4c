// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Which files are mapped by which processes: an iterator over all memory areas of the tasks that the reader's
 * pid namespace holds.
 *
 * A file is what `vm_file` has for an inode, not what stat() says of a path: for a file of an overlay that is
 * the inode underneath, so a file below several overlays is one file here, as it is for a uprobe.
 */
#include "reader.h"

#define VM_EXEC 4
#define S_IFMT 0170000
#define S_IFREG 0100000

/* What the reader wants to see; attach/images.py writes it. */
struct wanted {
	u64 tid;   /* 0: of all processes; else of one thread, which is as much as its process has */
	u64 start; /* 0: executable areas; else the one that begins here, executable or not */
};

/* One area; read by attach/images.py. */
struct area {
	u64 pid; /* as the reader's namespace counts; 0: it does not */
	u64 tid; /* a thread that has it; not the first one where that has ended already */
	u64 start, end;
	u64 device, inode, generation;
};

volatile struct wanted wanted SEC(".data.wanted") = {};
/*
 * Written when there is nothing more, for the end of the data is no sign: an iterator over one thread whose
 * memory somebody else changed meanwhile gives its last areas again with each read (kernel/bpf/task_iter.c
 * keeps `prev_vm_end`).
 */
const struct area end_of_areas = {}; /* keeps the struct in the object's BTF */

/*
 * The threads of a process share its areas: one of them speaks, the first, unless it has ended already.
 * Kernels before 6.1 iterate over all threads when one is asked for.
 */
static __always_inline bool speaks(struct task_struct *task)
{
	if (wanted.tid)
		return number_of(task) == wanted.tid;
	return task->pid == task->tgid || !BPF_CORE_READ(task, group_leader, mm);
}

SEC("iter/task_vma")
int areas(struct bpf_iter__task_vma *ctx)
{
	struct task_struct *task = ctx->task;
	struct vm_area_struct *vma = ctx->vma;
	struct area area, end = end_of_areas;
	struct inode *inode;

	if (!task || !vma) {
		bpf_seq_write(ctx->meta->seq, &end, sizeof(end));
		return 0;
	}
	if (!vma->vm_file)
		return 0;
	if (wanted.start ? vma->vm_start != wanted.start : !(vma->vm_flags & VM_EXEC))
		return 0;
	if (!speaks(task))
		return 0;
	area.pid = number_of(BPF_CORE_READ(task, group_leader));
	area.tid = number_of(task);
	if (!area.pid)
		return 0;
	inode = BPF_CORE_READ(vma, vm_file, f_inode);
	if ((BPF_CORE_READ(inode, i_mode) & S_IFMT) != S_IFREG)
		return 0; /* a device: nobody's code */
	area.start = vma->vm_start;
	area.end = vma->vm_end;
	area.device = BPF_CORE_READ(inode, i_sb, s_dev);
	area.inode = BPF_CORE_READ(inode, i_ino);
	area.generation = BPF_CORE_READ(inode, i_generation);
	bpf_seq_write(ctx->meta->seq, &area, sizeof(area));
	return 0;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
