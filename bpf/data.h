/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Bytes of a watched program into the ring, whatever their number, in records as long as their data.
 *
 * Nothing here may fault: a page that is not there costs the piece that holds it, and the ring goes on.
 * That is enough, because probes copy when the call returns, and by then the library itself has just
 * touched every byte. (A program that may sleep could fault pages in, but a page that never comes would
 * hang the watched thread, and with it the detaching of the probe.)
 */
#pragma once

#include "connection.h"

#define SMALL 192   /* what most requests fit in */
#define PIECE 16384 /* the longest TLS record: what most long reads return */
#define PIECES 4096 /* 64 MiB in one call; more is lost, and said */
#define PIECES_WITHOUT_LOOP 64

struct data {
	struct head head;
	u64 connection;
	u64 offset;
	u32 tid;
	u8 direction;
	u8 bytes[];
};

struct missed {
	struct head head;
	u64 connection;
	u64 offset;
	u64 size;
	u8 direction;
	u8 reason;
};

/*
 * What is left to send of one call: numbers only, so that a bpf_loop callback can carry it; an end instead
 * of a size, for the verifier would follow each value of a size that shrinks.
 */
struct rest {
	u64 connection;
	u64 time; /* when the bytes were there: of a write its beginning, of a read its return */
	u64 offset;
	u64 address;
	u64 end;
	u32 direction;
};

static __always_inline void miss(const struct rest *rest, u64 size, enum loss reason)
{
	struct missed *r = RECORD_AT(missed, sizeof(*r), rest->time);

	lose(reason, size);
	if (!r)
		return; /* the hole shows in the offsets all the same */
	r->connection = rest->connection;
	r->offset = rest->offset;
	r->size = size;
	r->direction = rest->direction;
	r->reason = reason;
	submit(r);
}

/* One record with room for `room` bytes (a constant: the verifier wants it); size <= room. */
static __always_inline void send_in(const struct rest *rest, u32 size, const u32 room)
{
	struct data *r = RECORD_AT(data, sizeof(*r) + room, rest->time);

	if (!r) {
		lose(RING_FULL, size);
		return;
	}
	if (size > room) /* never: for the verifier */
		size = room;
	if (bpf_probe_read_user(r->bytes, size, (void *)rest->address)) {
		bpf_ringbuf_discard(r, BPF_RB_NO_WAKEUP);
		miss(rest, size, UNREADABLE);
		return;
	}
	r->head.size = __builtin_offsetof(struct data, bytes) + size;
	r->connection = rest->connection;
	r->offset = rest->offset;
	r->tid = bpf_get_current_pid_tgid();
	r->direction = rest->direction;
	if (room > SMALL)
		submit_large(r);
	else
		submit(r);
}

/* Send the next piece and move on; 1 when nothing is left (bpf_loop's word for stop). */
static long send_piece(u32 index, struct rest *rest)
{
	u64 size = rest->end - rest->address;

	if (size > PIECE)
		size = PIECE;
	if (size <= SMALL)
		send_in(rest, size, SMALL);
	else if (size <= 960)
		send_in(rest, size, 960);
	else if (size <= 4032)
		send_in(rest, size, 4032);
	else
		send_in(rest, size, PIECE);
	rest->offset += size;
	rest->address += size;
	return rest->address == rest->end;
}

static __always_inline void send(struct rest *rest)
{
	if (rest->end - rest->address <= PIECE) {
		send_piece(0, rest);
		/* Linux kernel commit e6f2dd0f8067 "bpf: Add bpf_loop helper" (in v5.17) */
	} else if (newer_helpers && bpf_core_enum_value_exists(enum bpf_func_id, BPF_FUNC_loop)) {
		bpf_loop(PIECES, send_piece, rest, 0);
	} else {
		for (int i = 0; i < PIECES_WITHOUT_LOOP && rest->address != rest->end; i++)
			send_piece(i, rest);
	}
	if (rest->address != rest->end)
		miss(rest, rest->end - rest->address, OVER_LIMIT);
}
