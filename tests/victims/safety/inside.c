// SPDX-License-Identifier: Apache-2.0
/* A program that leaves, doubles or replaces itself in the middle of SSL_write: the last argument says how.
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>

#include "pair.h"

static char **arguments;
static struct pair pair, other;
static jmp_buf outside;
static pid_t child;

static void wait_for_child(void)
{
	int status;

	must(child > 0 && waitpid(child, &status, 0) == child, "waitpid");
	dprintf(1, "the child's status: %#x\n", status);
}

static void by_fork(void)
{
	child = fork();
}

/* Both return from the same SSL_write, and go on. */
static void after_fork(void)
{
	if (child)
		wait_for_child();
	else
		converse(other, "child");
}

static void by_vfork(void)
{
	child = vfork();
	if (!child) {
		converse(other, "child");
		_exit(7);
	}
	wait_for_child();
}

/* fork's child has the return addresses of the thread that called it; so has one with its memory shared. */
static int run_clone(void *unused)
{
	(void)unused;
	converse(other, "child");
	return 7;
}

static void by_clone(void)
{
	const size_t size = 1 << 18;
	char *stack = malloc(size);

	child = clone(run_clone, stack + size, CLONE_VM | SIGCHLD, NULL);
	wait_for_child();
	free(stack);
}

static void by_exec(void)
{
	arguments[4] = "plain";
	execv("/proc/self/exe", arguments);
	must(0, "exec");
}

static void by_exit(void)
{
	exit(7);
}

static void by_signal(void)
{
	raise(SIGTERM);
}

static void by_longjmp(void)
{
	longjmp(outside, 1);
}

static void by_tls(void)
{
	converse(other, "inner");
}

static void tidy_up(void *text)
{
	dprintf(1, "tidied up: %s\n", (char *)text);
}

static void by_pthread_exit(void)
{
	pthread_exit(NULL);
}

static void by_cancellation(void)
{
	pthread_cancel(pthread_self());
	pthread_testcancel();
}

static void *write_in_thread(void *unused)
{
	pthread_cleanup_push(tidy_up, "thread");
	say(pair.client, "never returned");
	pthread_cleanup_pop(1);
	return unused;
}

static void run_thread(void)
{
	pthread_t thread;

	must(!pthread_create(&thread, NULL, write_in_thread, NULL), "pthread_create");
	must(!pthread_join(thread, NULL), "pthread_join");
	converse(other, "afterwards");
}

static void write_here(void)
{
	if (!setjmp(outside))
		say(pair.client, "in the middle\n");
}

static const struct way {
	const char *name;
	void (*in_the_middle)(void), (*write)(void), (*after)(void);
} ways[] = {
    {"plain", NULL, write_here, NULL},
    {"fork", by_fork, write_here, after_fork},
    {"vfork", by_vfork, write_here, NULL},
    {"clone", by_clone, write_here, NULL},
    {"exec", by_exec, write_here, NULL},
    {"exit", by_exit, write_here, NULL},
    {"signal", by_signal, write_here, NULL},
    {"longjmp", by_longjmp, write_here, NULL},
    {"tls", by_tls, write_here, NULL},
    {"pthread_exit", by_pthread_exit, run_thread, NULL},
    {"cancellation", by_cancellation, run_thread, NULL},
};

int main(int argc, char **argv)
{
	const struct way *way = ways;

	must(argc == 5, "usage: inside CERT KEY VERSION HOW");
	while (strcmp(way->name, argv[4]))
		must(++way < ways + sizeof(ways) / sizeof(*ways), "no such way");
	arguments = argv;
	pair = new_pair(argv);
	other = new_pair(argv);
	call_in_write(pair.client, way->in_the_middle);
	way->write();
	if (way->after)
		way->after();
	dprintf(1, "%s: done\n", way->name);
	return 0;
}
