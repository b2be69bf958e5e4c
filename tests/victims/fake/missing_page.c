// SPDX-License-Identifier: Apache-2.0
/*
 * A page that never arrives: one thread writes a buffer of which one page is missing when the call returns,
 * and whose page faults nobody answers (userfaultfd). Meanwhile other threads write as usual.
 *
 * missing_page SIZE HOLE: bytes of the buffer; which byte the missing page begins with.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#define THREADS 3
#define WRITES 101
#define PAGE 4096

int SSL_write(void *ssl, const void *buffer, int size);

static void must(int ok, const char *what)
{
	if (ok)
		return;
	perror(what);
	exit(1);
}

/* Whoever touches the page from now on waits for ever, unless it may not wait. */
static void take_away(char *page)
{
	struct uffdio_api api = {.api = UFFD_API};
	struct uffdio_register area = {.range = {(uintptr_t)page, PAGE},
				       .mode = UFFDIO_REGISTER_MODE_MISSING};
	int fd = syscall(SYS_userfaultfd, O_CLOEXEC);

	must(fd >= 0 && !ioctl(fd, UFFDIO_API, &api), "userfaultfd");
	must(!ioctl(fd, UFFDIO_REGISTER, &area), "UFFDIO_REGISTER");
	must(!madvise(page, PAGE, MADV_DONTNEED), "madvise");
}

static void *write_numbers(void *handle)
{
	char line[32];

	for (int i = 0; i < WRITES; i++) {
		int size = snprintf(line, sizeof(line), "thread %ld line %d\n", (long)handle, i);

		SSL_write(handle, line, size);
	}
	return NULL;
}

int main(int argc, char **argv)
{
	size_t size = argc == 3 ? atol(argv[1]) : 0, hole = argc == 3 ? atol(argv[2]) : 0;
	char *buffer = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	char after[] = "after\n";
	pthread_t threads[THREADS];

	must(argc == 3 && buffer != MAP_FAILED, "usage: missing_page SIZE HOLE");
	for (size_t at = 0; at + 16 <= size; at += 16) {
		char line[32];

		snprintf(line, sizeof(line), "%015u\n", (unsigned)(at / 16));
		memcpy(buffer + at, line, 16);
	}
	take_away(buffer + hole);
	for (long i = 0; i < THREADS; i++)
		must(!pthread_create(&threads[i], NULL, write_numbers, (void *)(i + 1)), "pthread_create");
	SSL_write((void *)0x1000, buffer, size);
	for (int i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	SSL_write((void *)0x1000, after, sizeof(after) - 1);
	return 0;
}
