/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sends a file through whichever libssl it is told to load, from a client to a server, and an answer back:
 * loads_libssl LIBSSL CERT KEY FILE. OpenSSL from 1.1.0 on and BoringSSL have all these functions.
 *
 * It prints the process ids of both ends as one JSON object.
 */
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define PIECE 10007 /* bytes of a write: more than half a TLS record, and a prime */
#define PEM 1	    /* SSL_FILETYPE_PEM */

static void *library;

static void must(int ok, const char *what)
{
	if (ok)
		return;
	fprintf(stderr, "%s failed\n", what);
	exit(1);
}

static void *function(const char *name)
{
	void *found = dlsym(library, name);

	must(found != NULL, name);
	return found;
}

#define CALL(result, name, ...) ((result(*)())function(name))(__VA_ARGS__)

static void *connection(const char *method, const char *cert, const char *key, int fd)
{
	void *ctx = CALL(void *, "SSL_CTX_new", CALL(void *, method)), *ssl;

	if (cert) {
		must(CALL(int, "SSL_CTX_use_certificate_file", ctx, cert, PEM) == 1, "certificate");
		must(CALL(int, "SSL_CTX_use_PrivateKey_file", ctx, key, PEM) == 1, "key");
	}
	ssl = CALL(void *, "SSL_new", ctx);
	must(CALL(int, "SSL_set_fd", ssl, fd) == 1, "SSL_set_fd");
	return ssl;
}

static char *content(const char *path, long *size)
{
	FILE *file = fopen(path, "rb");
	char *bytes;

	must(file && !fseek(file, 0, SEEK_END), path);
	*size = ftell(file);
	rewind(file);
	bytes = malloc(*size);
	must(bytes && fread(bytes, 1, *size, file) == (size_t)*size, path);
	return bytes;
}

static void client(int fd, const char *path)
{
	void *ssl = connection("TLS_client_method", NULL, NULL, fd);
	char answer[8];
	long size;
	char *bytes = content(path, &size);

	must(CALL(int, "SSL_connect", ssl) == 1, "SSL_connect");
	for (long at = 0; at < size; at += PIECE) {
		int piece = size - at < PIECE ? (int)(size - at) : PIECE;

		must(CALL(int, "SSL_write", ssl, bytes + at, piece) == piece, "SSL_write");
	}
	must(CALL(int, "SSL_read", ssl, answer, (int)sizeof(answer)) == 4, "the answer");
	CALL(int, "SSL_shutdown", ssl);
	CALL(void, "SSL_free", ssl);
}

static void server(int fd, char **argv)
{
	void *ssl = connection("TLS_server_method", argv[2], argv[3], fd);
	char bytes[4096];
	long size, at = 0;

	free(content(argv[4], &size));
	must(CALL(int, "SSL_accept", ssl) == 1, "SSL_accept");
	while (at < size) {
		int got = CALL(int, "SSL_read", ssl, bytes, (int)sizeof(bytes));

		must(got > 0, "SSL_read");
		at += got;
	}
	must(CALL(int, "SSL_write", ssl, "done", 4) == 4, "SSL_write");
	CALL(void, "SSL_free", ssl);
}

int main(int argc, char **argv)
{
	int ends[2], status;
	pid_t child;

	must(argc == 5, "usage: loads_libssl LIBSSL CERT KEY FILE");
	library = dlopen(argv[1], RTLD_NOW);
	if (!library)
		fprintf(stderr, "%s\n", dlerror());
	must(library != NULL, argv[1]);
	must(!socketpair(AF_UNIX, SOCK_STREAM, 0, ends), "socketpair");
	alarm(30);
	child = fork();
	must(child >= 0, "fork");
	if (!child) {
		client(ends[0], argv[4]);
		return 0;
	}
	server(ends[1], argv);
	must(waitpid(child, &status, 0) == child && !status, "the client");
	printf("{\"server\": %d, \"client\": %d}\n", getpid(), child);
	return 0;
}
