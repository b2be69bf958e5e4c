/* SPDX-License-Identifier: Apache-2.0 */
/* Moves records out of a BPF ring buffer, in a thread of its own, without the interpreter. */
#pragma once

#include <stddef.h>
#include <stdint.h>

struct drain;

/*
 * Map the ring behind `map_fd` (BPF_MAP_TYPE_RINGBUF, `ring_size` bytes) and start moving its records into
 * two buffers of `capacity` bytes that take turns. Needs no privilege beyond the descriptor.
 * Returns NULL and sets errno on failure.
 */
struct drain *drain_start(int map_fd, size_t ring_size, size_t capacity, uint16_t object);

/* Readable (an eventfd) when drain_take would yield something. */
int drain_ready_fd(const struct drain *d);

/*
 * Hand over all records moved so far, each as a RECORD envelope (capture/envelope.py). The bytes stay valid
 * until the next call. Waits until the ring is empty first if `settle` is set.
 */
const uint8_t *drain_take(struct drain *d, int settle, size_t *size);

/* How far the kernel has written the ring, and how far what drain_take gave out goes: bytes since its start.
 */
uint64_t drain_produced(const struct drain *d);
uint64_t drain_taken(const struct drain *d);

/* From now on free(3) gives blocks of BIG_BLOCK bytes and more back to the system. */
void return_memory_early(void);

/* Stop the thread and unmap the ring; what was not taken is gone. */
void drain_stop(struct drain *d);
