// SPDX-License-Identifier: Apache-2.0
/* SSL_peek and SSL_peek_ex look at bytes that a later read returns. */
#include "tls.h"

static void client(SSL_CTX *ctx, int listener)
{
	SSL *ssl = shake_hands(ctx, connect_to(listener), SSL_connect);

	tell("client", "peek", SSL_get_fd(ssl));
	ask(ssl, "peek");
	close_both(ssl);
}

static void look_ahead(SSL *ssl)
{
	char got[256];
	size_t peeked;

	must(SSL_peek(ssl, got, sizeof(got)) == (int)strlen("peek asks 0\n"), "SSL_peek of everything");
	must(SSL_peek(ssl, got, 4) == 4 && !memcmp(got, "peek", 4), "SSL_peek of a part");
	must(SSL_peek_ex(ssl, got, 2, &peeked) == 1 && peeked == 2, "SSL_peek_ex");
}

static void server(SSL_CTX *ctx, int listener)
{
	SSL *ssl = shake_hands(ctx, accept_from(listener), SSL_accept);

	tell("server", "peek", SSL_get_fd(ssl));
	look_ahead(ssl);
	answer(ssl, "peek");
	close_both(ssl);
}

int main(int argc, char **argv)
{
	must(argc == 4, "usage: peek CERT KEY VERSION");
	return both_ends(argv, server, client);
}
