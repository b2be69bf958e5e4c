/* SPDX-License-Identifier: Apache-2.0 */
/* Ends the decoder after its tracer, whatever it is doing then. */
#pragma once

#include <sys/types.h>

/*
 * When `parent` has died, this process may go on for `microseconds`; then SIGALRM's default action ends it.
 * To be called last: a change of the uid or of capabilities undoes it (prctl(2), PR_SET_PDEATHSIG).
 * Returns 0, or a negative errno.
 */
int end_after(pid_t parent, long microseconds);
