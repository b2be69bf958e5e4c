/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Commands as a shell runs them: who, where and in which line of its source first, then how the source has it
 * and the words that it became; later how it ended.
 *
 * A command is told from those that it contains by its place on the stack: what runs inside lies below. So
 * whoever returns from above a command has ended it, whether or not it has returned itself (longjmp).
 *
 * zsh has no function that all commands go through. Builtins and functions have one each; a program is known
 * when the shell's process becomes one, where the shell's variables are gone: so these are told beforehand.
 */
#pragma once

#include "filter.h"
#include "words.h"
#include <bpf/bpf_tracing.h>

struct ran {
	struct head head;
	u64 sp;
	u64 start; /* of the process: another one may have the same number later */
	u32 pid;
	u32 ppid;
	u32 uid;
	u32 depth;  /* functions and subshells around it */
	s32 lineno; /* 0: not known */
	u8 shell;
	u8 waits;      /* it begins with the words of a PROGRAM, if they come */
	u16 script_at; /* where in `directory` what is run ($0) begins; 0: it comes as a text */
	char comm[16];
	char tty[64];
	u8 directory[];
};

/* All commands of the process that are below `sp` have ended. */
struct finished {
	struct head head;
	u64 sp;
	u32 pid;
	s32 status;
};

/* A shell that runs commands, or did and runs a program in its place. */
struct runner {
	u64 sp;	    /* from here down commands have been told, and not their end; ~0: none */
	u32 target; /* zsh: of the map `shells` */
	u8 replaced;
	u8 tried; /* the words of a program have been told that it is to become */
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 65536);
	__type(key, u32); /* tgid */
	__type(value, struct runner);
} runners SEC(".maps");

enum told { TOLD, NO_ROOM, TOO_LONG, SCRIPT_LEFT };

/* TOO_LONG where the working directory has no place in `room` bytes: then nothing is said. SCRIPT_LEFT where
 * all is but what is run. */
static __always_inline enum told say_who(const struct variables *shell, u64 sp, struct task_struct *its,
					 u8 waits, const u32 room)
{
	struct task_struct *task = (void *)bpf_get_current_task();
	struct ran *r = RECORD(ran, sizeof(*r) + room + FEW);
	enum told told;
	u32 here, pid, length = 0;
	s64 size;

	if (!r) { /* nothing before this: verifiers up to Linux 6.1 forget what RECORD has found out */
		lose(RING_FULL, 1);
		return NO_ROOM;
	}
	here = this_process();
	pid = BPF_CORE_READ(its, tgid);
	size = bpf_probe_read_user_str(r->directory, room, (void *)variable(shell->directory, sizeof(u64)));
	if (size == room && room < PIECE) {
		bpf_ringbuf_discard(r, BPF_RB_NO_WAKEUP);
		return TOO_LONG;
	}
	r->sp = sp;
	r->start = BPF_CORE_READ(its, group_leader, start_boottime);
	r->pid = pid;
	r->ppid = pid == here ? BPF_CORE_READ(task, real_parent, tgid) : here;
	r->uid = bpf_get_current_uid_gid();
	r->depth = variable(shell->functions, sizeof(u32)) + variable(shell->subshells, sizeof(u32));
	r->lineno = variable(shell->lineno, sizeof(u32));
	r->shell = shell->shell;
	r->waits = waits;
	bpf_get_current_comm(r->comm, sizeof(r->comm));
	r->tty[0] = 0;
	BPF_CORE_READ_STR_INTO(&r->tty, task, signal, tty, name);
	r->script_at = 0;
	if (size > 1 && size <= room) {
		length = size - 1;
		barrier_var(length);
		if (length < room) {
			size = bpf_probe_read_user_str(r->directory + length, FEW,
						       (void *)variable(shell->script, sizeof(u64)));
			if (size > 0 && size < FEW) {
				r->script_at = length;
				length += size - 1;
			}
		}
	}
	told = r->script_at ? TOLD : SCRIPT_LEFT;
	r->head.size = __builtin_offsetof(struct ran, directory) + length;
	submit(r);
	return told;
}

/*
 * bash: the command as it is written. A DEBUG trap prints its own over that of the command that follows, of
 * which there is a copy then; but not if that is in another trap: 0.
 */
static __always_inline u64 written(const struct variables *shell)
{
	const u32 debug = 65; /* NSIG, see DEBUG_TRAP in bash's trap.h */
	u32 runs = variable(shell->trap, sizeof(u32));

	if (!runs)
		return variable(shell->source, sizeof(u64));
	if (runs != debug + 1 && variable(shell->traps + debug * sizeof(u64), sizeof(u64)))
		return 0;
	return variable(shell->source_there, sizeof(u64));
}

/* A command of the process `its` begins, or waits; the current process is the shell. False where there was no
 * room to say so, which is counted once for all of it: further texts would be of nobody. */
static __always_inline bool say_ran(const struct variables *shell, u64 sp, struct task_struct *its, u8 waits)
{
	struct list text = {.sp = sp, .pid = BPF_CORE_READ(its, tgid), .text = SCRIPT};
	enum told told = say_who(shell, sp, its, waits, FEW);

	if (told == TOO_LONG)
		told = say_who(shell, sp, its, waits, PIECE);
	if (told == NO_ROOM)
		return false;
	if (told == SCRIPT_LEFT) {
		text.word = variable(shell->script, sizeof(u64));
		say_list(&text);
	}
	if (shell->source && !text.lost) {
		text.text = SOURCE;
		text.word = written(shell);
		say_list(&text);
	}
	return !text.lost;
}

/* A command begins that has these words. */
static __always_inline void say_command(void *ctx, u64 sp, struct list *words)
{
	u32 pid = this_process(), target = bpf_get_attach_cookie(ctx);
	struct variables *shell = this_shell(ctx);
	struct runner runner = {.sp = sp};

	if (!shell || !wanted())
		return;
	runner.target = shell->shell == ZSH ? target : 0;
	if (bpf_map_update_elem(&runners, &pid, &runner, BPF_ANY))
		untracked();
	if (!say_ran(shell, sp, (void *)bpf_get_current_task(), 0))
		return;
	words->sp = sp;
	words->pid = pid;
	words->text = WORDS;
	say_list(words);
}

/* Whatever ran below `sp` has ended. */
static __always_inline void say_finished(u64 sp, s32 status)
{
	u32 pid = this_process();
	struct runner *runner = bpf_map_lookup_elem(&runners, &pid);
	struct finished *r;

	if (stopped || !runner || runner->sp >= sp)
		return;
	runner->sp = sp;
	r = RECORD(finished, sizeof(*r));
	if (!r) {
		lose(RING_FULL, 1);
		return;
	}
	r->sp = sp;
	r->pid = pid;
	r->status = status;
	submit(r);
}

/* zsh: this process may run programs, now or in a process that it makes for that. */
static __always_inline void say_may_run(struct pt_regs *ctx)
{
	u32 pid = this_process();
	struct runner runner = {.sp = ~0ULL, .target = bpf_get_attach_cookie(ctx)};
	struct variables *shell = this_shell(ctx);
	struct runner *known;

	if (!shell || !wanted())
		return;
	known = bpf_map_lookup_elem(&runners, &pid);
	if ((!known || known->replaced) && bpf_map_update_elem(&runners, &pid, &runner, BPF_ANY))
		untracked();
	say_ran(shell, PT_REGS_SP(ctx), (void *)bpf_get_current_task(), 1);
}

/* zsh: as its parent may. */
static __always_inline void child_may_run(struct task_struct *child)
{
	u32 pid = this_process(), its = BPF_CORE_READ(child, tgid);
	struct runner *parent = bpf_map_lookup_elem(&runners, &pid), runner = {.sp = ~0ULL};
	struct variables *shell;

	if (stopped || !parent || !parent->target || parent->replaced || its == pid)
		return;
	shell = bpf_map_lookup_elem(&shells, &parent->target);
	if (!shell || filter_pid)
		return;
	runner.target = parent->target;
	if (bpf_map_update_elem(&runners, &its, &runner, BPF_ANY))
		untracked();
	say_ran(shell, ~0ULL, child, 1);
}

/* zsh: this process becomes a program with these words, or ends. It tries one directory of the path after the
 * other. */
static __always_inline void say_tried(u64 first)
{
	u32 pid = this_process();
	struct runner *runner = bpf_map_lookup_elem(&runners, &pid);
	struct list words = {.node = first, .pid = pid, .text = TRIED, .array = 1};

	if (stopped || !runner || runner->replaced || runner->tried)
		return;
	runner->tried = 1;
	say_list(&words);
}

/* Whether a process that has become another program was a shell; zsh: that program is a command of it. */
static __always_inline bool runs_on(u32 pid)
{
	struct runner *runner = bpf_map_lookup_elem(&runners, &pid);
	struct task_struct *task = (void *)bpf_get_current_task();
	struct list words = {.pid = pid, .text = PROGRAM};

	if (!runner || runner->replaced)
		return false;
	runner->replaced = 1;
	if (runner->target) { /* who is wanted was decided before: --comm means the shell */
		words.word = BPF_CORE_READ(task, mm, arg_start);
		words.end = BPF_CORE_READ(task, mm, arg_end);
		say_list(&words);
	}
	return true;
}
