// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* The secrets of TLS handshakes, and nothing else: reads and writes pass no probe, but for a while at the
 * start. */
#include "established.h"
#include "headers.h"
#include "lives.h"
#include "reader.h"
#include "sock.h"

#define TCP_ESTABLISHED 1

/* A TCP connection that a process has; read by attach/sockets.py. */
struct connected {
	u64 pid; /* as the reader's namespace counts; 0: it does not */
	u64 inode;
};

const struct connected end_of_connections = {}; /* keeps the struct in the object's BTF */

SEC("uprobe")
int secret_logged(struct pt_regs *ctx)
{
	u64 cookie = bpf_get_attach_cookie(ctx);
	struct found_secret found = {};

	if (!stopped && wanted() && read_secret(ctx, cookie, &found) && say_secret(&found, cookie, 0))
		know_logged(&found);
	return 0;
}

/* A call that reads or writes begins, with the object as its first argument; temporary. */
SEC("uprobe")
int connection_used(struct pt_regs *ctx)
{
	if (!stopped && wanted())
		meet_established(bpf_get_attach_cookie(ctx), PT_REGS_PARM1(ctx));
	return 0;
}

/* The connections of all processes, at the moment when this is read. */
SEC("iter/task_file")
int connections(struct bpf_iter__task_file *ctx)
{
	struct task_struct *task = ctx->task;
	struct file *file = ctx->file;
	struct connected found = end_of_connections;
	struct socket *socket;
	struct sock *sk;

	if (!file || !task) {
		bpf_seq_write(ctx->meta->seq, &found, sizeof(found));
		return 0;
	}
	if ((file->f_inode->i_mode & S_IFMT) != S_IFSOCK)
		return 0;
	socket = BPF_CORE_READ(file, private_data);
	sk = BPF_CORE_READ(socket, sk);
	if (!sk || !is_internet(sk) || BPF_CORE_READ(sk, sk_protocol) != TCP ||
	    BPF_CORE_READ(sk, __sk_common.skc_state) != TCP_ESTABLISHED)
		return 0;
	found.pid = number_of(task->group_leader);
	found.inode = file->f_inode->i_ino;
	if (found.pid)
		bpf_seq_write(ctx->meta->seq, &found, sizeof(found));
	return 0;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
