// SPDX-License-Identifier: Apache-2.0
/*
 * Three streams of one QUIC connection, at both ends: QUIC CERT KEY [LOG]. It prints the pids of client and
 * server; what either logs of its secrets is appended to LOG.
 *
 * What came after the OpenSSL whose headers are installed is declared here (include/openssl/ssl.h of 3.5).
 */
#include "../tls.h"
#include <fcntl.h>

#define STREAMS 3
#define NO_IMPLICIT_STREAM 0 /* SSL_DEFAULT_STREAM_MODE_NONE */
#define CONCLUDE 1	     /* SSL_WRITE_FLAG_CONCLUDE */

extern const SSL_METHOD *OSSL_QUIC_client_method(void), *OSSL_QUIC_server_method(void);
extern SSL *SSL_new_listener(SSL_CTX *ctx, uint64_t flags), *SSL_accept_connection(SSL *ssl, uint64_t flags);
extern SSL *SSL_new_stream(SSL *ssl, uint64_t flags), *SSL_accept_stream(SSL *ssl, uint64_t flags);
extern int SSL_listen(SSL *ssl), SSL_handle_events(SSL *ssl);
extern int SSL_set_default_stream_mode(SSL *ssl, uint32_t mode);
extern int SSL_set1_initial_peer_addr(SSL *ssl, const BIO_ADDR *peer);
extern int SSL_write_ex2(SSL *ssl, const void *text, size_t size, uint64_t flags, size_t *written);

static const unsigned char protocol[] = "\6victim";

static const char *keylog;

static void logged(const SSL *ssl, const char *line)
{
	int fd = open(keylog, O_WRONLY | O_CREAT | O_APPEND, 0600);

	(void)ssl;
	must(fd >= 0 && dprintf(fd, "%s\n", line) > 0, keylog);
	close(fd);
}

static SSL_CTX *logging(const SSL_METHOD *method)
{
	SSL_CTX *ctx = SSL_CTX_new(method);

	if (keylog)
		SSL_CTX_set_keylog_callback(ctx, logged);
	return ctx;
}

static int choose(SSL *ssl, const unsigned char **out, unsigned char *size, const unsigned char *in,
		  unsigned int in_size, void *argument)
{
	(void)ssl, (void)argument;
	SSL_select_next_proto((unsigned char **)out, size, protocol, sizeof(protocol) - 1, in, in_size);
	return SSL_TLSEXT_ERR_OK;
}

static int bound_socket(struct sockaddr_in *to)
{
	socklen_t size = sizeof(*to);
	int fd = socket(AF_INET, SOCK_DGRAM, 0);

	*to = (struct sockaddr_in){.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	must(!bind(fd, (struct sockaddr *)to, size) && !getsockname(fd, (struct sockaddr *)to, &size),
	     "bind");
	return fd;
}

static SSL *connected(const struct sockaddr_in *to)
{
	SSL *ssl = SSL_new(logging(OSSL_QUIC_client_method()));
	struct sockaddr_in own;
	BIO_ADDR *peer = BIO_ADDR_new();
	int fd = bound_socket(&own);
	BIO *bio = BIO_new_dgram(fd, BIO_CLOSE);

	BIO_ADDR_rawmake(peer, AF_INET, &to->sin_addr, sizeof(to->sin_addr), to->sin_port);
	must(BIO_socket_nbio(fd, 1), "nonblocking");
	SSL_set_bio(ssl, bio, bio);
	must(SSL_set1_initial_peer_addr(ssl, peer), "address");
	must(!SSL_set_alpn_protos(ssl, protocol, sizeof(protocol) - 1), "protocol");
	must(SSL_set_default_stream_mode(ssl, NO_IMPLICIT_STREAM), "stream mode");
	must(SSL_connect(ssl) == 1, "handshake");
	return ssl;
}

/* A round on every stream before the next round on any. */
static void client(const struct sockaddr_in *to)
{
	SSL *ssl = connected(to), *streams[STREAMS];
	char line[64];
	size_t written;

	dprintf(1, "client %d\n", getpid());
	for (int i = 0; i < STREAMS; i++)
		must((streams[i] = SSL_new_stream(ssl, 0)) != NULL, "SSL_new_stream");
	for (int round = 0; round < ROUNDS; round++) {
		for (int i = 0; i < STREAMS; i++) {
			int size = snprintf(line, sizeof(line), "%d asks %d\n", i, round);
			int last = round == ROUNDS - 1 ? CONCLUDE : 0;

			must(SSL_write_ex2(streams[i], line, size, last, &written) == 1, "SSL_write_ex2");
		}
	}
	for (int i = STREAMS - 1; i >= 0; i--) {
		snprintf(line, sizeof(line), "%d answers\n", i);
		hear(streams[i], line);
		SSL_free(streams[i]);
	}
	while (!SSL_shutdown(ssl))
		;
	SSL_free(ssl);
	exit(0);
}

/* Everything that comes on a stream, then the answer. */
static void serve(SSL *stream)
{
	char name, line[64];
	int size;

	must(SSL_read(stream, &name, 1) == 1, "the stream's name");
	while (SSL_read(stream, line, sizeof(line)) > 0)
		;
	size = snprintf(line, sizeof(line), "%c answers\n", name);
	must(SSL_write_ex2(stream, line, size, CONCLUDE, &(size_t){0}) == 1, "SSL_write_ex2");
	SSL_free(stream);
}

static void server(char **argv, int fd, pid_t peer)
{
	SSL_CTX *ctx = logging(OSSL_QUIC_server_method());
	SSL *listener, *ssl, *stream;
	int status;

	must(SSL_CTX_use_certificate_file(ctx, argv[1], SSL_FILETYPE_PEM) == 1, "certificate");
	must(SSL_CTX_use_PrivateKey_file(ctx, argv[2], SSL_FILETYPE_PEM) == 1, "key");
	SSL_CTX_set_alpn_select_cb(ctx, choose, NULL);
	listener = SSL_new_listener(ctx, 0);
	must(listener && SSL_set_fd(listener, fd) && SSL_listen(listener), "listen");
	must((ssl = SSL_accept_connection(listener, 0)) != NULL, "SSL_accept_connection");
	must(SSL_set_default_stream_mode(ssl, NO_IMPLICIT_STREAM), "stream mode");
	dprintf(1, "server %d\n", getpid());
	for (int i = 0; i < STREAMS; i++) {
		must((stream = SSL_accept_stream(ssl, 0)) != NULL, "SSL_accept_stream");
		serve(stream);
	}
	while (!waitpid(peer, &status, WNOHANG)) {
		SSL_handle_events(ssl);
		usleep(1000);
	}
	must(!status, "the client");
	SSL_free(ssl);
	SSL_free(listener);
}

int main(int argc, char **argv)
{
	struct sockaddr_in at;
	int fd = bound_socket(&at);
	pid_t child;

	must(argc == 3 || argc == 4, "usage: quic CERT KEY [LOG]");
	keylog = argv[3];
	alarm(30);
	child = fork();
	must(child >= 0, "fork");
	if (!child)
		client(&at);
	server(argv, fd, child);
	return 0;
}
