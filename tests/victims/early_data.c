// SPDX-License-Identifier: Apache-2.0
/*
 * Early data (RFC 8446 section 2.3): a first connection gets a session ticket, a second one is resumed with
 * it, and both ends write before its handshake is over.
 */
#include "tls.h"

#define MOST_EARLY 4096

static const char *request = "a question as early data";
static const char *response = "an answer as early data";

static SSL_SESSION *session;

static int keep_session(SSL *ssl, SSL_SESSION *new)
{
	(void)ssl;
	SSL_SESSION_free(session);
	session = new;
	return 1; /* the reference is ours now */
}

static void client(SSL_CTX *ctx, int listener)
{
	size_t written;
	SSL *ssl;

	SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_CLIENT);
	SSL_CTX_sess_set_new_cb(ctx, keep_session);
	ssl = shake_hands(ctx, connect_to(listener), SSL_connect);
	tell("client", "first", SSL_get_fd(ssl));
	ask(ssl, "first");
	close_both(ssl);

	must(session && SSL_SESSION_get_max_early_data(session) == MOST_EARLY, "a ticket for early data");
	ssl = SSL_new(ctx);
	must(SSL_set_fd(ssl, connect_to(listener)) && SSL_set_session(ssl, session), "SSL_set_session");
	tell("client", "second", SSL_get_fd(ssl));
	must(SSL_write_early_data(ssl, request, strlen(request), &written) == 1, "SSL_write_early_data");
	must(SSL_connect(ssl) == 1, "resumption");
	must(SSL_get_early_data_status(ssl) == SSL_EARLY_DATA_ACCEPTED, "acceptance of early data");
	hear(ssl, response);
	ask(ssl, "second");
	close_both(ssl);
}

static void read_early(SSL *ssl)
{
	size_t size = 0, read;
	char got[256];
	int result;

	while ((result = SSL_read_early_data(ssl, got + size, sizeof(got) - size, &read)) !=
	       SSL_READ_EARLY_DATA_FINISH) {
		must(result == SSL_READ_EARLY_DATA_SUCCESS, "SSL_read_early_data");
		if (!size)
			must(SSL_write_early_data(ssl, response, strlen(response), &read) == 1,
			     "the server's SSL_write_early_data");
		size += strlen(request);
	}
	must(size == strlen(request) && !memcmp(got, request, size), "what was read as early data");
}

static void server(SSL_CTX *ctx, int listener)
{
	SSL *ssl;

	SSL_CTX_set_max_early_data(ctx, MOST_EARLY);
	must(SSL_CTX_set_session_id_context(ctx, (const unsigned char *)"victim", 6), "session id context");
	ssl = shake_hands(ctx, accept_from(listener), SSL_accept);
	tell("server", "first", SSL_get_fd(ssl));
	answer(ssl, "first");
	close_both(ssl);

	ssl = SSL_new(ctx);
	must(SSL_set_fd(ssl, accept_from(listener)), "SSL_set_fd");
	tell("server", "second", SSL_get_fd(ssl));
	read_early(ssl);
	must(SSL_accept(ssl) == 1, "the end of the handshake");
	answer(ssl, "second");
	close_both(ssl);
}

int main(int argc, char **argv)
{
	must(argc == 4, "usage: early_data CERT KEY 1.3");
	return both_ends(argv, server, client);
}
