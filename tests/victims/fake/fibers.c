// SPDX-License-Identifier: Apache-2.0
/*
 * Stacks that a program switches by itself, as coroutines do: a write begins on the higher stack, another one
 * runs from beginning to end on the lower, then the first one returns. All in one thread.
 *
 * Not the other way round: there the kernel takes the first call for one that longjmp has left, and ends the
 * program with SIGILL when it returns (kernel/events/uprobes.c, handle_trampoline). Return probes are so.
 */
#define _GNU_SOURCE
#include <stddef.h>
#include <sys/mman.h>
#include <ucontext.h>

#define STACK (64 << 10)

int SSL_write(void *ssl, const void *buffer, int size);
extern void (*inside)(void);

static ucontext_t program, lower, higher;

static void switch_stack(void)
{
	inside = NULL;
	swapcontext(&higher, &lower);
}

static void write_slowly(void)
{
	char text[] =
	    "higher stack\n"; /* on the stack, so its page is there: the fake library touches none */

	inside = switch_stack;
	SSL_write((void *)1, text, sizeof(text) - 1);
}

static void write_at_once(void)
{
	char text[] = "lower stack\n";

	SSL_write((void *)2, text, sizeof(text) - 1);
	setcontext(&higher);
}

static void prepare(ucontext_t *fiber, char *stack, void (*run)(void))
{
	getcontext(fiber);
	fiber->uc_stack.ss_sp = stack;
	fiber->uc_stack.ss_size = STACK;
	fiber->uc_link = &program;
	makecontext(fiber, run, 0);
}

int main(void)
{
	char *stacks = mmap(NULL, 2 * STACK, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (stacks == MAP_FAILED)
		return 1;
	prepare(&higher, stacks + STACK, write_slowly);
	prepare(&lower, stacks, write_at_once);
	return swapcontext(&program, &higher);
}
