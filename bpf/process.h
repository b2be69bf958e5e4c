/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Who a process is: read in the kernel when its first connection is announced, for a short-lived one is gone
 * before anybody could look into /proc.
 */
#pragma once

#include "record.h"

#define NAME_SIZE 256 /* NAME_MAX and the NUL */
#define NAMES_ROOM 4096
#define CGROUP_ROOM 1280 /* of it: the executable's path leaves so much */
#define DEPTH 40 /* directories and mounts between a file and the root; what is above them becomes "..." */

struct process {
	struct head head;
	u64 start; /* boot clock, ns */
	u32 pid;
	u16 size;	/* bytes of all names */
	u16 executable; /* those of the executable */
	u8 names[];	/* the executable's path, then the cgroup's: last name first, each ended by NUL */
};

/* The process has ended or runs another program: it is introduced anew, should it come back. */
struct gone {
	struct head head;
	u32 pid;
};

static __always_inline void say_gone(u32 pid)
{
	struct gone *r = RECORD(gone, sizeof(*r));

	if (!r)
		return; /* user space keeps a name that nobody asks for */
	r->pid = pid;
	submit(r);
}

/*
 * Add one name; false where `room` has no place for it. `size` lies in the record, where the verifier does
 * not follow its values from loop to loop.
 */
static __always_inline bool add_name(struct process *r, const void *name, const u32 room)
{
	u32 at = r->size;
	s64 size;

	if (at > room - NAME_SIZE)
		return false;
	size = bpf_probe_read_kernel_str(r->names + at, NAME_SIZE, name);
	if (size > 0)
		r->size = at + size;
	return true;
}

/* Names are missing here: there is always room for saying so. */
static __always_inline void add_ellipsis(struct process *r)
{
	u32 at = r->size;

	barrier_var(at); /* the verifier has to see the comparison on the very value that is used */
	if (at > NAMES_ROOM - 4)
		return;
	__builtin_memcpy(r->names + at, "...", 4);
	r->size = at + 4;
}

/* The names from a file up to the root of its mount namespace, as d_path() in fs/d_path.c goes. */
static __always_inline void add_path(struct process *r, struct file *file)
{
	struct dentry *dentry = BPF_CORE_READ(file, f_path.dentry), *parent;
	void *inner = BPF_CORE_READ(file, f_path.mnt);
	struct mount *mount = inner - bpf_core_field_offset(struct mount, mnt), *outer;

	for (int i = 0; i < DEPTH; i++) {
		if (dentry == BPF_CORE_READ(mount, mnt.mnt_root)) {
			outer = BPF_CORE_READ(mount, mnt_parent);
			if (outer == mount)
				return;
			dentry = BPF_CORE_READ(mount, mnt_mountpoint);
			mount = outer;
			continue;
		}
		parent = BPF_CORE_READ(dentry, d_parent);
		if (parent == dentry)
			return;
		if (!add_name(r, BPF_CORE_READ(dentry, d_name.name), NAMES_ROOM - CGROUP_ROOM))
			break;
		dentry = parent;
	}
	add_ellipsis(r);
}

static __always_inline struct kernfs_node *parent_of(struct kernfs_node *node)
{
	/* Linux kernel commit 633488947ef6 "kernfs: Use RCU to access kernfs_node::parent" (in v6.15) */
	if (bpf_core_field_exists(((struct kernfs_node___6_15 *)0)->__parent))
		return BPF_CORE_READ((struct kernfs_node___6_15 *)node, __parent);
	return BPF_CORE_READ(node, parent);
}

static __always_inline void add_cgroup(struct process *r, struct task_struct *task)
{
	struct kernfs_node *node = BPF_CORE_READ(task, cgroups, dfl_cgrp, kn), *parent;

	for (int i = 0; i < DEPTH; i++) {
		parent = parent_of(node);
		if (!parent)
			return;
		if (!add_name(r, BPF_CORE_READ(node, name), NAMES_ROOM))
			break;
		node = parent;
	}
	add_ellipsis(r);
}

/*
 * Say who the current process is; 0 without room for it. A function of its own, so that the verifier follows
 * its loops once, and not once for each way that leads there or on from there.
 */
__noinline int say_process(void)
{
	struct task_struct *task = (void *)bpf_get_current_task();
	struct process *r = RECORD(process, sizeof(*r) + NAMES_ROOM);

	if (!r)
		return 0;
	r->start = BPF_CORE_READ(task, group_leader, start_boottime);
	r->pid = bpf_get_current_pid_tgid() >> 32;
	r->size = 0;
	add_path(r, BPF_CORE_READ(task, mm, exe_file));
	r->executable = r->size;
	add_cgroup(r, task);
	r->head.size = __builtin_offsetof(struct process, names) + r->size;
	submit(r);
	return 1;
}
