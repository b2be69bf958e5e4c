/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Words and other texts of a shell into the ring, whatever their number and length: many short ones in a
 * record, and a long one over several.
 */
#pragma once

#include "typed.h"

#define FEW 128 /* bytes: what most commands need */
#define WORDS_ROOM 512
#define WORDS_EACH 64			      /* in one record */
#define WORDS_MOST (1 << 20)		      /* bytes, as for a line */
#define WORDS_RECORDS WORDS_MOST / WORDS_EACH /* where all are empty */
#define WORDS_WITHOUT_LOOP 128		      /* before kernel 5.17 */

/* The order is TEXTS in model/records.py. */
enum text { SOURCE, SCRIPT, WORDS, PROGRAM, EXPANDED, TRIED };

struct words {
	struct head head;
	u64 sp; /* as in `struct ran`, so that no other command is given them; 0: EXPANDED, PROGRAM, TRIED */
	u32 pid;
	u8 text; /* of `enum text` */
	u8 open; /* the last word goes on in the next record */
	u8 last;
	u8 bytes[]; /* each ended by NUL, but for one that goes on */
};

/* What is left to say of a list of words. */
struct list {
	u64 node;     /* the next one, 0: none */
	u64 word;     /* the rest of one that is being said, 0: none */
	u64 end;      /* of words that lie one after the other, without nodes */
	u64 settings; /* zsh: nodes of a second list, of `struct asgment`: NAME=VALUE */
	u64 value;    /* of the NAME that is being said */
	u64 sp;	      /* of the command */
	u32 pid;
	u32 word_at;   /* in a node */
	u64 limit;     /* where the text ends, if not by NUL */
	u32 array;     /* 1: nodes are pointers to words, one after the other, the last is 0 */
	u32 described; /* 1: there is a pointer to a description that begins with the pointer to the word */
	u32 text;
	u32 said; /* bytes */
	u32 lost; /* 1: something of it */
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
	if (list->array) {
		list->word = pointer_at(list->node);
		list->node = list->word ? list->node + sizeof(u64) : 0;
		return;
	}
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
	u64 rest;
	s64 size;

	if (!r) {
		lose(RING_FULL, 1);
		list->lost = 1;
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
		rest = list->limit - list->word;
		if (list->limit && rest < size) {
			if (rest >=
			    room) { /* never: for the verifier, which does not compare two registers */
				lose(UNREADABLE, 1);
				break;
			}
			r->bytes[at + (u32)rest] = 0;
			size = rest + 1;
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
	list->said += at;
	r->sp = list->sp;
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
	return all_said(list) || list->said >= WORDS_MOST;
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
