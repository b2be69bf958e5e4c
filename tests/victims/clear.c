// SPDX-License-Identifier: Apache-2.0
/* One SSL object at each end for two connections, one after the other, with SSL_clear between them. */
#include "tls.h"

/* The next connection by the same object. */
static void begin_again(SSL *ssl, int fd, int (*handshake)(SSL *))
{
	int before = SSL_get_fd(ssl);

	SSL_shutdown(ssl);
	must(SSL_clear(ssl) && SSL_set_fd(ssl, fd), "SSL_clear");
	close(before);
	must(handshake(ssl) == 1, "second handshake");
}

static void client(SSL_CTX *ctx, int listener)
{
	SSL *ssl = shake_hands(ctx, connect_to(listener), SSL_connect);

	tell("client", "first", SSL_get_fd(ssl));
	ask(ssl, "first");
	begin_again(ssl, connect_to(listener), SSL_connect);
	tell("client", "second", SSL_get_fd(ssl));
	ask(ssl, "second");
	close_both(ssl);
}

static void server(SSL_CTX *ctx, int listener)
{
	SSL *ssl = shake_hands(ctx, accept_from(listener), SSL_accept);

	tell("server", "first", SSL_get_fd(ssl));
	answer(ssl, "first");
	begin_again(ssl, accept_from(listener), SSL_accept);
	tell("server", "second", SSL_get_fd(ssl));
	answer(ssl, "second");
	close_both(ssl);
}

int main(int argc, char **argv)
{
	must(argc == 4, "usage: clear CERT KEY VERSION");
	return both_ends(argv, server, client);
}
