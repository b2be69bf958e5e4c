// SPDX-License-Identifier: Apache-2.0
/* Several threads at each end, each with its own connection, all at the same time. */
#include "tls.h"
#include <pthread.h>
#include <stdint.h>

#define THREADS 5

static SSL_CTX *shared;
static int door;
static pthread_barrier_t together;

static void *ask_by_name(void *number)
{
	SSL *ssl = shake_hands(shared, connect_to(door), SSL_connect);
	char name[32];

	snprintf(name, sizeof(name), "thread %d", (int)(intptr_t)number);
	pthread_barrier_wait(&together);
	tell("client", name, SSL_get_fd(ssl));
	say(ssl, name);
	ask(ssl, name);
	close_both(ssl);
	return NULL;
}

static void *answer_by_name(void *unused)
{
	SSL *ssl = shake_hands(shared, accept_from(door), SSL_accept);
	char name[32] = "";

	(void)unused;
	must(SSL_read(ssl, name, sizeof(name) - 1) > 0, "a name");
	tell("server", name, SSL_get_fd(ssl));
	answer(ssl, name);
	close_both(ssl);
	return NULL;
}

static void run_threads(SSL_CTX *ctx, int listener, void *(*run)(void *))
{
	pthread_t threads[THREADS];

	shared = ctx;
	door = listener;
	pthread_barrier_init(&together, NULL, THREADS);
	for (int i = 0; i < THREADS; i++)
		must(!pthread_create(&threads[i], NULL, run, (void *)(intptr_t)i), "pthread_create");
	for (int i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
}

static void client(SSL_CTX *ctx, int listener)
{
	run_threads(ctx, listener, ask_by_name);
}

static void server(SSL_CTX *ctx, int listener)
{
	run_threads(ctx, listener, answer_by_name);
}

int main(int argc, char **argv)
{
	must(argc == 4, "usage: threads CERT KEY VERSION");
	return both_ends(argv, server, client);
}
