// SPDX-License-Identifier: Apache-2.0
/*
 * Non-blocking sockets with small buffers, so that calls end with WANT_READ and WANT_WRITE and are made
 * again. On the first connection the client writes all with one call that is repeated until it succeeds; on
 * the second with SSL_MODE_ENABLE_PARTIAL_WRITE, where each call that succeeds has written a part. The
 * library is given a BIO, and never told the descriptor.
 *
 * The writer begins when the reader was told WANT_READ, the reader goes on when the writer was told
 * WANT_WRITE: each of them happens in every run.
 */
#include "tls.h"
#include <fcntl.h>
#include <poll.h>

#define SIZE 8209  /* a prime; more than the sockets take, as many records of the size below */
#define RECORD 512 /* the least that SSL_set_max_send_fragment takes */

static const struct {
	const char *name;
	char first; /* of the text that is written */
} modes[] = {{"whole", 'a'}, {"parts", 'A'}};

static int lines[2]; /* a pair of sockets by which the ends say that they were told to try again */
static int line;

static void wait_for(int fd, short event, const char *what)
{
	struct pollfd file = {.fd = fd, .events = event};

	must(poll(&file, 1, 5000) == 1, what);
}

static void tell_peer(void)
{
	must(write(line, "", 1) == 1, "word to the peer");
}

static void wait_for_peer(void)
{
	char byte;

	wait_for(line, POLLIN, "the peer's call that must be made again");
	must(read(line, &byte, 1) == 1, "the peer's word");
}

static void wait_to_retry(SSL *ssl, int result)
{
	int error = SSL_get_error(ssl, result);

	must(error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE, "a call that may be made again");
	wait_for(SSL_get_fd(ssl), error == SSL_ERROR_WANT_READ ? POLLIN : POLLOUT, "the socket");
}

static SSL *begin(SSL_CTX *ctx, int fd, int (*handshake)(SSL *))
{
	int least = 1, result; /* the kernel raises it to its minimum */
	SSL *ssl = SSL_new(ctx);
	BIO *bio = BIO_new_socket(fd, BIO_NOCLOSE);

	setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &least, sizeof(least));
	must(!fcntl(fd, F_SETFL, O_NONBLOCK), "O_NONBLOCK");
	SSL_set_bio(ssl, bio, bio);
	SSL_set_max_send_fragment(ssl, RECORD);
	while ((result = handshake(ssl)) != 1)
		wait_to_retry(ssl, result);
	return ssl;
}

static void fill(char *text, char first)
{
	for (int i = 0; i < SIZE; i++)
		text[i] = first + i % 23;
}

static void write_all(SSL *ssl, char first)
{
	char text[SIZE];
	int done = 0, result;

	fill(text, first);
	wait_for_peer();
	while (done < SIZE) {
		result = SSL_write(ssl, text + done, SIZE - done);
		if (result > 0) {
			done += result;
			continue;
		}
		if (!retries++)
			tell_peer();
		wait_to_retry(ssl, result);
	}
	must(retries, "WANT_WRITE");
}

static void read_all(SSL *ssl, char first)
{
	char text[SIZE], got[SIZE];
	int done = 0, result = SSL_read(ssl, got, SIZE);

	must(SSL_get_error(ssl, result) == SSL_ERROR_WANT_READ, "WANT_READ");
	tell_peer();
	wait_for_peer();
	while (done < SIZE) {
		result = SSL_read(ssl, got + done, SIZE - done);
		if (result > 0)
			done += result;
		else
			wait_to_retry(ssl, result);
	}
	fill(text, first);
	must(!memcmp(got, text, SIZE), "what was read");
}

static void client(SSL_CTX *ctx, int listener)
{
	line = lines[0];
	wait_for_peer();
	for (int i = 0; i < 2; i++) {
		int fd = connect_to(listener);
		SSL *ssl = begin(ctx, fd, SSL_connect);

		retries = 0;
		write_all(ssl, modes[i].first);
		tell("client", modes[i].name, fd);
		wait_for_peer(); /* closing with a session ticket unread resets the connection */
		close_both(ssl);
		SSL_CTX_set_mode(ctx, SSL_MODE_ENABLE_PARTIAL_WRITE);
	}
}

static void server(SSL_CTX *ctx, int listener)
{
	int least = 1;

	line = lines[1];
	setsockopt(listener, SOL_SOCKET, SO_RCVBUF, &least, sizeof(least));
	tell_peer(); /* a connection made before this would have a larger buffer */
	for (int i = 0; i < 2; i++) {
		int fd = accept_from(listener);
		SSL *ssl = begin(ctx, fd, SSL_accept);

		read_all(ssl, modes[i].first);
		tell("server", modes[i].name, fd);
		tell_peer();
		close_both(ssl);
	}
}

int main(int argc, char **argv)
{
	must(argc == 4, "usage: nonblocking CERT KEY VERSION");
	must(!socketpair(AF_UNIX, SOCK_STREAM, 0, lines), "socketpair");
	return both_ends(argv, server, client);
}
