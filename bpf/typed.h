/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What is told of shells, and how a line that was typed is told: who and where first, then its text in
 * pieces.
 *
 * Variables of a shell lie in its own executable, at a fixed distance from where its code begins
 * (mm->start_code).
 */
#pragma once

#include "record.h"

#define PIECE 4096
#define PIECES 256 /* 1 MiB: more than a person types or pastes */

/* The order is SHELLS in model/records.py. */
enum shell { BASH, ZSH };

/* The order is LINES in model/records.py. */
enum kind { FIRST, MORE, GIVEN_UP, EARLIER };

/* Set by user space when the capture ends: what is in the ring by then is all there is. */
volatile u32 stopped SEC(".data.stop") = 0;

/* Where a shell has its variables: distances from mm->start_code; attach/shells/find.py fills it in. */
struct variables {
	u32 shell;
	s64 status;	  /* int: the exit status of the last command */
	s64 directory;	  /* char *: the working directory, as the shell calls it */
	s64 asked;	  /* bash, char *: the prompt that it hands to readline */
	s64 prompt;	  /* bash, char *: what that was made of, PS1 or PS2 */
	s64 first_prompt; /* bash, char *: PS1 */
	s64 buffer;	  /* bash, char *: what has been typed so far */
	s64 interactive;  /* bash, int */
	s64 history;	  /* zsh, char *: what was typed, with history expanded; not ended by NUL */
	s64 history_end;  /* zsh, char * */
	s64 expanded;	  /* zsh, int: HISTFLAG_DONE and others in its zsh.h */
	s64 source;	  /* char *: the command as it is written; 0: the shell does not keep it */
	s64 source_there; /* bash, char *: the same while a trap runs */
	s64 trap;	  /* bash, int: which one runs; 0: none */
	s64 traps;	  /* bash, char *[]: what each does; NULL: it is not set */
	s64 script;	  /* char *: what is run, $0 */
	s64 lineno;	  /* int */
	s64 functions;	  /* int: how many are being run */
	s64 subshells;	  /* int: the same */
};

/* A shell asks for a line: whatever ran before has ended, unless this is the rest of a command. */
struct prompted {
	struct head head;
	u32 pid;
	s32 status;
	u8 more;
};

/* Somebody has typed a line; its text follows, if there is any. */
struct line {
	struct head head;
	u32 pid;
	u32 ppid;
	u32 uid;
	u8 shell;
	u8 kind;
	char comm[16];
	char tty[64];
	u8 directory[];
};

struct typed {
	struct head head;
	u32 pid;
	u32 offset;
	u8 last;
	u8 bytes[];
};

/* The shell itself has ended, or its process runs another program. */
struct left {
	struct head head;
	u32 pid;
	s32 status; /* as wait(2) has it */
	u8 replaced;
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 2048);
	__type(key, u32); /* an attach cookie */
	__type(value, struct variables);
} shells SEC(".maps");

/* NULL where nothing is to be told any more. */
static __always_inline struct variables *this_shell(void *ctx)
{
	u32 cookie = bpf_get_attach_cookie(ctx);

	return stopped ? NULL : bpf_map_lookup_elem(&shells, &cookie);
}

static __always_inline u32 this_process(void)
{
	return bpf_get_current_pid_tgid() >> 32;
}

static __always_inline u64 variable(s64 distance, u32 size)
{
	struct task_struct *task = (void *)bpf_get_current_task();
	void *address = (void *)(BPF_CORE_READ(task, mm, start_code) + distance);
	u64 value = 0;

	if (size == sizeof(u32))
		bpf_probe_read_user(&value, sizeof(u32), address);
	else
		bpf_probe_read_user(&value, sizeof(u64), address);
	return value;
}

static __always_inline void say_line(const struct variables *shell, u8 kind)
{
	struct task_struct *task = (void *)bpf_get_current_task();
	struct line *r = RECORD(line, sizeof(*r) + PIECE);
	s64 size;

	if (!r) {
		lose(RING_FULL, 1);
		return;
	}
	r->pid = this_process();
	r->ppid = BPF_CORE_READ(task, real_parent, tgid);
	r->uid = bpf_get_current_uid_gid();
	r->shell = shell->shell;
	r->kind = kind;
	bpf_get_current_comm(r->comm, sizeof(r->comm));
	r->tty[0] = 0;
	BPF_CORE_READ_STR_INTO(&r->tty, task, signal, tty, name);
	size = bpf_probe_read_user_str(r->directory, PIECE, (void *)variable(shell->directory, sizeof(u64)));
	r->head.size = __builtin_offsetof(struct line, directory) + (size > 0 ? size - 1 : 0);
	submit(r);
}

/* The text in pieces, each a whole string for the kernel; false after the last. */
static __always_inline bool say_piece(u64 text, u32 offset)
{
	struct typed *r = RECORD(typed, sizeof(*r) + PIECE);
	s64 size;

	if (!r) {
		lose(RING_FULL, 1);
		return false;
	}
	size = bpf_probe_read_user_str(r->bytes, PIECE, (void *)(text + offset));
	if (size < 1) {
		lose(UNREADABLE, 1);
		bpf_ringbuf_discard(r, BPF_RB_NO_WAKEUP);
		return false;
	}
	see(size - 1);
	r->pid = this_process();
	r->offset = offset;
	r->last = size < PIECE;
	r->head.size = __builtin_offsetof(struct typed, bytes) + size - 1;
	submit(r);
	return size == PIECE;
}

static __always_inline void say(const struct variables *shell, u8 kind, u64 text)
{
	say_line(shell, kind);
	for (u32 piece = 0; piece < PIECES; piece++)
		if (!say_piece(text, piece * (PIECE - 1)))
			return;
	lose(OVER_LIMIT, 1);
}
