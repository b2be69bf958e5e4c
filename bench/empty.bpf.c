// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* The programs of plaintext.bpf.c, empty: what the kernel itself takes for probes at those places. */
#include "kernel/kernel.h"
#include <bpf/bpf_helpers.h>

#define EMPTY(kind, name)                                                                                    \
	SEC(kind) int name(void *ctx)                                                                        \
	{                                                                                                    \
		return 0;                                                                                    \
	}

EMPTY("uprobe", entered)
EMPTY("uretprobe", returned)
EMPTY("raw_tp", socket_sent)
EMPTY("raw_tp", socket_received)
EMPTY("raw_tp", socket_closed)
EMPTY("raw_tp", process_fork)
EMPTY("raw_tp", thread_exit)
EMPTY("raw_tp", process_exec)

SEC("cgroup_skb/egress")
int hello_sent(struct __sk_buff *skb)
{
	return 1;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
