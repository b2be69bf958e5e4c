/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Arguments of a library call, kept from its entry to its return.
 *
 * Each thread has a few frames, told apart by the stack pointer at the entry: calls nest (TLS inside
 * TLS), and a call left by longjmp or an exception never returns. A frame at or below the stack pointer
 * of a new call belongs to such a call and is taken over.
 */
#pragma once

#include "record.h"
#include "stack.h"
#include <bpf/bpf_tracing.h>

#define NESTING 3

struct frame {
	u64 sp;	    /* 0: free */
	u64 time;   /* of a write: its beginning, boot clock, ns */
	u64 handle; /* the library's connection object: SSL *, gnutls_session_t */
	u64 buffer;
	u64 size;  /* how many bytes the program asked for */
	u64 count; /* where the library stores how many bytes; 0: the return value says it */
	u64 sk;	   /* the first internet socket (struct sock *) this thread used inside the call */
	u64 point;
};

struct thread {
	struct frame frames[NESTING];
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 32768);
	__type(key, u64); /* pid_tgid */
	__type(value, struct thread);
} threads SEC(".maps");

/* The barrier keeps each register a load of its own: the verifier refuses a computed offset into them. */
#define ARGUMENT(n, reg)                                                                                     \
	if (position == n) {                                                                                 \
		u64 value = reg(ctx);                                                                        \
		barrier_var(value);                                                                          \
		return value;                                                                                \
	}

static __always_inline u64 argument(struct pt_regs *ctx, u8 position)
{
	ARGUMENT(0, PT_REGS_PARM1)
	ARGUMENT(1, PT_REGS_PARM2)
	ARGUMENT(2, PT_REGS_PARM3)
	ARGUMENT(3, PT_REGS_PARM4)
	ARGUMENT(4, PT_REGS_PARM5)
	return 0;
}

static __always_inline struct thread *this_thread(void)
{
	u64 id = bpf_get_current_pid_tgid();

	return bpf_map_lookup_elem(&threads, &id);
}

/* A free frame for a call that begins now, NULL where there is no room (counted as lost). */
static __always_inline struct frame *push(struct pt_regs *ctx)
{
	u64 id = bpf_get_current_pid_tgid(), sp = PT_REGS_SP(ctx);
	struct thread *thread = bpf_map_lookup_elem(&threads, &id);

	if (!thread) {
		struct thread fresh = {};

		bpf_map_update_elem(&threads, &id, &fresh, BPF_NOEXIST);
		thread = bpf_map_lookup_elem(&threads, &id);
	}
	if (thread) {
#pragma unroll
		for (int i = 0; i < NESTING; i++) {
			struct frame *frame = &thread->frames[i];

			if (frame->sp <= sp) {
				frame->sp = sp;
				frame->sk = 0;
				return frame;
			}
		}
	}
	untracked();
	return NULL;
}

/* The frame of the call that returns now; the caller frees it with `frame->sp = 0`. */
static __always_inline struct frame *returning(struct pt_regs *ctx)
{
	struct thread *thread = this_thread();

	if (!thread)
		return NULL;
#pragma unroll
	for (int i = 0; i < NESTING; i++)
		if (thread->frames[i].sp == PT_REGS_SP(ctx) - RETURN_ADDRESS)
			return &thread->frames[i];
	return NULL;
}
