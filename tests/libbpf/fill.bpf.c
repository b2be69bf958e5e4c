// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Fills the ring as a test wants it, by calls of a function that does nothing: emit(number, size, how). */
#include "record.h"
#include <bpf/bpf_tracing.h>

#define ROOM 1024

enum how { SUBMIT, DISCARD, HOLD };

struct note {
	struct head head;
	u32 number;
	u8 bytes[];
};

struct hold {
	u32 holding; /* a record is reserved and not submitted */
	u32 go;	     /* submit it */
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, struct hold);
} holds SEC(".maps");

static long until_go(u32 index, struct hold **hold)
{
	return ((volatile struct hold *)*hold)->go != 0;
}

/* Some seconds at most: a program has to end. */
static long long_until_go(u32 index, struct hold **hold)
{
	bpf_loop(1 << 20, until_go, hold, 0);
	return (*hold)->go != 0;
}

SEC("uprobe")
int emit(struct pt_regs *ctx)
{
	u32 size = PT_REGS_PARM2(ctx), how = PT_REGS_PARM3(ctx);
	struct hold *hold = bpf_map_lookup_elem(&holds, &(u32){0});
	struct note *r = size <= ROOM ? RECORD(note, sizeof(*r) + ROOM) : NULL;

	if (!r) {
		lose(RING_FULL, 1);
		return 0;
	}
	r->number = PT_REGS_PARM1(ctx);
	r->head.size = __builtin_offsetof(struct note, bytes) + size;
	__builtin_memset(r->bytes, r->number, ROOM);
	if (how == HOLD && hold) {
		hold->holding = 1;
		bpf_loop(1 << 10, long_until_go, &hold, 0);
		hold->holding = 0;
	}
	if (how == DISCARD)
		bpf_ringbuf_discard(r, BPF_RB_NO_WAKEUP);
	else
		submit(r);
	return 0;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
