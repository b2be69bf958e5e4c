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
#include "typed.h"
#include <bpf/bpf_tracing.h>

#define FEW 256 /* bytes: what most commands need */
#define WORDS_ROOM 4096
#define WORDS_EACH 64	      /* in one record */
#define WORDS_RECORDS 256     /* 1 MiB, as for a line */
#define WORDS_WITHOUT_LOOP 16 /* before kernel 5.17 */

/* The order is TEXTS in model/records.py. */
enum text { SOURCE, SCRIPT, WORDS, PROGRAM, EXPANDED };

struct ran {
	struct head head;
	u64 sp;
	u32 pid;
	u32 ppid;
	u32 uid;
	u32 depth;  /* functions and subshells around it */
	s32 lineno; /* 0: not known */
	u8 shell;
	u8 waits; /* it begins with the words of a PROGRAM, if they come */
	char comm[16];
	char tty[64];
	u8 directory[];
};

struct words {
	struct head head;
	u32 pid;
	u8 text; /* of `enum text` */
	u8 open; /* the last word goes on in the next record */
	u8 last;
	u8 bytes[]; /* each ended by NUL, but for one that goes on */
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
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 65536);
	__type(key, u32); /* tgid */
	__type(value, struct runner);
} runners SEC(".maps");

/* What is left to say of a list of words. */
struct list {
	u64 node;     /* the next one, 0: none */
	u64 word;     /* the rest of one that is being said, 0: none */
	u64 end;      /* of words that lie one after the other, without nodes */
	u64 settings; /* zsh: nodes of a second list, of `struct asgment`: NAME=VALUE */
	u64 value;    /* of the NAME that is being said */
	u32 pid;
	u32 word_at;   /* in a node */
	u64 limit;     /* where the text ends, if not by NUL */
	u32 described; /* 1: there is a pointer to a description that begins with the pointer to the word */
	u32 text;
};

static __always_inline bool all_said(const struct list *list)
{
	return !list->word && !list->node && !list->settings;
}

static __always_inline u64 pointer_at(u64 address)
{
	u64 value = 0;

	bpf_probe_read_user(&value, sizeof(value), (void *)address);
	return value;
}

static __always_inline void next_word(struct list *list)
{
	const u32 name_at = 24, flags_at = 32, value_at = 40, array = 1; /* of struct asgment */

	if (!list->node) {
		list->node = list->settings;
		list->settings = 0;
		list->word_at = name_at;
	}
	if (!list->node)
		return;
	if (list->word_at == name_at && !(pointer_at(list->node + flags_at) & array))
		list->value = pointer_at(list->node + value_at);
	list->word = pointer_at(list->node + list->word_at);
	if (list->described)
		list->word = pointer_at(list->word);
	list->node = pointer_at(list->node);
}

/* One record of words, with room for `room` bytes at which no other word begins, and as many again for the
 * last. */
static __always_inline void say_in(struct list *list, const u32 room)
{
	struct words *r = RECORD(words, sizeof(*r) + 2 * room);
	u32 at = 0;
	s64 size;

	if (!r) {
		lose(RING_FULL, 1);
		list->node = list->word = list->settings = 0;
		return;
	}
	r->open = 0;
	for (int i = 0; i < WORDS_EACH; i++) {
		if (!list->word)
			next_word(list);
		barrier_var(at);
		if (!list->word || at >= room)
			break;
		size = bpf_probe_read_user_str(r->bytes + at, room, (void *)list->word);
		if (size < 1) {
			lose(UNREADABLE, 1);
			list->node = list->word = list->settings = 0;
			r->open = 1;
			break;
		}
		if (list->limit && list->limit - list->word < size) {
			size = list->limit - list->word;
			if (size >= room) /* never: for the verifier */
				break;
			r->bytes[at + (u32)size++] = 0;
		}
		if (size == room) { /* with a NUL in the place of what follows */
			at += size - 1;
			list->word += size - 1;
			r->open = 1;
			break;
		}
		if (list->value)
			r->bytes[at + (u32)size - 1] = '=';
		at += size;
		list->word = list->value ?: list->word + size < list->end ? list->word + size : 0;
		list->value = 0;
	}
	see(at);
	r->pid = list->pid;
	r->text = list->text;
	r->last = all_said(list);
	r->head.size = __builtin_offsetof(struct words, bytes) + at;
	submit(r);
}

/* Functions of their own, so that their loops are verified once. */
__noinline int say_few(struct list *list)
{
	if (list)
		say_in(list, FEW);
	return 0;
}

__noinline int say_many(struct list *list)
{
	if (list)
		say_in(list, WORDS_ROOM);
	return 0;
}

static long say_more(u32 index, struct list *list)
{
	say_many(list);
	return all_said(list);
}

static __always_inline void say_list(struct list *list)
{
	say_few(list);
	if (all_said(list))
		return;
	/* Linux kernel commit e6f2dd0f8067 "bpf: Add bpf_loop helper" (in v5.17) */
	if (newer_helpers && bpf_core_enum_value_exists(enum bpf_func_id, BPF_FUNC_loop)) {
		bpf_loop(WORDS_RECORDS, say_more, list, 0);
	} else {
		for (int i = 0; i < WORDS_WITHOUT_LOOP && !all_said(list); i++)
			say_many(list);
	}
	if (!all_said(list))
		lose(OVER_LIMIT, 1);
}

/* False where the working directory has no place in `room` bytes: then nothing is said. */
static __always_inline bool say_who(const struct variables *shell, u64 sp, u32 pid, u8 waits, const u32 room)
{
	struct task_struct *task = (void *)bpf_get_current_task();
	struct ran *r = RECORD(ran, sizeof(*r) + room);
	u32 here = this_process();
	s64 size;

	if (!r) {
		lose(RING_FULL, 1);
		return true;
	}
	size = bpf_probe_read_user_str(r->directory, room, (void *)variable(shell->directory, sizeof(u64)));
	if (size == room && room < PIECE) {
		bpf_ringbuf_discard(r, BPF_RB_NO_WAKEUP);
		return false;
	}
	r->sp = sp;
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
	r->head.size = __builtin_offsetof(struct ran, directory) + (size > 0 ? size - 1 : 0);
	submit(r);
	return true;
}

/* A command of the process begins, or waits; the current process is the shell. */
static __always_inline void say_ran(const struct variables *shell, u64 sp, u32 pid, u8 waits)
{
	struct list text = {.pid = pid, .text = SCRIPT, .word = variable(shell->script, sizeof(u64))};

	if (!say_who(shell, sp, pid, waits, FEW))
		say_who(shell, sp, pid, waits, PIECE);
	say_few(&text);
	if (text.word)
		say_many(&text);
	if (!shell->source)
		return;
	text.text = SOURCE;
	text.word = variable(shell->source, sizeof(u64));
	say_list(&text);
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
	say_ran(shell, sp, pid, 0);
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

	if (!runner || runner->sp >= sp)
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

	if (!shell || !wanted())
		return;
	if (!bpf_map_lookup_elem(&runners, &pid) && bpf_map_update_elem(&runners, &pid, &runner, BPF_ANY))
		untracked();
	say_ran(shell, PT_REGS_SP(ctx), pid, 1);
}

/* zsh: as its parent may. */
static __always_inline void child_may_run(struct task_struct *child)
{
	u32 pid = this_process(), its = BPF_CORE_READ(child, tgid);
	struct runner *parent = bpf_map_lookup_elem(&runners, &pid), runner = {.sp = ~0ULL};
	struct variables *shell;

	if (!parent || !parent->target || parent->replaced || its == pid)
		return;
	shell = bpf_map_lookup_elem(&shells, &parent->target);
	if (!shell || filter_pid)
		return;
	runner.target = parent->target;
	if (bpf_map_update_elem(&runners, &its, &runner, BPF_ANY))
		untracked();
	say_ran(shell, ~0ULL, its, 1);
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
	if (runner->target && wanted()) {
		words.word = BPF_CORE_READ(task, mm, arg_start);
		words.end = BPF_CORE_READ(task, mm, arg_end);
		say_list(&words);
	}
	return true;
}
