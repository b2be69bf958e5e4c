/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The ring, what every record begins with, and what could not be put into the ring.
 *
 * A record is a struct that starts with `struct head`. Its tag is the struct's own BTF type id, so user
 * space reads the layout from the object instead of keeping a copy of it.
 */
#pragma once

#include "kernel/kernel.h"
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>

struct head {
	u32 type; /* BTF id of the struct */
	u32 size; /* bytes that count; the reservation may be larger */
	u64 time; /* boot clock, ns */
};

/* The order is LOSS_REASONS in model.py. */
enum loss { RING_FULL, MAP_FULL, UNREADABLE, OVER_LIMIT, SENDFILE, LOSSES };

struct totals {
	u64 seen;	  /* bytes that programs passed to the library */
	u64 lost[LOSSES]; /* bytes; in shell.bpf.o records, for one that has no room has no size yet */
	u64 untracked;	  /* calls whose bytes are not known: no free frame, or a count that makes no sense */
	u64 unfollowed;	  /* forks of a followed process whose child is not: no room */
};

/* Whether helpers that not all supported kernels have may be used; tests say no. */
const volatile u32 newer_helpers = 1;

/* Below this fill nobody is woken: the reader looks every 10 ms by itself. */
const volatile u32 wake_mark = 1 << 20;

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 32 << 20);
} ring SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, struct totals);
} totals SEC(".maps");

static __always_inline struct totals *sums(void)
{
	return bpf_map_lookup_elem(&totals, &(u32){0});
}

/* A call is not accounted for in bytes. */
static __always_inline void untracked(void)
{
	struct totals *t = sums();

	if (t)
		__sync_fetch_and_add(&t->untracked, 1);
}

static __always_inline void see(u64 size)
{
	struct totals *t = sums();

	if (t)
		__sync_fetch_and_add(&t->seen, size);
}

static __always_inline void lose(enum loss reason, u64 size)
{
	struct totals *t = sums();

	if (t) /* atomic: another task of this CPU may come in between */
		__sync_fetch_and_add(&t->lost[reason], size);
}

static __always_inline void submit(void *record)
{
	bpf_ringbuf_submit(record, BPF_RB_NO_WAKEUP);
}

/*
 * Wake the reader once, as the fill passes the mark; a wake-up per record costs 50 times a submit. Only large
 * records ask, for they fill the ring before the reader comes by itself: of small ones, 10 ms bring some 2
 * MiB for each CPU at the most, and asking would be a tenth of what one costs.
 */
static __always_inline void submit_large(void *record)
{
	u64 fill = bpf_ringbuf_query(&ring, BPF_RB_AVAIL_DATA);

	bpf_ringbuf_submit(record, fill - wake_mark < (64 << 10) ? BPF_RB_FORCE_WAKEUP : BPF_RB_NO_WAKEUP);
}

/* Reserve `room` bytes for a `struct name` of that time and fill in its head; NULL when the ring is full. */
#define RECORD_AT(name, room, when)                                                                          \
	({                                                                                                   \
		struct name *record_ = bpf_ringbuf_reserve(&ring, room, 0);                                  \
		if (record_)                                                                                 \
			record_->head = (struct head){                                                       \
			    .type = bpf_core_type_id_local(struct name),                                     \
			    .size = sizeof(struct name),                                                     \
			    .time = when,                                                                    \
			};                                                                                   \
		record_;                                                                                     \
	})

#define RECORD(name, room) RECORD_AT(name, room, bpf_ktime_get_boot_ns())
