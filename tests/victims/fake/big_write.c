// SPDX-License-Identifier: Apache-2.0
/*
 * The longest single calls, through the real libssl: big_write CERT KEY VERSION. For each line of its
 * standard input the client writes 16 MiB with one SSL_write, and says so when it has returned.
 */
#include "../tls.h"

#define SIZE (16 << 20)

static char *numbered(void)
{
	char *buffer = malloc(SIZE + 1);

	must(buffer != NULL, "malloc");
	for (int at = 0; at < SIZE; at += 16)
		snprintf(buffer + at, 17, "%015d\n", at / 16);
	return buffer;
}

static void client(SSL_CTX *ctx, int listener)
{
	SSL *ssl = shake_hands(ctx, connect_to(listener), SSL_connect);
	char *buffer = numbered(), line[16];

	alarm(0); /* the end of the input is the end */
	dprintf(1, "%d\n", getpid());
	while (fgets(line, sizeof(line), stdin)) {
		must(SSL_write(ssl, buffer, SIZE) == SIZE, "SSL_write");
		dprintf(1, "written\n");
	}
	close_both(ssl);
}

static void server(SSL_CTX *ctx, int listener)
{
	SSL *ssl = shake_hands(ctx, accept_from(listener), SSL_accept);
	static char buffer[64 << 10];

	alarm(0);
	while (SSL_read(ssl, buffer, sizeof(buffer)) > 0)
		;
	close_both(ssl);
}

int main(int argc, char **argv)
{
	must(argc == 4, "usage: big_write CERT KEY VERSION");
	return both_ends(argv, server, client);
}
