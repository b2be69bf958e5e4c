/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A client that asks at a constant rate, which wrk cannot: `paced PORT CONNECTIONS RATE SECONDS`. Each
 * request has its time, on one connection after the other; late ones are sent at once, so that the mean
 * holds. Prints how many requests were answered and how long it took, in seconds.
 */
#include <arpa/inet.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static const char request[] = "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n";

static void fail(const char *what)
{
	fprintf(stderr, "paced: cannot %s\n", what);
	exit(1);
}

static double now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return time.tv_sec + time.tv_nsec / 1e9;
}

static void sleep_until(double when)
{
	struct timespec time = {.tv_sec = when, .tv_nsec = (when - (time_t)when) * 1e9};

	clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &time, NULL);
}

static SSL *connected(SSL_CTX *context, int port)
{
	struct sockaddr_in address = {
	    .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	SSL *ssl = SSL_new(context);

	if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof(address)) || !ssl ||
	    !SSL_set_fd(ssl, fd) || SSL_connect(ssl) != 1)
		fail("connect");
	return ssl;
}

/* The server's answer is small: it comes in one TLS record, and so by one read. */
static void ask(SSL *ssl)
{
	char answer[4096];

	if (SSL_write(ssl, request, sizeof(request) - 1) <= 0)
		fail("write");
	if (SSL_read(ssl, answer, sizeof(answer)) < 12 || memcmp(answer, "HTTP/1.1 200", 12))
		fail("read an answer");
}

int main(int count, char **words)
{
	SSL_CTX *context = SSL_CTX_new(TLS_client_method());
	long connections, total;
	double rate, began;
	SSL **each;

	if (count != 5 || !context)
		fail("begin: paced PORT CONNECTIONS RATE SECONDS");
	connections = atol(words[2]);
	rate = atof(words[3]);
	total = rate * atof(words[4]);
	each = calloc(connections, sizeof(*each));
	for (long i = 0; i < connections; i++)
		each[i] = connected(context, atoi(words[1]));
	began = now();
	for (long i = 0; i < total; i++) {
		sleep_until(began + i / rate);
		ask(each[i % connections]);
	}
	printf("%ld %.3f\n", total, now() - began);
	for (long i = 0; i < connections; i++)
		SSL_shutdown(each[i]);
	return 0;
}
