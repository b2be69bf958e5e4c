/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The consumer half of the ring protocol of kernel/bpf/ringbuf.c: a page with the consumer's position
 * (writable), then a page with the producer's position and the data, mapped twice in a row so that no
 * record is ever seen in two parts. libbpf does the same with a callback for each record; a batch at a
 * time is what Python can keep up with.
 */
#include "layout.h"

#include <errno.h>
#include <linux/bpf.h>
#include <malloc.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#define INTERVAL_MS 10
#define BIG_BLOCK (128 << 10) /* glibc's own first value: setting it keeps it there */

struct drain {
	unsigned long *consumer;
	const unsigned long *producer;
	const uint8_t *data;
	size_t ring_size, page;

	struct buffer buffers[2], *filling;
	struct layout layout;
	bool settled, stopping;
	unsigned long kicks, kicks_done;
	unsigned long taken;

	int wait_fd, kick_fd, ready_fd;
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t moved;
};

/* One record as an envelope. */
static bool append_record(const struct layout *layout, struct buffer *to, const uint8_t *record,
			  uint32_t size)
{
	return append(to, ENVELOPE_RECORD, layout->object, record, size);
}

/* Hand on one record, as long as its own head says; false when the buffer has no room. */
static bool hand_on(struct drain *d, const uint8_t *record, uint32_t length)
{
	uint32_t size;

	memcpy(&size, record + 4, sizeof(size)); /* struct head: type, size */
	return d->layout.add(&d->layout, d->filling, record, size < length ? size : length);
}

/* Move what the ring holds; true when nothing is left in it. Called with the lock held. */
static bool move(struct drain *d)
{
	unsigned long at = *d->consumer;
	size_t before = d->filling->used;
	bool all = true;

	while (at < __atomic_load_n(d->producer, __ATOMIC_ACQUIRE)) {
		const uint8_t *header = d->data + (at & (d->ring_size - 1));
		uint32_t flags = __atomic_load_n((const uint32_t *)header, __ATOMIC_ACQUIRE);
		uint32_t length = flags & ~(BPF_RINGBUF_BUSY_BIT | BPF_RINGBUF_DISCARD_BIT);

		if (flags & BPF_RINGBUF_BUSY_BIT || (!(flags & BPF_RINGBUF_DISCARD_BIT) &&
						     !hand_on(d, header + BPF_RINGBUF_HDR_SZ, length))) {
			all = false;
			break;
		}
		at += (length + BPF_RINGBUF_HDR_SZ + 7) & ~7UL;
		__atomic_store_n(d->consumer, at, __ATOMIC_RELEASE);
	}
	if (!before && d->filling->used)
		eventfd_write(d->ready_fd, 1);
	return all;
}

static void *run(void *arg)
{
	struct drain *d = arg;
	struct epoll_event event;
	eventfd_t ignored;

	pthread_mutex_lock(&d->lock);
	while (!d->stopping) {
		unsigned long kicks = d->kicks;

		d->settled = move(d);
		d->kicks_done = kicks;
		pthread_cond_broadcast(&d->moved);
		pthread_mutex_unlock(&d->lock);
		/* Edge-triggered: wakes by the kernel's mark or a kick, not because something is there. */
		if (epoll_wait(d->wait_fd, &event, 1, d->layout.interval) > 0)
			while (eventfd_read(d->kick_fd, &ignored) == 0)
				;
		pthread_mutex_lock(&d->lock);
	}
	pthread_mutex_unlock(&d->lock);
	return NULL;
}

static void kick(struct drain *d)
{
	d->kicks++;
	eventfd_write(d->kick_fd, 1);
}

const uint8_t *drain_take(struct drain *d, int settle, size_t *size)
{
	struct buffer *full;
	eventfd_t ignored;

	pthread_mutex_lock(&d->lock);
	if (settle) {
		kick(d);
		/* Until a whole pass made after this call found the ring empty, or the buffer full. */
		while (d->kicks_done != d->kicks)
			pthread_cond_wait(&d->moved, &d->lock);
	}
	while (eventfd_read(d->ready_fd, &ignored) == 0)
		;
	full = d->filling;
	d->taken = *d->consumer;
	d->filling = full == &d->buffers[0] ? &d->buffers[1] : &d->buffers[0];
	d->filling->used = d->filling->run = 0;
	if (!d->settled)
		kick(d); /* it stopped for want of room, perhaps */
	pthread_mutex_unlock(&d->lock);
	*size = full->used;
	return full->bytes;
}

uint64_t drain_produced(const struct drain *d)
{
	return __atomic_load_n(d->producer, __ATOMIC_ACQUIRE);
}

uint64_t drain_taken(const struct drain *d)
{
	return d->taken;
}

int drain_ready_fd(const struct drain *d)
{
	return d->ready_fd;
}

static void release(struct drain *d)
{
	if (d->consumer && d->consumer != MAP_FAILED)
		munmap(d->consumer, d->page);
	if (d->producer && d->producer != MAP_FAILED)
		munmap((void *)d->producer, d->page + 2 * d->ring_size);
	for (int i = 0; i < 2; i++)
		if (d->buffers[i].bytes && d->buffers[i].bytes != MAP_FAILED)
			munmap(d->buffers[i].bytes, d->buffers[i].capacity);
	if (d->wait_fd >= 0)
		close(d->wait_fd);
	if (d->kick_fd >= 0)
		close(d->kick_fd);
	if (d->ready_fd >= 0)
		close(d->ready_fd);
	free(d);
}

void return_memory_early(void)
{
	mallopt(M_MMAP_THRESHOLD, BIG_BLOCK);
	mallopt(M_TRIM_THRESHOLD, BIG_BLOCK);
}

static bool map_ring(struct drain *d, int map_fd)
{
	const int anonymous = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;

	d->consumer = mmap(NULL, d->page, PROT_READ | PROT_WRITE, MAP_SHARED, map_fd, 0);
	if (d->consumer == MAP_FAILED)
		return false;
	d->producer = mmap(NULL, d->page + 2 * d->ring_size, PROT_READ, MAP_SHARED, map_fd, d->page);
	if (d->producer == MAP_FAILED)
		return false;
	d->data = (const uint8_t *)d->producer + d->page;
	for (int i = 0; i < 2; i++) {
		d->buffers[i].bytes =
		    mmap(NULL, d->buffers[i].capacity, PROT_READ | PROT_WRITE, anonymous, -1, 0);
		if (d->buffers[i].bytes == MAP_FAILED)
			return false;
	}
	return true;
}

static bool watch(struct drain *d, int map_fd)
{
	struct epoll_event edge = {.events = EPOLLIN | EPOLLET};

	d->wait_fd = epoll_create1(EPOLL_CLOEXEC);
	d->kick_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	d->ready_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	return d->wait_fd >= 0 && d->kick_fd >= 0 && d->ready_fd >= 0 &&
	       !epoll_ctl(d->wait_fd, EPOLL_CTL_ADD, map_fd, &edge) &&
	       !epoll_ctl(d->wait_fd, EPOLL_CTL_ADD, d->kick_fd, &edge);
}

/* Signals belong to the interpreter's thread. */
static int start_thread(struct drain *d)
{
	sigset_t all, before;
	int error;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	error = pthread_create(&d->thread, NULL, run, d);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return error;
}

struct drain *drain_start(int map_fd, size_t ring_size, size_t capacity, uint16_t object)
{
	return drain_with(map_fd, ring_size, capacity,
			  (struct layout){.add = append_record, .object = object, .interval = INTERVAL_MS});
}

struct drain *drain_with(int map_fd, size_t ring_size, size_t capacity, struct layout layout)
{
	struct drain *d = calloc(1, sizeof(*d));
	int error;

	if (!d)
		return NULL;
	d->page = sysconf(_SC_PAGESIZE);
	d->ring_size = ring_size;
	d->buffers[0].capacity = d->buffers[1].capacity = capacity;
	d->layout = layout;
	d->filling = &d->buffers[0];
	d->wait_fd = d->kick_fd = d->ready_fd = -1;
	pthread_mutex_init(&d->lock, NULL);
	pthread_cond_init(&d->moved, NULL);
	error = map_ring(d, map_fd) && watch(d, map_fd) ? start_thread(d) : errno;
	if (!error)
		return d;
	release(d);
	errno = error;
	return NULL;
}

void drain_stop(struct drain *d)
{
	pthread_mutex_lock(&d->lock);
	d->stopping = true;
	kick(d);
	pthread_mutex_unlock(&d->lock);
	pthread_join(d->thread, NULL);
	release(d);
}
