// SPDX-License-Identifier: Apache-2.0
/*
 * A library that looks like libssl and does nothing: its calls "move" exactly what the caller says, at memory
 * speed, with connection objects (any address) of the caller's choice. So a test knows every number.
 */
#include <setjmp.h>
#include <stddef.h>

/* What happens while a read or a write is in progress; NULL: nothing. */
void (*inside)(void);

static int move(int size)
{
	if (inside)
		inside();
	return size;
}

void *SSL_new(void *handle)
{
	return handle;
}

void SSL_free(void *ssl)
{
	(void)ssl;
}

int SSL_clear(void *ssl)
{
	return ssl != NULL;
}

int SSL_set_fd(void *ssl, int fd)
{
	return ssl && fd >= 0;
}

int SSL_read(void *ssl, void *buffer, int size)
{
	return ssl && buffer ? move(size) : -1;
}

int SSL_write(void *ssl, const void *buffer, int size)
{
	return ssl && buffer ? move(size) : -1;
}

/* Say that `count` bytes were written, whatever was asked for. */
int SSL_write_ex(void *ssl, const void *buffer, size_t size, size_t *count)
{
	return ssl && buffer && count && *count >= size ? 1 : 0;
}

/* As if the kernel had sent that many bytes of a file. */
long SSL_sendfile(void *ssl, int fd, long offset, size_t size, int flags)
{
	return ssl && fd >= 0 && offset >= 0 && !flags ? (long)size : -1;
}

int SSL_up_ref(void *ssl)
{
	return ssl != NULL;
}

static jmp_buf place;

static void leave(void)
{
	longjmp(place, 1);
}

/* A write that longjmp leaves, as the error handling of some programs does. */
void write_and_leave(void *ssl, const void *buffer, int size)
{
	inside = leave;
	if (!setjmp(place))
		SSL_write(ssl, buffer, size);
	inside = NULL;
}
