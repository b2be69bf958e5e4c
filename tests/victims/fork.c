// SPDX-License-Identifier: Apache-2.0
/* A server that takes a connection and its first message, then forks a child that serves the rest. */
#include "tls.h"

static void client(SSL_CTX *ctx, int listener)
{
	SSL *ssl = shake_hands(ctx, connect_to(listener), SSL_connect);

	tell("client", "child", SSL_get_fd(ssl));
	say(ssl, "to the parent");
	ask(ssl, "child");
	close_both(ssl);
}

static void server(SSL_CTX *ctx, int listener)
{
	SSL *ssl = shake_hands(ctx, accept_from(listener), SSL_accept);
	int status;
	pid_t child;

	tell("server", "parent", SSL_get_fd(ssl));
	hear(ssl, "to the parent");
	child = fork();
	must(child >= 0, "fork");
	if (!child) {
		tell("server", "child", SSL_get_fd(ssl));
		answer(ssl, "child");
		close_both(ssl);
		exit(0);
	}
	must(waitpid(child, &status, 0) == child && !status, "the child that serves");
	SSL_set_quiet_shutdown(ssl, 1); /* the child has said goodbye */
	close_both(ssl);
}

int main(int argc, char **argv)
{
	must(argc == 4, "usage: fork CERT KEY VERSION");
	return both_ends(argv, server, client);
}
