/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Shells that ask for a line, and what they get. */
#pragma once

#include "ran.h"
#include "stack.h"
#include <bpf/bpf_tracing.h>

/* A shell that was seen. */
struct reader {
	u64 sp;	  /* of the call that waits for a line; 0: none does */
	u64 line; /* bash: the text whose history is being expanded */
	u8 more;
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 16384);
	__type(key, u32); /* tgid */
	__type(value, struct reader);
} readers SEC(".maps");

/* A line is asked for; `more`: it is to continue what was typed before. */
static __always_inline void asked(const struct variables *shell, u8 more, u64 sp)
{
	struct reader now = {.sp = sp, .more = more}, *before;
	struct prompted *r;
	u32 pid = this_process();

	before = bpf_map_lookup_elem(&readers, &pid);
	if (before && before->sp) /* left by longjmp */
		say_line(shell, GIVEN_UP);
	if (bpf_map_update_elem(&readers, &pid, &now, BPF_ANY))
		untracked();
	r = RECORD(prompted, sizeof(*r));
	if (!r) {
		lose(RING_FULL, 1);
		return;
	}
	r->pid = pid;
	r->status = variable(shell->status, sizeof(u32));
	r->more = more;
	submit(r);
}

/* The line that `asked` was about is there; other calls of the same function are not meant. */
static __always_inline void answered(struct pt_regs *ctx)
{
	struct variables *shell = this_shell(ctx);
	u32 pid = this_process();
	struct reader *reader = bpf_map_lookup_elem(&readers, &pid);

	if (!shell || !wanted() || !reader || reader->sp != PT_REGS_SP(ctx) - RETURN_ADDRESS)
		return;
	reader->sp = 0;
	if (PT_REGS_RC(ctx))
		say(shell, reader->more ? MORE : FIRST, PT_REGS_RC(ctx));
	else /* Ctrl-D; zsh: Ctrl-C too */
		say_line(shell, GIVEN_UP);
}

/* What the line that a shell has read runs as; NULL: it does not run. */
static __always_inline void say_expanded(u64 text, u64 limit)
{
	struct list line = {.pid = this_process(), .text = EXPANDED, .word = text, .limit = limit};

	say_list(&line);
}
