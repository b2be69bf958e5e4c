/* SPDX-License-Identifier: Apache-2.0 */
#include "tc.h"

#include <bpf/libbpf.h>

#define FIRST 1 /* filters are asked in the order of their priorities */

static struct bpf_tc_hook hook_of(int ifindex, bool egress)
{
	return (struct bpf_tc_hook){
	    .sz = sizeof(struct bpf_tc_hook),
	    .ifindex = ifindex,
	    .attach_point = egress ? BPF_TC_EGRESS : BPF_TC_INGRESS,
	};
}

int clsact_add(int ifindex)
{
	struct bpf_tc_hook hook = hook_of(ifindex, false);

	return bpf_tc_hook_create(&hook);
}

int clsact_remove(int ifindex)
{
	struct bpf_tc_hook hook = hook_of(ifindex, false);

	hook.attach_point = BPF_TC_INGRESS | BPF_TC_EGRESS; /* both: libbpf removes the qdisc itself */
	return bpf_tc_hook_destroy(&hook);
}

int filter_add(int ifindex, bool egress, int prog_fd, uint32_t handle)
{
	struct bpf_tc_hook hook = hook_of(ifindex, egress);
	LIBBPF_OPTS(bpf_tc_opts, opts, .prog_fd = prog_fd, .handle = handle, .priority = FIRST);

	return bpf_tc_attach(&hook, &opts);
}

int filter_remove(int ifindex, bool egress, uint32_t handle)
{
	struct bpf_tc_hook hook = hook_of(ifindex, egress);
	LIBBPF_OPTS(bpf_tc_opts, opts, .handle = handle, .priority = FIRST);

	return bpf_tc_detach(&hook, &opts);
}
