// SPDX-License-Identifier: Apache-2.0
/* A program that keeps all its memory resident, and has no room for a single mapping more: none for the
 * kernel's. */
#include <sys/mman.h>

#include "pair.h"

static void fill_address_space(void)
{
	int protection = PROT_NONE; /* alternating, so that the kernel cannot merge them */

	while (mmap(NULL, 4096, protection, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) != MAP_FAILED)
		protection ^= PROT_READ;
}

int main(int argc, char **argv)
{
	struct pair pair;

	must(argc == 4, "usage: confined CERT KEY VERSION");
	pair = new_pair(argv);
	must(!mlockall(MCL_CURRENT | MCL_FUTURE), "mlockall");
	fill_address_space();
	converse(pair, "confined");
	return 0;
}
