// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Any library whose calls read and write plaintext: what differs between libraries and functions (what it
 * does, which argument is what) lies in `points`, chosen by the attach cookie.
 */
#include "addresses.h"
#include "object.h"
#include "span.h"

/* What a function does that is probed: at its entry, its return, or both. The order is KINDS in points.py. */
enum kind {
	CALL,	    /* reads or writes: both */
	NEW,	    /* returns a new connection object: return */
	SHARE,	    /* takes one more reference to it: entry */
	FREE,	    /* gives one back */
	RESET,	    /* makes it ready for another connection */
	DESCRIPTOR, /* tells it its file descriptor */
	MADE,	    /* returns a new one for the file descriptor among its arguments: both */
	SEAL,	    /* turns its connection to TLS: both */
	START,	    /* where a server's program begins */
};

/* One attach point; attach/loader.py writes it. */
struct point {
	u32 target;
	u8 kind;
	u8 direction; /* enum direction */
	u8 handle;    /* position of the connection object among the arguments */
	u8 value;     /* position of the buffer; of the file descriptor, where there is one */
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

/* A call has read or written so many bytes. */
static __always_inline void transfer(const struct point *point, const struct frame *frame, u64 size)
{
	u64 handle = handle_of(frame->handle);
	struct connection *c = find_connection(handle) ?: open_connection(handle, point->target, 1);
	struct span span = {
	    .time = point->direction == WRITE ? frame->time : bpf_ktime_get_boot_ns(),
	    .address = frame->buffer,
	    .size = size,
	    .direction = point->direction,
	    .absent = point->absent,
	};

	if (c && !c->ends.family && !c->unwanted)
		find_addresses(c, frame);
	pass_on(c, handle, &span);
}

static __always_inline void call_ends(struct pt_regs *ctx, const struct point *point)
{
	struct frame *frame = returning(ctx);
	u64 size;

	if (!frame)
		return;
	frame->sp = 0;
	if (stopped)
		return;
	if (point->kind == SEAL || is_unsealed(frame))
		seal(frame, point->target);
	if (point->kind == MADE)
		made_for(PT_REGS_RC(ctx), frame->buffer, point->target);
	if (point->kind != CALL)
		return;
	size = count_of(ctx, frame);
	if (size)
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
	if (point->kind == CALL || point->kind == MADE || point->kind == SEAL) {
		if (wanted())
			call_begins(ctx, point, cookie);
		return 0;
	}
	if (point->kind == START) {
		serve(bpf_get_current_pid_tgid() >> 32, point->target);
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
	if (point->kind != NEW)
		call_ends(ctx, point);
	else if (!stopped && PT_REGS_RC(ctx))
		created(PT_REGS_RC(ctx), point->target);
	return 0;
}

/* The socket that a thread uses inside a library call is the connection's. */
static __always_inline void find_socket(struct sock *sk, s32 size)
{
	struct thread *thread;

	if (size <= 0 || !is_ours())
		return; /* at once: every process on the machine comes by here */
	thread = this_thread();
	if (!thread)
		return;
#pragma unroll
	for (int i = 0; i < NESTING; i++)
		if (thread->frames[i].sp && !thread->frames[i].sk && is_internet(sk))
			thread->frames[i].sk = (u64)sk;
}

/* Linux kernel commit 6e6eda44b939 "sock: add tracepoint for send recv length" (in v6.3) */
SEC("raw_tp")
int socket_sent(struct bpf_raw_tracepoint_args *ctx)
{
	if (!plain_sockets)
		find_socket((void *)ctx->args[0], ctx->args[1]);
	else if (!stopped)
		socket_moved((void *)ctx->args[0], ctx->args[1], WRITE);
	return 0;
}

SEC("raw_tp")
int socket_received(struct bpf_raw_tracepoint_args *ctx)
{
	if (!plain_sockets)
		find_socket((void *)ctx->args[0], ctx->args[1]);
	else if (!stopped && !(ctx->args[2] & MSG_PEEK))
		socket_moved((void *)ctx->args[0], ctx->args[1], READ);
	return 0;
}

/*
 * Linux kernel commit 563e0bb0dc74 "net: tracepoint: replace tcp_set_state tracepoint with
 * inet_sock_set_state tracepoint" (in v4.16). A socket gets into these two states in the process that closes
 * it, and nowhere else.
 */
SEC("raw_tp")
int socket_closed(struct bpf_raw_tracepoint_args *ctx)
{
	u32 state = ctx->args[2];
	struct connection *c;

	if ((state != FIN_WAIT1 && state != LAST_ACK) || stopped)
		return 0;
	c = find_connection(ctx->args[0]);
	if (c && !c->object)
		close_connection(ctx->args[0]);
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
	serve_no_more(id >> 32);
	if (!stopped)
		close_all_of(id >> 32);
	return 0;
}

SEC("raw_tp")
int process_fork(struct bpf_raw_tracepoint_args *ctx)
{
	follow_child((void *)ctx->args[0], (void *)ctx->args[1]);
	if (plain_sockets)
		serve_child((void *)ctx->args[0], (void *)ctx->args[1]);
	return 0;
}

SEC("raw_tp")
int process_exec(struct bpf_raw_tracepoint_args *ctx)
{
	u64 process = bpf_get_current_pid_tgid() >> 32;
	u64 thread = process << 32 | (u32)ctx->args[1]; /* as it was called before: now it is the first one */

	bpf_map_delete_elem(&threads, &thread);
	serve_no_more(process);
	if (!stopped)
		close_all_of(process);
	return 0;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
