/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The reader's half of the ring of perf_event_open(2): a page that says how far the kernel has written and we
 * have read, then the data. The event itself is a dummy that never counts anything; what comes are the
 * records that a profiler needs to tell which file an address belongs to.
 */
#include "watch.h"

#include <bpf/libbpf.h>
#include <errno.h>
#include <linux/perf_event.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#define RING_SIZE (64 << 10) /* for each CPU: some 500 mappings */
#define LONGEST 5000	     /* bytes of a record: a path has at most 4096 */

struct ring {
	int fd;
	struct perf_event_mmap_page *page;
	const uint8_t *data;
};

struct watch {
	int wait_fd;
	size_t page_size;
	int count;
	struct ring rings[];
};

static int open_event(int cpu)
{
	struct perf_event_attr attr = {
	    .type = PERF_TYPE_SOFTWARE,
	    .size = sizeof(attr),
	    .config = PERF_COUNT_SW_DUMMY,
	    .mmap = 1,
	    .mmap2 = 1,
	    .watermark = 1, /* wakeup_events would count samples only, and there are none */
	    .wakeup_watermark = 1,
	};

	return syscall(SYS_perf_event_open, &attr, -1, cpu, -1, PERF_FLAG_FD_CLOEXEC);
}

static bool add_ring(struct watch *w, int fd)
{
	struct epoll_event event = {.events = EPOLLIN};
	struct ring *ring = &w->rings[w->count];

	ring->page = mmap(NULL, w->page_size + RING_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (ring->page == MAP_FAILED)
		return false;
	ring->fd = fd;
	ring->data = (const uint8_t *)ring->page + w->page_size;
	w->count++;
	return epoll_ctl(w->wait_fd, EPOLL_CTL_ADD, fd, &event) == 0;
}

void watch_stop(struct watch *w)
{
	for (int i = 0; i < w->count; i++) {
		munmap(w->rings[i].page, w->page_size + RING_SIZE);
		close(w->rings[i].fd);
	}
	if (w->wait_fd >= 0)
		close(w->wait_fd);
	free(w);
}

struct watch *watch_start(void)
{
	int cpus = libbpf_num_possible_cpus(), error = 0;
	struct watch *w = cpus > 0 ? calloc(1, sizeof(*w) + cpus * sizeof(w->rings[0])) : NULL;

	if (!w)
		return NULL;
	w->page_size = sysconf(_SC_PAGESIZE);
	w->wait_fd = epoll_create1(EPOLL_CLOEXEC);
	if (w->wait_fd < 0)
		error = errno;
	for (int cpu = 0; cpu < cpus && !error; cpu++) {
		int fd = open_event(cpu), before = w->count;

		if (fd < 0 && errno == ENODEV) /* this CPU is off */
			continue;
		if (fd < 0 || !add_ring(w, fd)) {
			error = errno;
			if (fd >= 0 && w->count == before)
				close(fd);
		}
	}
	if (!error)
		return w;
	watch_stop(w);
	errno = error;
	return NULL;
}

int watch_ready_fd(const struct watch *w)
{
	return w->wait_fd;
}

/* Copy from a place in the ring, where its end may come in between. */
static void copy(uint8_t *to, const struct ring *ring, uint64_t from, size_t size)
{
	size_t at = from % RING_SIZE, first = RING_SIZE - at < size ? RING_SIZE - at : size;

	memcpy(to, ring->data + at, first);
	memcpy(to + first, ring->data, size - first);
}

static size_t take_ring(struct ring *ring, uint8_t *into, size_t room)
{
	const struct perf_event_header lost = {.type = PERF_RECORD_LOST, .size = sizeof(lost)};
	uint64_t head = __atomic_load_n(&ring->page->data_head, __ATOMIC_ACQUIRE);
	uint64_t tail = ring->page->data_tail;
	size_t used = 0;

	/* The kernel tells of a loss only with the next record, which may be long in coming. */
	if (head - tail > RING_SIZE - LONGEST && room >= sizeof(lost)) {
		memcpy(into, &lost, sizeof(lost));
		used = sizeof(lost);
	}
	while (tail < head) {
		struct perf_event_header header;

		copy((uint8_t *)&header, ring, tail, sizeof(header));
		if (header.size > room - used)
			break;
		if (header.type == PERF_RECORD_MMAP2 || header.type == PERF_RECORD_LOST) {
			copy(into + used, ring, tail, header.size);
			used += header.size;
		}
		tail += header.size;
	}
	__atomic_store_n(&ring->page->data_tail, tail, __ATOMIC_RELEASE);
	return used;
}

size_t watch_take(struct watch *w, uint8_t *into, size_t room)
{
	size_t used = 0;

	for (int i = 0; i < w->count; i++)
		used += take_ring(&w->rings[i], into + used, room - used);
	return used;
}
