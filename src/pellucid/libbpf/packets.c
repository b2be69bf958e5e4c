/* SPDX-License-Identifier: Apache-2.0 */
#include "packets.h"

#include "layout.h"

#define INTERVAL_MS 40 /* a file can wait: the fewer the batches, the less they cost */

/* How `struct packet` in bpf/packet.h begins: the block follows. */
struct packet {
	uint32_t type, size;
	uint64_t time, flow;
	uint32_t place;
} __attribute__((packed));

enum place { STRAIGHT, HELD, FIRST }; /* bpf/packet.h */

/* Begin an envelope with its flow, if there is room for `size` bytes more. */
static bool begin(const struct layout *layout, struct buffer *to, uint16_t kind, uint64_t flow, uint32_t size)
{
	if (to->capacity - to->used < sizeof(struct envelope) + sizeof(flow) + size)
		return false;
	append(to, kind, layout->object, (const uint8_t *)&flow, sizeof(flow));
	to->run = to->used - sizeof(flow);
	return true;
}

/* More of the last envelope's payload. */
static bool extend(struct buffer *to, const uint8_t *block, uint32_t size)
{
	struct envelope *envelope = (void *)(to->bytes + to->run - sizeof(*envelope));
	uint32_t whole;

	if (to->capacity - to->used < size)
		return false;
	memcpy(to->bytes + to->used, block, size);
	to->used += size;
	whole = to->used - to->run;
	memcpy(&envelope->size, &whole, sizeof(whole)); /* it may lie anywhere */
	return true;
}

static bool add(const struct layout *layout, struct buffer *to, const uint8_t *record, uint32_t size)
{
	const uint8_t *block = record + sizeof(struct packet);
	struct packet packet;
	bool held;

	memcpy(&packet, record, sizeof(packet.type));
	if (packet.type != layout->packet)
		return append(to, ENVELOPE_RECORD, layout->object, record, size);
	memcpy(&packet, record, sizeof(packet));
	size -= sizeof(packet);
	held = packet.place == HELD;
	if ((held || packet.place == FIRST || !to->run) &&
	    !begin(layout, to, held ? ENVELOPE_HELD : ENVELOPE_PACKETS,
		   packet.place == STRAIGHT ? 0 : packet.flow, size))
		return false;
	if (!extend(to, block, size))
		return false;
	if (held)
		to->run = 0;
	return true;
}

struct drain *drain_packets(int map_fd, size_t ring_size, size_t capacity, uint16_t object, uint32_t packet)
{
	return drain_with(
	    map_fd, ring_size, capacity,
	    (struct layout){.add = add, .object = object, .interval = INTERVAL_MS, .packet = packet});
}
