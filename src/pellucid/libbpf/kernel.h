/* SPDX-License-Identifier: Apache-2.0 */
/* What libbpf 1.1 has no call for, and its log, which C alone can collect (it is a va_list callback). */
#pragma once

#include <bpf/libbpf.h>
#include <stdbool.h>
#include <stdint.h>

/* BPF_TRACE_UPROBE_MULTI. Linux kernel commit 89ae89f53d20 "bpf: Add multi uprobe link" (in v6.6) */
#define PELLUCID_TRACE_UPROBE_MULTI 48

/*
 * One link for `count` file offsets of `path`; `cookies[i]` reaches the program at `offsets[i]`. `pid` 0
 * watches every process. Returns the link's descriptor or -errno.
 */
int uprobe_multi(int prog_fd, const char *path, const unsigned long *offsets, const uint64_t *cookies,
		 uint32_t count, uint32_t pid, bool at_return);

/* Whether uprobe_multi works here, for whole processes and not only their first thread. */
bool has_uprobe_multi(void);

/* One perf uprobe, for kernels without uprobe_multi. NULL and errno on failure. */
struct bpf_link *uprobe(struct bpf_program *prog, const char *path, unsigned long offset, uint64_t cookie,
			int pid, bool at_return);

/*
 * A link of an iterator over tasks, or with a `tid` over that one. Linux kernel commit f0d74c4da1f0 "bpf:
 * Parameterize task iterators." (in v6.1): before it `tid` changes nothing, so the program has to look too.
 * Returns the link's descriptor or -errno.
 */
int iterator(int prog_fd, uint32_t tid);

/*
 * Have `prog_fd` (BPF_PROG_TYPE_SCHED_CLS) see each packet of an interface before all other programs do:
 * those that arrive, or with `egress` those that leave. Linux kernel commit e420bed02507 "bpf: Add fd-based
 * tcx multi-prog infra with link support" (in v6.6): older ones say EINVAL. Returns the link's descriptor or
 * -errno.
 */
int tcx(int prog_fd, int ifindex, bool egress);

/*
 * Wait until every BPF program that was running at the call has ended; false where the kernel has no such
 * barrier (with nohz_full CPUs). Programs run under RCU, and this is the system call that waits for that.
 */
bool wait_for_programs(void);

/* Collect libbpf's messages from now on, the last 64 KiB of them. */
void log_collect(void);
/* What was collected since the last call; valid until the next message. */
const char *log_take(void);
