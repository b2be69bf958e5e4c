/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A handler in C, for the interpreter runs its own only between two bytecodes: never while a parser's
 * native code loops. And SIGCONT, the one signal that a stopped process obeys.
 */
#include "orphan.h"

#include <errno.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/time.h>
#include <unistd.h>

static pid_t awaited;
static struct itimerval grace;

/* Somebody else's SIGCONT finds the parent alive, and means nothing. */
static void on_continue(int signal)
{
	(void)signal;
	if (getppid() != awaited)
		setitimer(ITIMER_REAL, &grace, NULL);
}

int end_after(pid_t parent, long microseconds)
{
	struct sigaction act = {.sa_handler = on_continue, .sa_flags = SA_RESTART};
	sigset_t both;

	awaited = parent;
	grace.it_value.tv_sec = microseconds / 1000000;
	grace.it_value.tv_usec = microseconds % 1000000;
	sigemptyset(&both);
	sigaddset(&both, SIGALRM);
	sigaddset(&both, SIGCONT);
	signal(SIGALRM, SIG_DFL); /* it may have been ignored, or blocked, when Pellucid was started */
	if (sigaction(SIGCONT, &act, NULL) || sigprocmask(SIG_UNBLOCK, &both, NULL) ||
	    prctl(PR_SET_PDEATHSIG, SIGCONT))
		return -errno;
	return 0;
}
