/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Servers that send and receive plaintext, seen at their sockets: two tracepoints tell of each send and
 * receive in the thread that makes it, for a seventh of what probes on the server's own functions cost.
 *
 * A connection's handle is its socket. What the server uses one for inside a call that is probed, to encrypt
 * or to shake hands, is no plaintext, and never will be again: that socket is sealed, and the library's
 * object stands for it (`objects`).
 */
#pragma once

#include "call.h"
#include "connection.h"
#include "filter.h"
#include "span.h"

#define AF_UNIX 1
#define SOCK_STREAM 1
#define MSG_PEEK 2
#define IPPROTO_MPTCP 262
#define FIN_WAIT1 4 /* net/tcp_states.h */
#define LAST_ACK 9

/* Linux 6.3 and newer; attach/loader.py sets both */
const volatile u32 plain_sockets = 0;
const volatile u32 own_process = 0; /* 1: each connection ends with its process */

/* The processes of watched servers, to their targets: those that begin enter themselves, attach/servers.py
 * the others. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 65536);
	__type(key, u32); /* tgid */
	__type(value, u32);
} servers SEC(".maps");

static __always_inline u32 *server_of(u32 pid)
{
	return bpf_map_lookup_elem(&servers, &pid);
}

static __always_inline void serve(u32 pid, u32 target)
{
	struct totals *t;

	if (!bpf_map_update_elem(&servers, &pid, &target, BPF_ANY))
		return;
	t = sums();
	if (t)
		__sync_fetch_and_add(&t->unfollowed, 1);
}

static __always_inline void serve_child(struct task_struct *maker, struct task_struct *made)
{
	u32 parent = BPF_CORE_READ(maker, tgid), child = BPF_CORE_READ(made, tgid);
	u32 *target = server_of(parent);

	if (target && parent != child)
		serve(child, *target);
}

static __always_inline void serve_no_more(u32 pid)
{
	if (plain_sockets)
		bpf_map_delete_elem(&servers, &pid);
}

/* The handle of the connection that an object of the library has. */
static __always_inline u64 handle_of(u64 object)
{
	struct connection_key key = key_of(object);
	u64 *socket = plain_sockets ? bpf_map_lookup_elem(&objects, &key) : NULL;

	return socket ? *socket : object;
}

/* MPTCP listens with its first socket of TCP, and the one that is accepted is made from that. */
static __always_inline struct sock *transport_of(struct sock *sk)
{
	if (BPF_CORE_READ(sk, sk_protocol) == IPPROTO_MPTCP &&
	    bpf_core_field_exists(((struct mptcp_sock *)0)->first)) /* CONFIG_MPTCP */
		return BPF_CORE_READ((struct mptcp_sock *)sk, first);
	return sk;
}

/* Whether a socket has come to its process through accept(2): a server's others lead to other servers. */
static __always_inline bool is_accepted(struct sock *sk)
{
	if (BPF_CORE_READ(sk, sk_type) != SOCK_STREAM)
		return false;
	if (is_internet(sk)) /* made from the one that listens, with what listen(2) has set */
		return BPF_CORE_READ(transport_of(sk), sk_max_ack_backlog);
	return BPF_CORE_READ(sk, __sk_common.skc_family) == AF_UNIX &&
	       BPF_CORE_READ((struct unix_sock *)sk, addr);
}

/* One that is connected no more may have had any; a Unix socket has none. */
static __always_inline bool has_wanted_ends(struct sock *sk, const struct endpoints *ends)
{
	if (ends->family)
		return wanted_ends(ends);
	return is_internet(sk) || (!filter_port && !filter_host);
}

/* What the server asks others is not wanted; the library may have an object for it that is to be known. */
static __always_inline struct connection *open_socket(struct sock *sk, u32 target, u8 mid)
{
	struct connection *c = open_connection((u64)sk, target, mid);

	if (c) {
		read_endpoints(sk, &c->ends);
		c->unwanted = !is_accepted(sk) || !has_wanted_ends(sk, &c->ends);
	}
	return c;
}

/*
 * Whether a session that is older than the capture is in TLS: its thread may be in a call that no probe has
 * seen begin. Then a record comes or goes first (RFC 8446 section 5.1), and libraries receive its head alone.
 */
static __always_inline bool is_record(u64 address, u32 size, u8 direction)
{
	u8 head[5];
	u32 type, minor, length;

	if (size < sizeof(head) || bpf_probe_read_user(head, sizeof(head), (void *)address))
		return false;
	type = head[0];
	minor = head[2];
	length = head[3] << 8 | head[4];
	if (type < 20 || type > 23 || head[1] != 3 || minor < 1 || minor > 3)
		return false;
	return direction == READ ? size == sizeof(head) : size >= sizeof(head) + length;
}

/* This object's connection is that of this socket. */
static __always_inline void join_object(struct connection *c, u64 object, u64 sk)
{
	struct connection_key key = key_of(object);

	forget_object(c, key.pid);
	c->object = object;
	if (bpf_map_update_elem(&objects, &key, &sk, BPF_ANY))
		untracked();
}

/* The server has made an object for a socket: a connection begins. */
static __always_inline void made_for(u64 object, s32 fd, u32 target)
{
	struct sock *sk = object ? socket_of(fd) : NULL;
	struct connection *c = sk ? open_socket(sk, target, 0) : NULL;

	if (c)
		join_object(c, object, (u64)sk);
}

/* What goes through the socket that was used inside the call is this object's, encrypted. */
static __always_inline void seal(const struct frame *frame, u32 target)
{
	struct sock *sk = (void *)frame->sk;
	struct connection *c = sk ? find_connection((u64)sk) ?: open_socket(sk, target, 1) : NULL;

	if (!c)
		return;
	c->sealed = 1;
	if (c->object != frame->handle)
		join_object(c, frame->handle, (u64)sk);
}

/* Whether an object's socket is not known, but was used inside the call that ends. */
static __always_inline bool is_unsealed(const struct frame *frame)
{
	return plain_sockets && frame->sk && handle_of(frame->handle) == frame->handle &&
	       !find_connection(frame->handle);
}

/* Where the system call sends from or receives into; 0 for those that say it otherwise, as sendmsg(2) does.
 */
static __always_inline u64 buffer_of(struct pt_regs *regs)
{
#if defined(__TARGET_ARCH_x86)
	u64 number = regs->orig_ax;
	bool plain = number == 0 || number == 1 || number == 44 || number == 45;
#else /* asm-generic/unistd.h */
	u64 number = regs->user_regs.regs[8];
	bool plain = number == 63 || number == 64 || number == 206 || number == 207;
#endif
	return plain ? PT_REGS_PARM2(regs) : 0; /* read, write, sendto, recvfrom */
}

/* Whether the socket is used inside a probed call, which then has it; a call below the stack pointer was
 * left. */
static __always_inline bool is_inside(struct sock *sk, u64 sp)
{
	struct thread *thread = this_thread();
	bool inside = false;

	if (!thread)
		return false;
#pragma unroll
	for (int i = 0; i < NESTING; i++) {
		if (thread->frames[i].sp <= sp)
			continue;
		inside = true;
		if (!thread->frames[i].sk && (is_internet(sk) || is_accepted(sk))) /* not the log's */
			thread->frames[i].sk = (u64)sk;
	}
	return inside;
}

/* A server has sent or received through a socket; of what it has not, `size` says why: 0 is the end. */
static __always_inline void socket_moved(struct sock *sk, s32 size, u8 direction)
{
	u32 *target = is_ours() ? server_of(bpf_get_current_pid_tgid() >> 32) : NULL;
	struct span span = {.size = size, .direction = direction};
	struct connection *c;
	struct pt_regs *regs;

	if (!target)
		return;
	regs = (void *)bpf_task_pt_regs(bpf_get_current_task_btf());
	if (is_inside(sk, PT_REGS_SP(regs)))
		return;
	c = find_connection((u64)sk);
	if (size <= 0) {
		if (!size && direction == READ && c && !c->object && !own_process) /* else these end it */
			close_connection((u64)sk);
		return;
	}
	span.address = buffer_of(regs);
	if (!c) {
		if (!is_accepted(sk) || !wanted())
			return;
		if (!span.address) { /* no client's: those that servers have among themselves, as Galera's */
			untracked();
			return;
		}
		c = open_socket(sk, *target, 1);
		if (c)
			c->sealed = is_record(span.address, size, direction);
	}
	if (c && c->sealed)
		return;
	span.time = bpf_ktime_get_boot_ns();
	pass_on(c, (u64)sk, &span);
}
