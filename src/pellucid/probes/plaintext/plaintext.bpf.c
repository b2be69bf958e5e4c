// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Any library whose calls read and write plaintext: one program per kind of call, and what differs
 * between libraries (which argument is what) in `points`, chosen by the attach cookie.
 */
#include "call.h"
#include "data.h"
#include "filter.h"

/* One attach point; attach/loader.py writes it. */
struct point {
	u32 target;
	u8 direction; /* enum direction */
	u8 handle;    /* position of the connection object among the arguments */
	u8 value;     /* position of the buffer; of the file descriptor in a setter */
	u8 size;      /* position of the number of bytes asked for */
	u8 count;     /* position of the pointer to the count; NO_ARGUMENT: the return value is it */
};

#define NO_ARGUMENT 255

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 16384);
	__type(key, u32);
	__type(value, struct point);
} points SEC(".maps");

/* Set by user space when the capture ends: what is in the ring by then is all there is. */
volatile u32 stopped SEC(".data.stop") = 0;

static __always_inline struct point *point_of(u64 index)
{
	return bpf_map_lookup_elem(&points, &(u32){index});
}

static __always_inline struct point *here(struct pt_regs *ctx)
{
	return stopped || !wanted() ? NULL : point_of(bpf_get_attach_cookie(ctx));
}

SEC("uprobe")
int call_enter(struct pt_regs *ctx)
{
	struct point *point = here(ctx);
	struct frame *frame = point ? push(ctx) : NULL;

	if (!frame)
		return 0;
	frame->time = bpf_ktime_get_boot_ns();
	frame->handle = argument(ctx, point->handle);
	frame->buffer = argument(ctx, point->value);
	frame->size = argument(ctx, point->size);
	frame->count = point->count == NO_ARGUMENT ? 0 : argument(ctx, point->count);
	frame->point = bpf_get_attach_cookie(ctx);
	return 0;
}

/*
 * How many bytes the call that returns now has read or written; 0 when it failed or must be retried. A count
 * in the program's memory may be anything by now: more than was asked for is not believed.
 */
static __always_inline u64 count_of(struct pt_regs *ctx, const struct frame *frame)
{
	s32 result = PT_REGS_RC(ctx);
	u64 count = 0;

	if (result <= 0)
		return 0;
	if (!frame->count)
		return result;
	if (bpf_probe_read_user(&count, sizeof(count), (void *)frame->count) || count > frame->size) {
		untracked();
		return 0;
	}
	return count;
}

#define LOOKS 4 /* early data is written before the hello leaves */

/*
 * The connection's addresses, by what is surest: the hello that its own object remembers; the socket that
 * this thread has used inside the call; the descriptor that the library was told.
 */
static __always_inline void find_addresses(struct connection *c, const struct frame *frame)
{
	u32 server = 0;
	struct sock *sk;

	if (c->looked < LOOKS && read_fact(c->target, IS_SERVER, frame->handle, &server)) {
		c->looked++;
		c->role = server ? SERVER : CLIENT;
		if (find_hello(c->target, frame->handle, server, &c->ends))
			return;
	}
	sk = (void *)frame->sk ?: socket_of(c->fd);
	if (sk)
		read_endpoints(sk, &c->ends);
}

SEC("uretprobe")
int call_exit(struct pt_regs *ctx)
{
	struct frame *frame = returning(ctx);
	struct rest rest;
	u64 size;
	struct totals *sum;
	struct point *point;
	struct connection *c;

	if (!frame)
		return 0;
	frame->sp = 0;
	size = count_of(ctx, frame);
	point = point_of(frame->point);
	if (!size || !point || stopped)
		return 0;
	sum = sums();
	if (sum)
		__sync_fetch_and_add(&sum->seen, size);
	c = find_connection(frame->handle) ?: open_connection(frame->handle, point->target, 1);
	if (!c) {
		lose(MAP_FULL, size);
		return 0;
	}
	if (!c->ends.family)
		find_addresses(c, frame);
	rest = (struct rest){
	    .connection = c->id,
	    .offset = c->offset[point->direction & 1],
	    .address = frame->buffer,
	    .end = frame->buffer + size,
	    .direction = point->direction & 1,
	};
	c->offset[rest.direction] += size;
	if (announce(c, frame->handle))
		send(&rest);
	else
		lose(RING_FULL, size);
	return 0;
}

SEC("uretprobe")
int handle_new(struct pt_regs *ctx)
{
	struct point *point = here(ctx);

	if (point && PT_REGS_RC(ctx))
		open_connection(PT_REGS_RC(ctx), point->target, 0);
	return 0;
}

SEC("uprobe")
int handle_share(struct pt_regs *ctx)
{
	struct point *point = here(ctx);
	struct connection *c = point ? find_connection(argument(ctx, point->handle)) : NULL;

	if (c)
		__sync_fetch_and_add(&c->shared, 1);
	return 0;
}

/* A free is the end only when nobody else holds a reference. */
SEC("uprobe")
int handle_free(struct pt_regs *ctx)
{
	struct point *point = here(ctx);
	u64 handle = point ? argument(ctx, point->handle) : 0;
	struct connection *c = point ? find_connection(handle) : NULL;

	if (c && c->shared)
		__sync_fetch_and_add(&c->shared, -1);
	else if (c)
		close_connection(handle);
	return 0;
}

/* The same object for another connection. Libraries also reset a new one: that changes nothing. */
SEC("uprobe")
int handle_reset(struct pt_regs *ctx)
{
	struct point *point = here(ctx);
	u64 handle = point ? argument(ctx, point->handle) : 0;
	struct connection *c = find_connection(handle);

	if (point && c && (c->offset[READ] || c->offset[WRITE]))
		open_connection(handle, point->target, 0);
	return 0;
}

SEC("uprobe")
int handle_fd(struct pt_regs *ctx)
{
	struct point *point = here(ctx);
	u64 handle = point ? argument(ctx, point->handle) : 0;
	struct connection *c = find_connection(handle);

	if (point && !c)
		c = open_connection(handle, point->target, 1);
	if (point && c)
		c->fd = argument(ctx, point->value);
	return 0;
}

/* sock_send_length and sock_recv_length: the socket that a thread uses inside a library call is the
 * connection's. Linux kernel commit 6e6eda44b939 "sock: add tracepoint for send recv length" (in v6.3) */
SEC("raw_tp")
int socket_used(struct bpf_raw_tracepoint_args *ctx)
{
	struct thread *thread = this_thread();
	struct sock *sk = (void *)ctx->args[0];

	if (!thread)
		return 0;
#pragma unroll
	for (int i = 0; i < NESTING; i++)
		if (thread->frames[i].sp && !thread->frames[i].sk && is_internet(sk))
			thread->frames[i].sk = (u64)sk;
	return 0;
}

/* Every packet that leaves a socket of the cgroup passes here, and goes on. */
SEC("cgroup_skb/egress")
int hello_sent(struct __sk_buff *skb)
{
	if (!stopped)
		remember_hello(skb);
	return 1;
}

SEC("raw_tp")
int thread_exit(void *ctx)
{
	struct task_struct *task = (void *)bpf_get_current_task();
	u64 id = bpf_get_current_pid_tgid();

	bpf_map_delete_elem(&threads, &id);
	if (!stopped && BPF_CORE_READ(task, signal, live.counter) == 0)
		close_all_of(id >> 32);
	return 0;
}

SEC("raw_tp")
int process_exec(struct bpf_raw_tracepoint_args *ctx)
{
	u64 process = bpf_get_current_pid_tgid() >> 32;
	u64 thread = process << 32 | (u32)ctx->args[1]; /* as it was called before: now it is the first one */

	bpf_map_delete_elem(&threads, &thread);
	if (!stopped)
		close_all_of(process);
	return 0;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
