/* SPDX-License-Identifier: Apache-2.0 */
/* Filters of TC at a clsact qdisc, for kernels without tcx links. Each returns 0 or -errno. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/* Give an interface the place where filters for both directions go; -EEXIST where it has that. */
int clsact_add(int ifindex);

/* Take it away, with every filter that is there. */
int clsact_remove(int ifindex);

/* Have a program see each packet that arrives, or with `egress` leaves, as the first filter. */
int filter_add(int ifindex, bool egress, int prog_fd, uint32_t handle);

/* Remove the filter of ours that has this handle; -ENOENT where there is none. */
int filter_remove(int ifindex, bool egress, uint32_t handle);
