// SPDX-License-Identifier: Apache-2.0
/* TLS over a pair of Unix sockets, which have no internet addresses; a TCP connection is open beside it. */
#include "tls.h"

static int ends[2];

static void client(SSL_CTX *ctx, int listener)
{
	int decoy = connect_to(listener);
	SSL *ssl = shake_hands(ctx, ends[0], SSL_connect);

	tell("client", "socketpair", decoy);
	ask(ssl, "socketpair");
	close_both(ssl);
	close(decoy);
}

static void server(SSL_CTX *ctx, int listener)
{
	int decoy = accept_from(listener);
	SSL *ssl = shake_hands(ctx, ends[1], SSL_accept);

	tell("server", "socketpair", decoy);
	answer(ssl, "socketpair");
	close_both(ssl);
	close(decoy);
}

int main(int argc, char **argv)
{
	must(argc == 4, "usage: socketpair CERT KEY VERSION");
	must(!socketpair(AF_UNIX, SOCK_STREAM, 0, ends), "socketpair");
	return both_ends(argv, server, client);
}
