/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE /* vasprintf */
#include "kernel.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <linux/membarrier.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#define UPROBE_MULTI_RETURN 1U

/* The part of union bpf_attr that BPF_LINK_CREATE reads for this kind; newer than Debian 12's headers. */
struct link_create_uprobe_multi {
	uint32_t prog_fd, target_fd, attach_type, flags;
	uint64_t path, offsets, ref_ctr_offsets, cookies;
	uint32_t count, multi_flags, pid, pad;
};

int uprobe_multi(int prog_fd, const char *path, const unsigned long *offsets, const uint64_t *cookies,
		 uint32_t count, uint32_t pid, bool at_return)
{
	struct link_create_uprobe_multi attr = {
	    .prog_fd = prog_fd,
	    .attach_type = PELLUCID_TRACE_UPROBE_MULTI,
	    .path = (uint64_t)path,
	    .offsets = (uint64_t)offsets,
	    .cookies = (uint64_t)cookies,
	    .count = count,
	    .multi_flags = at_return ? UPROBE_MULTI_RETURN : 0,
	    .pid = pid,
	};
	int fd = syscall(SYS_bpf, BPF_LINK_CREATE, &attr, sizeof(attr));

	return fd < 0 ? -errno : fd;
}

/*
 * "/" is no regular file, so a kernel that knows these links refuses it with EBADF; an older one takes the
 * request for another kind and says EINVAL. Linux kernel commit 46ba0e49b642 "bpf: fix multi-uprobe PID
 * filtering logic" (in v6.10, and in stable releases of 6.6 and later): before it `pid` meant one thread.
 * With it the pid -1 is refused with EINVAL before the path is looked at.
 */
bool has_uprobe_multi(void)
{
	LIBBPF_OPTS(bpf_prog_load_opts, opts, .expected_attach_type = PELLUCID_TRACE_UPROBE_MULTI);
	struct bpf_insn code[] = {
	    {.code = BPF_ALU64 | BPF_MOV | BPF_K}, /* r0 = 0 */
	    {.code = BPF_JMP | BPF_EXIT},
	};
	unsigned long offset = 0;
	uint64_t cookie = 0;
	int prog = bpf_prog_load(BPF_PROG_TYPE_KPROBE, NULL, "GPL", code, 2, &opts);
	bool has;

	if (prog < 0)
		return false;
	has = uprobe_multi(prog, "/", &offset, &cookie, 1, 0, false) == -EBADF &&
	      uprobe_multi(prog, "/", &offset, &cookie, 1, -1, false) == -EINVAL;
	close(prog);
	return has;
}

int iterator(int prog_fd, uint32_t tid)
{
	union bpf_iter_link_info info = {.task.tid = tid};
	LIBBPF_OPTS(bpf_link_create_opts, opts, .iter_info = &info, .iter_info_len = sizeof(info.task));

	return bpf_link_create(prog_fd, 0, BPF_TRACE_ITER, tid ? &opts : NULL);
}

/* As above, for tcx. */
struct link_create_tcx {
	uint32_t prog_fd, target_ifindex, attach_type, flags, relative_fd, pad;
	uint64_t expected_revision;
};

#define TCX_INGRESS 46
#define TCX_EGRESS 47
#define BEFORE_ALL (1U << 3) /* BPF_F_BEFORE, and no program that is meant */

int tcx(int prog_fd, int ifindex, bool egress)
{
	struct link_create_tcx attr = {
	    .prog_fd = prog_fd,
	    .target_ifindex = ifindex,
	    .attach_type = egress ? TCX_EGRESS : TCX_INGRESS,
	    .flags = BEFORE_ALL,
	};
	int fd = syscall(SYS_bpf, BPF_LINK_CREATE, &attr, sizeof(attr));

	return fd < 0 ? -errno : fd;
}

bool wait_for_programs(void)
{
	return syscall(SYS_membarrier, MEMBARRIER_CMD_GLOBAL, 0, 0) == 0;
}

struct bpf_link *uprobe(struct bpf_program *prog, const char *path, unsigned long offset, uint64_t cookie,
			int pid, bool at_return)
{
	LIBBPF_OPTS(bpf_uprobe_opts, opts, .bpf_cookie = cookie, .retprobe = at_return);

	return bpf_program__attach_uprobe_opts(prog, pid ? pid : -1, path, offset, &opts);
}

static char collected[64 << 10];
static size_t used;

/* A verifier's log is one message, and may be longer than the room: its end is what matters. */
static int collect(enum libbpf_print_level level, const char *format, va_list args)
{
	const size_t room = sizeof(collected) - 1;
	char *message;
	size_t size, kept;

	if (level == LIBBPF_DEBUG || vasprintf(&message, format, args) < 0)
		return 0;
	size = strlen(message);
	if (size > room / 2) {
		memmove(message, message + size - room / 2, room / 2 + 1);
		size = room / 2;
	}
	kept = used + size > room ? room - size : used;
	memmove(collected, collected + used - kept, kept);
	memcpy(collected + kept, message, size);
	used = kept + size;
	free(message);
	return 0;
}

void log_collect(void)
{
	libbpf_set_print(collect);
}

const char *log_take(void)
{
	collected[used] = 0;
	used = 0;
	return collected;
}
