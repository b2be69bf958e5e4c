// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* The secrets of TLS handshakes, and nothing else: reads and writes pass no probe, but for a while at the
 * start. */
#include "established.h"
#include "lives.h"

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

char LICENSE[] SEC("license") = "Dual BSD/GPL";
