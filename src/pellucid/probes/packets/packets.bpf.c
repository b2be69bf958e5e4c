// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Packets as they pass interfaces, and the secrets that decrypt them: through one ring, in their true order.
 * Packets pass a filter first, where there is one (attach/packets/pcap_filter.py), which hands
 * on what matches by `captures`.
 */
#include "lives.h"

#include "hold.h"

#define NEXT (-1)	  /* TC_ACT_UNSPEC, TCX_NEXT: whoever comes after us decides */
#define PACKET_OUTGOING 4 /* linux/if_packet.h */
#define ENTRIES 2
#define LOOKS 4 /* packets that pass through are for nobody here */

const volatile u32 only_owned = 0; /* 1: only packets of processes that are watched (bpf/filter.h) */

/* For filters: ingress and egress. */
struct {
	__uint(type, BPF_MAP_TYPE_PROG_ARRAY);
	__uint(max_entries, ENTRIES);
	__type(key, u32);
	__type(value, u32);
} captures SEC(".maps");

/* For those of packet sockets: an array holds programs of one type only. */
struct {
	__uint(type, BPF_MAP_TYPE_PROG_ARRAY);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, u32);
} socket_captures SEC(".maps");

static const struct options no_options = {.size = 4};

/* The socket that a packet arrives for, which may be one that listens; 0 where there is none in this machine.
 */
static __always_inline u64 receiver(struct __sk_buff *skb, struct place_in_flow *place)
{
	struct bpf_sock *sk = NULL;
	u64 sock;

	if (place->key.protocol == TCP)
		sk = place->tuple_size == sizeof(place->tuple.ipv4)
			 ? bpf_skc_lookup_tcp(skb, &place->tuple, sizeof(place->tuple.ipv4),
					      BPF_F_CURRENT_NETNS, 0)
			 : bpf_skc_lookup_tcp(skb, &place->tuple, sizeof(place->tuple.ipv6),
					      BPF_F_CURRENT_NETNS, 0);
	else
		sk = place->tuple_size == sizeof(place->tuple.ipv4)
			 ? bpf_sk_lookup_udp(skb, &place->tuple, sizeof(place->tuple.ipv4),
					     BPF_F_CURRENT_NETNS, 0)
			 : bpf_sk_lookup_udp(skb, &place->tuple, sizeof(place->tuple.ipv6),
					     BPF_F_CURRENT_NETNS, 0);
	if (!sk)
		return 0;
	sock = (u64)sk;
	bpf_sk_release(sk);
	return sock;
}

static __always_inline void count(u32 interface, bool lost)
{
	struct interface_counts *counts = bpf_map_lookup_elem(&interface_counts, &interface);

	if (!counts)
		return;
	__sync_fetch_and_add(&counts->wanted, 1);
	if (lost)
		__sync_fetch_and_add(&counts->lost, 1);
}

static __always_inline void leave_out(enum left_out why)
{
	struct left_out_counts *counts = bpf_map_lookup_elem(&left_out_counts, &(u32){0});

	if (counts)
		__sync_fetch_and_add(&counts->packets[why], 1);
}

/*
 * Whose a packet of a flow is, and whether it has to wait. Where packets arrive and
 * `may_look`, the receiver's socket is looked for. NULL where it is not wanted.
 */
static __always_inline const struct options *in_flow(struct __sk_buff *skb, struct place_in_flow *place,
						     struct flow *flow, struct sighting *seen,
						     const bool may_look)
{
	struct end *from = &flow->ends[place->source & 1], *to = &flow->ends[!place->source];

	if (may_look && place->tuple_size && !to->sock && to->looked < LOOKS) {
		to->looked++;
		learn_owner(to, receiver(skb, place));
	}
	if (hold_time && place->key.protocol == TCP)
		look_for_hello(skb, place, flow, seen->time);
	else if (hold_time)
		look_for_quic(skb, place, flow, seen->time);
	if (only_owned && !from->wanted && !to->wanted) {
		if (!from->sock && !to->sock)
			leave_out(UNOWNED);
		return NULL;
	}
	seen->place = place_now(flow, seen->time, skb->len);
	seen->flow = flow->id;
	return from->sock && !place->quoted ? &from->options : &to->options;
}

/* The same where its flow is not known: only its sender's socket may tell. */
static __always_inline const struct options *of_sender(u64 sock, enum left_out why)
{
	struct owner *owner = bpf_map_lookup_elem(&owners, &sock);

	if (owner)
		return owner->wanted || !only_owned ? &owner->options : NULL;
	if (!only_owned)
		return &no_options;
	leave_out(why);
	return NULL;
}

static __always_inline void capture(struct __sk_buff *skb, u32 direction, u64 sock, const bool may_look)
{
	const struct interface_key key = {network_of(skb), skb->ifindex};
	struct interface *interface = bpf_map_lookup_elem(&interfaces, &key);
	struct place_in_flow place = {};
	const struct options *options;
	struct sighting seen = {};
	struct flow *flow = NULL;
	bool written;
	u32 found;

	if (!interface || stopped)
		return;
	seen.time = bpf_ktime_get_boot_ns();
	seen.interface = interface->id;
	seen.link = interface->link;
	seen.direction = direction;
	place.key.network = key.network;
	found = find_place(skb, interface->link, &place);
	if (found == INDIRECT)
		found = find_indirect(skb, place.payload, &place);
	if (found == FOUND)
		flow = flow_of(&place);
	if (flow && !place.quoted)
		learn_owner(&flow->ends[place.source & 1], sock);
	if (interface->inbound_only && direction != INBOUND)
		return;
	options = flow ? in_flow(skb, &place, flow, &seen, may_look)
		       : of_sender(sock, found == NO_FIRST ? WITHOUT_FIRST : UNOWNED);
	if (!options)
		return;
	written = put_packet(skb, &seen, options);
	if (flow && written && seen.place == FIRST)
		told_first(flow);
	count(seen.interface, !written);
}

SEC("tc")
int ingress(struct __sk_buff *skb)
{
	capture(skb, INBOUND, 0, true);
	return NEXT;
}

SEC("tc")
int egress(struct __sk_buff *skb)
{
	capture(skb, OUTBOUND, (u64)skb->sk, false);
	return NEXT;
}

/* Where TC is not to be had: as the filter of a packet socket, whose queue stays empty. */
SEC("socket")
int packet_socket(struct __sk_buff *skb)
{
	capture(skb, skb->pkt_type == PACKET_OUTGOING ? OUTBOUND : INBOUND, (u64)skb->sk, false);
	return 0;
}

SEC("uprobe")
int secret_logged(struct pt_regs *ctx)
{
	u64 cookie = bpf_get_attach_cookie(ctx);
	struct found_secret found = {};

	if (!stopped && wanted() && read_secret(ctx, cookie, &found) && say_secret(&found, cookie, 0))
		note_secret(found.random, found.label);
	return 0;
}

/* A connection is being opened, accepted or closed, or a socket begins to listen. */
SEC("raw_tp")
int socket_changed(struct bpf_raw_tracepoint_args *ctx)
{
	u64 sock = ctx->args[0];
	u32 before = ctx->args[1], now = ctx->args[2];

	if (now == TCP_SYN_SENT || now == TCP_LISTEN)
		own(sock, (void *)bpf_get_current_task());
	else if (now == TCP_CLOSE || before == TCP_SYN_RECV)
		bpf_map_delete_elem(&owners, &sock); /* whatever had its address before */
	return 0;
}

/* A program begins: its network is known before it has a socket there. */
SEC("raw_tp")
int program_begun(void *ctx)
{
	struct task_struct *task = (void *)bpf_get_current_task();

	if (by_network && is_wanted(task))
		note_network(BPF_CORE_READ(task, nsproxy, net_ns), BPF_CORE_READ(task, tgid));
	return 0;
}

/* A socket is made: the first datagram leaves before anybody has told that it was sent. */
SEC("cgroup/sock_create")
int socket_created(struct bpf_sock *sock)
{
	own((u64)sock, (void *)bpf_get_current_task());
	return 1; /* allow it */
}

/* Sockets that are older than the capture. */
SEC("iter/task_file")
int socket_there(struct bpf_iter__task_file *ctx)
{
	struct task_struct *task = ctx->task;
	struct file *file = ctx->file;
	struct socket *socket;
	struct owner *owner;
	struct sock *sk;
	char end = 0;

	if (!file || !task) {
		bpf_seq_write(ctx->meta->seq, &end, 1);
		return 0;
	}
	if ((BPF_CORE_READ(file, f_inode, i_mode) & S_IFMT) != S_IFSOCK)
		return 0;
	socket = BPF_CORE_READ(file, private_data);
	sk = BPF_CORE_READ(socket, sk);
	if (!sk || !is_internet(sk))
		return 0;
	owner = bpf_map_lookup_elem(&owners, &(u64){(u64)sk});
	if (!owner || !owner->wanted) /* several processes may share it */
		own((u64)sk, task);
	return 0;
}

SEC("raw_tp")
int socket_used(struct bpf_raw_tracepoint_args *ctx)
{
	struct sock *sk = (void *)ctx->args[0];

	if (is_internet(sk))
		used((u64)sk);
	return 0;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
