/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Network namespaces (network_namespaces(7)): the kernel numbers interfaces in each of them from 1 on, and
 * the same addresses may be in several.
 */
#pragma once

#include "record.h"

/* 1: interfaces are watched in the namespaces of the processes that are meant, wherever these are */
const volatile u32 by_network = 0;

/* Those that user space knows of. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 4096);
	__type(key, u32); /* its number: the inode of /proc/PID/ns/net */
	__type(value, u8);
} known_networks SEC(".maps");

/* Those that it has still to look at. One that finds no room comes again with the next socket there. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1024);
	__type(key, u32);
	__type(value, u32); /* a process that is there */
} new_networks SEC(".maps");

/* Readable when something has come there. */
struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 4096);
} network_bell SEC(".maps");

/* Where a packet is; 0 where nobody asks. */
static __always_inline u32 network_of(struct __sk_buff *skb)
{
	return by_network ? BPF_CORE_READ((struct sk_buff *)skb, dev, nd_net.net, ns.inum) : 0;
}

/* A process that is meant is there. */
static __always_inline void note_network(struct net *net, u32 pid)
{
	u32 network = BPF_CORE_READ(net, ns.inum);

	if (bpf_map_lookup_elem(&known_networks, &network))
		return;
	if (!bpf_map_update_elem(&new_networks, &network, &pid, BPF_ANY))
		bpf_ringbuf_output(&network_bell, &pid, sizeof(pid), 0); /* a full one is heard as well */
}
