/* SPDX-License-Identifier: Apache-2.0 */
/* New executable mappings of the whole machine, as the kernel tells profilers of them. */
#pragma once

#include <stddef.h>
#include <stdint.h>

struct watch;

/*
 * Ask every CPU that is there now for a record of each file that a process maps for execution, exec included.
 * It needs CAP_PERFMON. Returns NULL and sets errno on failure.
 */
struct watch *watch_start(void);

/* Readable (an epoll instance) when watch_take would yield something; once for each time. */
int watch_ready_fd(const struct watch *w);

/*
 * Take whole records (<linux/perf_event.h>: PERF_RECORD_MMAP2, PERF_RECORD_LOST) as they are, into `room`
 * bytes, at least 64 KiB; how many bytes they have. 0: there are no more.
 */
size_t watch_take(struct watch *w, uint8_t *into, size_t room);

/* Ask no longer; what was not taken is gone. */
void watch_stop(struct watch *w);
