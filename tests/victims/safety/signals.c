// SPDX-License-Identifier: Apache-2.0
/*
 * Signals in the middle of SSL_write, handled on another stack by calls of the library on another connection;
 * and a timer that interrupts whatever is going on, at any instruction.
 */
#include <sys/time.h>

#include "pair.h"

#define STACK (1 << 18)

static struct pair other;
static volatile sig_atomic_t ticks;

static void on_signal(int number)
{
	(void)number;
	converse(other, "handler");
}

static void on_tick(int number)
{
	(void)number;
	ticks++;
}

static void send_signal(void)
{
	raise(SIGUSR1);
}

static void handle(int number, void (*handler)(int))
{
	struct sigaction action = {.sa_handler = handler, .sa_flags = SA_ONSTACK | SA_RESTART};

	must(!sigaction(number, &action, NULL), "sigaction");
}

int main(int argc, char **argv)
{
	struct itimerval often = {{0, 100}, {0, 100}}, never = {};
	stack_t stack = {.ss_sp = malloc(STACK), .ss_size = STACK};
	struct pair pair;

	must(argc == 4, "usage: signals CERT KEY VERSION");
	must(!sigaltstack(&stack, NULL), "sigaltstack");
	handle(SIGUSR1, on_signal);
	handle(SIGALRM, on_tick);
	pair = new_pair(argv);
	other = new_pair(argv);
	must(!setitimer(ITIMER_REAL, &often, NULL), "setitimer");
	for (int i = 0; i < ROUNDS || ticks < 1009; i++) {
		if (i < ROUNDS)
			call_in_write(pair.client, send_signal);
		say(pair.client, "ask");
		hear(pair.server, "ask");
	}
	must(!setitimer(ITIMER_REAL, &never, NULL), "setitimer");
	free_pair(pair);
	free_pair(other);
	return 0;
}
