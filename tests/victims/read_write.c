// SPDX-License-Identifier: Apache-2.0
/* SSL_read and SSL_write, as most programs use them. */
#include "tls.h"

static void client(SSL_CTX *ctx, int listener)
{
	SSL *ssl = shake_hands(ctx, connect_to(listener), SSL_connect);

	tell("client", "read_write", SSL_get_fd(ssl));
	ask(ssl, "read_write");
	close_both(ssl);
}

static void server(SSL_CTX *ctx, int listener)
{
	SSL *ssl = shake_hands(ctx, accept_from(listener), SSL_accept);

	tell("server", "read_write", SSL_get_fd(ssl));
	answer(ssl, "read_write");
	close_both(ssl);
}

int main(int argc, char **argv)
{
	must(argc == 4, "usage: read_write CERT KEY VERSION");
	return both_ends(argv, server, client);
}
