/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Both ends of a connection in one thread, with memory between them: nothing but the calls themselves can go
 * wrong, and the output is the same each time. Victims run as VICTIM CERT KEY VERSION [WHAT].
 */
#pragma once

#include "../tls.h"

struct pair {
	SSL *client, *server;
};

/* The transport of an end, and the method that reads and writes it. */
static inline SSL *end_over(SSL_CTX *ctx, BIO *transport)
{
	SSL *ssl = SSL_new(ctx);

	must(ssl && transport, "SSL_new");
	SSL_set_bio(ssl, transport, transport);
	return ssl;
}

/* A pair after its handshake over two transports that are joined. */
static inline struct pair shaken(char **argv, BIO *at_client, BIO *at_server)
{
	struct pair pair = {end_over(client_context(argv), at_client),
			    end_over(server_context(argv), at_server)};
	char none;

	SSL_set_connect_state(pair.client);
	SSL_set_accept_state(pair.server);
	while (!SSL_is_init_finished(pair.client) || !SSL_is_init_finished(pair.server)) {
		SSL_do_handshake(pair.client);
		SSL_do_handshake(pair.server);
		must(ERR_peek_error() == 0, "handshake");
	}
	SSL_read(pair.client, &none, 0); /* the session tickets */
	return pair;
}

static inline struct pair new_pair(char **argv)
{
	BIO *at_client, *at_server;

	must(BIO_new_bio_pair(&at_client, 1 << 17, &at_server, 1 << 17), "BIO_new_bio_pair");
	return shaken(argv, at_client, at_server);
}

/* The usual conversation, and a line of output about it. */
static inline void converse(struct pair pair, const char *name)
{
	char line[64];

	for (int i = 0; i < ROUNDS; i++) {
		snprintf(line, sizeof(line), "%s asks %d\n", name, i);
		say(pair.client, line);
		hear(pair.server, line);
		snprintf(line, sizeof(line), "%s answers %d\n", name, i);
		say(pair.server, line);
		hear(pair.client, line);
	}
	dprintf(1, "%s: %d rounds\n", name, ROUNDS);
}

static inline void free_pair(struct pair pair)
{
	SSL_free(pair.client);
	SSL_free(pair.server);
}

static void (*inside)(void); /* called once, in the middle of the next SSL_write of an end */

static long call_inside(BIO *bio, int what, const char *data, size_t size, int argi, long argl, int result,
			size_t *done)
{
	void (*now)(void) = inside;

	(void)bio, (void)data, (void)size, (void)argi, (void)argl, (void)done;
	if (what == BIO_CB_WRITE && now) {
		inside = NULL;
		now();
	}
	return result;
}

/* Have `function` called when the end is about to hand the next encrypted bytes to its transport. */
static inline void call_in_write(SSL *ssl, void (*function)(void))
{
	inside = function;
	BIO_set_callback_ex(SSL_get_wbio(ssl), call_inside);
}
