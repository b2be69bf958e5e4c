// SPDX-License-Identifier: Apache-2.0
/* SSL_read_ex and SSL_write_ex, which say by pointer how many bytes there were; long and short calls. */
#include "tls.h"

static void say_ex(SSL *ssl, const char *text)
{
	size_t written;

	must(SSL_write_ex(ssl, text, strlen(text), &written) == 1, "SSL_write_ex");
	must(written == strlen(text), "the count of SSL_write_ex");
}

/* Reads in steps of three bytes, so that most calls return less than the peer's call wrote. */
static void hear_ex(SSL *ssl, const char *text)
{
	char got[256];
	size_t size = 0, read;

	for (; size < strlen(text); size += read)
		must(SSL_read_ex(ssl, got + size, 3, &read) == 1, "SSL_read_ex");
	must(!memcmp(got, text, size), text);
}

static void client(SSL_CTX *ctx, int listener)
{
	SSL *ssl = shake_hands(ctx, connect_to(listener), SSL_connect);

	tell("client", "read_write_ex", SSL_get_fd(ssl));
	say_ex(ssl, "a question by SSL_write_ex");
	hear_ex(ssl, "an answer by SSL_write_ex");
	close_both(ssl);
}

static void server(SSL_CTX *ctx, int listener)
{
	SSL *ssl = shake_hands(ctx, accept_from(listener), SSL_accept);

	tell("server", "read_write_ex", SSL_get_fd(ssl));
	hear_ex(ssl, "a question by SSL_write_ex");
	say_ex(ssl, "an answer by SSL_write_ex");
	close_both(ssl);
}

int main(int argc, char **argv)
{
	must(argc == 4, "usage: read_write_ex CERT KEY VERSION");
	return both_ends(argv, server, client);
}
