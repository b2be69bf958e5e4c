// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Any library whose calls read and write plaintext: what differs between libraries and functions (what it
 * does, which argument is what) lies in `points`, chosen by the attach cookie.
 */
#include "addresses.h"
#include "data.h"
#include "object.h"

/* What a function does that is probed: at its entry, its return, or both. The order is KINDS in points.py. */
enum kind {
	CALL,	    /* reads or writes: both */
	NEW,	    /* returns a new connection object: return */
	SHARE,	    /* takes one more reference to it: entry */
	FREE,	    /* gives one back */
	RESET,	    /* makes it ready for another connection */
	DESCRIPTOR, /* tells it its file descriptor */
};

/* One attach point; attach/loader.py writes it. */
struct point {
	u32 target;
	u8 kind;
	u8 direction; /* enum direction */
	u8 handle;    /* position of the connection object among the arguments */
	u8 value;     /* position of the buffer; of the file descriptor in a setter */
	u8 size;      /* position of the number of bytes asked for */
	u8 count;     /* position of the pointer to the count; NO_ARGUMENT: the return value is it */
	u8 absent;    /* the bytes are nowhere in the program's memory: the kernel sends a file */
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

static __always_inline void call_begins(struct pt_regs *ctx, const struct point *point, u64 cookie)
{
	struct frame *frame = push(ctx);

	if (!frame)
		return;
	frame->time = point->direction == WRITE ? bpf_ktime_get_boot_ns() : 0;
	frame->handle = argument(ctx, point->handle);
	frame->buffer = argument(ctx, point->value);
	frame->size = argument(ctx, point->size);
	frame->count = point->count == NO_ARGUMENT ? 0 : argument(ctx, point->count);
	frame->point = cookie;
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

/* So many bytes have been read or written: send them, where their connection is wanted. */
static __always_inline void transfer(const struct point *point, const struct frame *frame, u64 size)
{
	struct connection *c =
	    find_connection(frame->handle) ?: open_connection(frame->handle, point->target, 1);
	u64 time = point->direction == WRITE ? frame->time : bpf_ktime_get_boot_ns();
	struct rest rest;

	if (c && !c->ends.family)
		find_addresses(c, frame);
	if (c && c->unwanted) {
		if (c->announced) /* while its addresses were not known */
			announce(c, frame->handle, time);
		return;
	}
	see(size);
	if (!c) {
		lose(MAP_FULL, size);
		return;
	}
	rest = (struct rest){
	    .connection = c->id,
	    .time = time,
	    .offset = c->offset[point->direction & 1],
	    .address = frame->buffer,
	    .end = frame->buffer + size,
	    .direction = point->direction & 1,
	};
	c->offset[rest.direction] += size;
	if (!announce(c, frame->handle, time))
		lose(RING_FULL, size);
	else if (point->absent)
		miss(&rest, size, SENDFILE);
	else
		send(&rest);
}

static __always_inline void call_ends(struct pt_regs *ctx, const struct point *point)
{
	struct frame *frame = returning(ctx);
	u64 size;

	if (!frame)
		return;
	frame->sp = 0;
	size = count_of(ctx, frame);
	if (size && !stopped)
		transfer(point, frame, size);
}

/*
 * Few programs at many points: detaching waits for each program of each file, some 30 ms. Who is wanted
 * decides about calls; what becomes of an object counts whoever does it, for another thread may have begun or
 * end it.
 */
SEC("uprobe")
int entered(struct pt_regs *ctx)
{
	u64 cookie = bpf_get_attach_cookie(ctx), handle;
	struct point *point = stopped ? NULL : point_of(cookie);
	struct connection *c;

	if (!point)
		return 0;
	if (point->kind == CALL) {
		if (wanted())
			call_begins(ctx, point, cookie);
		return 0;
	}
	handle = argument(ctx, point->handle);
	switch (point->kind) {
	case SHARE:
		c = find_connection(handle);
		if (c)
			__sync_fetch_and_add(&c->shared, 1);
		break;
	case FREE:
		release(handle);
		break;
	case RESET:
		reset(handle);
		break;
	case DESCRIPTOR:
		set_descriptor(handle, point->target, argument(ctx, point->value));
	}
	return 0;
}

SEC("uretprobe")
int returned(struct pt_regs *ctx)
{
	struct point *point = point_of(bpf_get_attach_cookie(ctx));

	if (!point)
		return 0;
	if (point->kind == CALL)
		call_ends(ctx, point);
	else if (!stopped && PT_REGS_RC(ctx))
		created(PT_REGS_RC(ctx), point->target);
	return 0;
}

/* sock_send_length and sock_recv_length: the socket that a thread uses inside a library call is the
 * connection's. Linux kernel commit 6e6eda44b939 "sock: add tracepoint for send recv length" (in v6.3) */
SEC("raw_tp")
int socket_used(struct bpf_raw_tracepoint_args *ctx)
{
	struct sock *sk = (void *)ctx->args[0];
	struct thread *thread;

	if ((s32)ctx->args[1] <= 0 || !is_ours())
		return 0; /* at once: every process on the machine comes by here */
	thread = this_thread();
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
	if (sender_known && !stopped && is_ours())
		remember_hello(skb);
	return 1;
}

SEC("raw_tp")
int thread_exit(void *ctx)
{
	struct task_struct *task = (void *)bpf_get_current_task();
	u64 id = bpf_get_current_pid_tgid();

	bpf_map_delete_elem(&threads, &id);
	if (BPF_CORE_READ(task, signal, live.counter))
		return 0;
	unfollow(id >> 32);
	if (!stopped)
		close_all_of(id >> 32);
	return 0;
}

SEC("raw_tp")
int process_fork(struct bpf_raw_tracepoint_args *ctx)
{
	follow_child((void *)ctx->args[0], (void *)ctx->args[1]);
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
