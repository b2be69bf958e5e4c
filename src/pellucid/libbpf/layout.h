/* SPDX-License-Identifier: Apache-2.0 */
/* How what is drained lies in a batch; the ring itself is drain.c's alone. */
#pragma once

#include "drain.h"

#include <stdbool.h>
#include <string.h>

#define ENVELOPE_RECORD 2 /* model.Kind */
#define ENVELOPE_PACKETS 5
#define ENVELOPE_HELD 6

struct envelope {
	uint32_t size;
	uint16_t kind;
	uint16_t object;
};

struct buffer {
	uint8_t *bytes;
	size_t used, capacity;
	size_t run; /* of the last envelope, while more may be added to it: where its header ends; else 0 */
};

struct layout {
	/* Add a record of `size` bytes to the buffer; false when it has no room. */
	bool (*add)(const struct layout *layout, struct buffer *to, const uint8_t *record, uint32_t size);
	uint16_t object;
	int interval;	 /* ms between looks into the ring, for the kernel wakes nobody below its fill mark */
	uint32_t packet; /* the tag of packets, for packets.c */
};

struct drain *drain_with(int map_fd, size_t ring_size, size_t capacity, struct layout layout);

/* An envelope with that payload; false, and nothing was changed, when there is no room. */
static inline bool append(struct buffer *to, uint16_t kind, uint16_t object, const uint8_t *payload,
			  uint32_t size)
{
	const struct envelope envelope = {.size = size, .kind = kind, .object = object};

	if (to->capacity - to->used < sizeof(envelope) + size)
		return false;
	memcpy(to->bytes + to->used, &envelope, sizeof(envelope));
	memcpy(to->bytes + to->used + sizeof(envelope), payload, size);
	to->used += sizeof(envelope) + size;
	to->run = 0;
	return true;
}
