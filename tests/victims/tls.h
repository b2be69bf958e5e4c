/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the victims share. A victim is a small program that uses one part of libssl's interface, at both ends
 * of a connection over loopback: VICTIM CERT KEY VERSION, where VERSION is 1.2 or 1.3.
 *
 * It prints one JSON object a line for each end of each connection: the truth that a test compares with.
 */
#pragma once

#include <arpa/inet.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define ROUNDS 7 /* a prime: a lost or doubled message cannot make up for another */

static inline void must(int ok, const char *what)
{
	if (ok)
		return;
	perror(what);
	ERR_print_errors_fp(stderr);
	exit(1);
}

static inline SSL_CTX *context(const SSL_METHOD *method, char **argv)
{
	int version = strcmp(argv[3], "1.2") ? TLS1_3_VERSION : TLS1_2_VERSION;
	SSL_CTX *ctx = SSL_CTX_new(method);

	must(SSL_CTX_set_min_proto_version(ctx, version) && SSL_CTX_set_max_proto_version(ctx, version),
	     "version");
	return ctx;
}

static inline SSL_CTX *server_context(char **argv)
{
	SSL_CTX *ctx = context(TLS_server_method(), argv);

	must(SSL_CTX_use_certificate_file(ctx, argv[1], SSL_FILETYPE_PEM) == 1, "certificate");
	must(SSL_CTX_use_PrivateKey_file(ctx, argv[2], SSL_FILETYPE_PEM) == 1, "key");
	return ctx;
}

static inline SSL_CTX *client_context(char **argv)
{
	return context(TLS_client_method(), argv);
}

/* A listening socket on a port of loopback that the kernel chooses. */
static inline int listen_anywhere(void)
{
	struct sockaddr_in to = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	must(!bind(fd, (struct sockaddr *)&to, sizeof(to)) && !listen(fd, 64), "listen");
	return fd;
}

static inline int connect_to(int listener)
{
	struct sockaddr_in to;
	socklen_t size = sizeof(to);
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	must(!getsockname(listener, (struct sockaddr *)&to, &size), "getsockname");
	must(!connect(fd, (struct sockaddr *)&to, size), "connect");
	return fd;
}

static inline int accept_from(int listener)
{
	int fd = accept(listener, NULL, NULL);

	must(fd >= 0, "accept");
	return fd;
}

static inline int port_of(int fd, int (*name)(int, struct sockaddr *, socklen_t *))
{
	struct sockaddr_in address;
	socklen_t size = sizeof(address);

	must(!name(fd, (struct sockaddr *)&address, &size), "name of a socket");
	return ntohs(address.sin_port);
}

static int retries; /* calls that a victim had to make again */

/* Say who this end of a connection is; `name` tells several connections of a program apart. */
static inline void tell(const char *role, const char *name, int fd)
{
	/* One write a line: both ends share the descriptor. */
	dprintf(1,
		"{\"role\": \"%s\", \"name\": \"%s\", \"pid\": %d, \"tid\": %d, \"retries\": %d, "
		"\"local\": \"127.0.0.1:%d\", \"remote\": \"127.0.0.1:%d\"}\n",
		role, name, getpid(), (int)syscall(SYS_gettid), retries, port_of(fd, getsockname),
		port_of(fd, getpeername));
}

/* A connection after its handshake, which is SSL_accept or SSL_connect. */
static inline SSL *shake_hands(SSL_CTX *ctx, int fd, int (*handshake)(SSL *))
{
	SSL *ssl = SSL_new(ctx);

	must(ssl && SSL_set_fd(ssl, fd), "SSL_new");
	must(handshake(ssl) == 1, "handshake");
	return ssl;
}

static inline void close_both(SSL *ssl)
{
	int fd = SSL_get_fd(ssl);

	SSL_shutdown(ssl);
	SSL_free(ssl);
	close(fd);
}

static inline void say(SSL *ssl, const char *text)
{
	must(SSL_write(ssl, text, strlen(text)) == (int)strlen(text), "SSL_write");
}

/* Read one record, which the peer has written with one call, and see that it is what was expected. */
static inline void hear(SSL *ssl, const char *text)
{
	char got[256];

	must(SSL_read(ssl, got, sizeof(got)) == (int)strlen(text), "SSL_read");
	must(!memcmp(got, text, strlen(text)), text);
}

/* The conversation of most victims, `name` telling them apart. */
static inline void ask(SSL *ssl, const char *name)
{
	char line[64];

	for (int i = 0; i < ROUNDS; i++) {
		snprintf(line, sizeof(line), "%s asks %d\n", name, i);
		say(ssl, line);
		snprintf(line, sizeof(line), "%s answers %d\n", name, i);
		hear(ssl, line);
	}
}

static inline void answer(SSL *ssl, const char *name)
{
	char line[64];

	for (int i = 0; i < ROUNDS; i++) {
		snprintf(line, sizeof(line), "%s asks %d\n", name, i);
		hear(ssl, line);
		snprintf(line, sizeof(line), "%s answers %d\n", name, i);
		say(ssl, line);
	}
}

/* Fork: `client` runs in the child, `server` here. Returns the exit status of both. */
static inline int both_ends(char **argv, void (*server)(SSL_CTX *, int), void (*client)(SSL_CTX *, int))
{
	int listener = listen_anywhere(), status;
	pid_t child = fork();

	signal(SIGPIPE, SIG_IGN);
	alarm(30); /* nobody is left waiting for a peer that failed */
	must(child >= 0, "fork");
	if (!child) {
		client(client_context(argv), listener);
		exit(0);
	}
	server(server_context(argv), listener);
	must(waitpid(child, &status, 0) == child, "waitpid");
	return status != 0;
}
