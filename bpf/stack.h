/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* How a call's stack pointer at its return differs from that at its entry. */
#pragma once

#if defined(__TARGET_ARCH_x86)
#define RETURN_ADDRESS 8 /* `call` pushes it, `ret` has popped it when the return probe runs */
#else
#define RETURN_ADDRESS 0
#endif
