// SPDX-License-Identifier: Apache-2.0
/*
 * A program with breakpoints of its own: in its code, and in the middle of the library's call, with a handler
 * that counts them and then has the processor stop after each instruction for a while, as a debugger would.
 */
#define _GNU_SOURCE
#include <ucontext.h>

#include "pair.h"

#define TRAP_FLAG 0x100
#define STEPS 1009

static volatile int breakpoints, steps;

static void on_trap(int number, siginfo_t *info, void *context)
{
	greg_t *flags = &((ucontext_t *)context)->uc_mcontext.gregs[REG_EFL];

	(void)number;
	if (info->si_code == SI_KERNEL) { /* int3 */
		breakpoints++;
		steps = 0;
		*flags |= TRAP_FLAG;
	} else if (++steps == STEPS) {
		*flags &= ~TRAP_FLAG;
	}
}

static void stop_here(void)
{
	__asm__ volatile("int3");
}

int main(int argc, char **argv)
{
	struct sigaction action = {.sa_sigaction = on_trap, .sa_flags = SA_SIGINFO};
	struct pair pair;

	must(argc == 4, "usage: breakpoints CERT KEY VERSION");
	must(!sigaction(SIGTRAP, &action, NULL), "sigaction");
	pair = new_pair(argv);
	for (int i = 0; i < ROUNDS; i++) {
		call_in_write(pair.client, stop_here);
		converse(pair, "breakpoints");
		stop_here();
	}
	free_pair(pair);
	printf("%d breakpoints, %d steps after the last\n", breakpoints, steps);
	return 0;
}
