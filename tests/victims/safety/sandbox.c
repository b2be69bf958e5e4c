// SPDX-License-Identifier: Apache-2.0
/* A program whose seccomp filter kills it for any system call but those that it needs. */
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/prctl.h>

#include "pair.h"

#define ALLOW(number)                                                                                        \
	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, number, 0, 1), BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)

static struct sock_filter filter[] = {
    BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
    ALLOW(SYS_write),
    ALLOW(SYS_brk),
    ALLOW(SYS_mmap),
    ALLOW(SYS_munmap),
    ALLOW(SYS_futex),
    ALLOW(SYS_getpid),
    ALLOW(SYS_getrandom),
    ALLOW(SYS_newfstatat),
    ALLOW(SYS_exit_group),
    BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
};

int main(int argc, char **argv)
{
	struct sock_fprog program = {.len = sizeof(filter) / sizeof(*filter), .filter = filter};
	struct pair pair;

	must(argc == 4, "usage: sandbox CERT KEY VERSION");
	pair = new_pair(argv);
	must(!prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), "no_new_privs");
	must(!prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program), "seccomp");
	converse(pair, "sandbox");
	free_pair(pair);
	return 0;
}
