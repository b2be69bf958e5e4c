/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* From a socket to its addresses, and from a file descriptor of the current task to its socket. */
#pragma once

#include "kernel/kernel.h"
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>

#define AF_INET 2
#define AF_INET6 10
#define S_IFMT 0170000
#define S_IFSOCK 0140000

struct endpoints {
	u16 family; /* 0: not known */
	u16 local_port, remote_port;
	u8 local[16], remote[16]; /* network order; IPv4 in the first four */
};

static __always_inline bool is_internet(struct sock *sk)
{
	u16 family = BPF_CORE_READ(sk, __sk_common.skc_family);

	return family == AF_INET || family == AF_INET6;
}

static __always_inline void read_endpoints(struct sock *sk, struct endpoints *to)
{
	u16 family = BPF_CORE_READ(sk, __sk_common.skc_family);

	if (!BPF_CORE_READ(sk, __sk_common.skc_dport) || !BPF_CORE_READ(sk, __sk_common.skc_num))
		return; /* not connected, or not any more: a reset takes the port away. Nothing true to say */
	if (family == AF_INET) {
		BPF_CORE_READ_INTO((u32 *)to->local, sk, __sk_common.skc_rcv_saddr);
		BPF_CORE_READ_INTO((u32 *)to->remote, sk, __sk_common.skc_daddr);
	} else if (family == AF_INET6) {
		BPF_CORE_READ_INTO((struct in6_addr *)to->local, sk, __sk_common.skc_v6_rcv_saddr);
		BPF_CORE_READ_INTO((struct in6_addr *)to->remote, sk, __sk_common.skc_v6_daddr);
	} else {
		return;
	}
	to->local_port = BPF_CORE_READ(sk, __sk_common.skc_num);
	to->remote_port = __builtin_bswap16(BPF_CORE_READ(sk, __sk_common.skc_dport));
	to->family = family;
}

static __always_inline struct sock *socket_of(s32 fd)
{
	struct task_struct *task = (void *)bpf_get_current_task();
	struct fdtable *table = BPF_CORE_READ(task, files, fdt);
	struct file **files = BPF_CORE_READ(table, fd), *file = NULL;
	struct socket *socket;

	if (fd < 0 || (u32)fd >= BPF_CORE_READ(table, max_fds))
		return NULL;
	if (bpf_probe_read_kernel(&file, sizeof(file), &files[fd]) || !file)
		return NULL;
	if ((BPF_CORE_READ(file, f_inode, i_mode) & S_IFMT) != S_IFSOCK)
		return NULL;

	socket = BPF_CORE_READ(file, private_data);
	return BPF_CORE_READ(socket, sk);
}
