/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Drains a ring of packets: what drain.h does, with batches that a file takes as they are.
 *
 * A batch is envelopes in a row (capture/envelope.py), all little endian:
 *
 *     u32 size of what follows the header · u16 kind · u16 object · payload
 *
 *     kind 2  RECORD   any record but a packet: a secret, `keyed` ...
 *     kind 5  PACKETS  u64 flow, then Enhanced Packet Blocks one after the other, as they stand in the file
 *     kind 6  HELD     u64 flow, then one Enhanced Packet Block, which has to wait for the keys of its flow
 *
 * The flow of PACKETS is 0, or that of its first block, which waits no longer: what is HELD of it goes
 * before. The kernel decides, and says so once for each flow: the keys have been seen, or their time is over.
 * Where it sees the keys it says so at once with a record `keyed` (bpf/hold.h), which comes after the
 * secrets. A lost record makes it wait longer, never for ever: its user has a clock too.
 *
 * In the ring a packet is a `struct packet` (bpf/packet.h): struct head, u64 flow, u32 place (enum place),
 * and the block, which ends with the record.
 */
#pragma once

#include "drain.h"

/*
 * Like drain_start, for an object whose packets have the tag `packet` (the BTF id of its `struct packet`).
 * drain_take and all others work as ever.
 */
struct drain *drain_packets(int map_fd, size_t ring_size, size_t capacity, uint16_t object, uint32_t packet);
