/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Handshakes of a library with itself, in memory: truth LIBCRYPTO LIBSSL CERT KEY.
 *
 * It prints one JSON object a line for each end of each connection, all asked of the library's public
 * accessors, and keeps the connections till its standard input ends, so that somebody can look into them. For
 * each byte that comes in, it uses each of them once, at both ends, and prints an empty line.
 *
 * Everything is found by name in the files given, so that it runs with any library of the family: functions
 * that OpenSSL has as macros over SSL_ctrl(3) are BoringSSL's own. Compiled as a library, with PRELOADED, it
 * takes the place of a program that has the functions built in: LD_PRELOAD=... PROGRAM - - CERT KEY.
 */
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void *libcrypto, *libssl;

static void must(int ok, const char *what)
{
	if (ok)
		return;
	fprintf(stderr, "truth: %s failed\n", what);
	exit(1);
}

static void *find(const char *name)
{
	void *function = dlsym(libssl, name);

	return function ? function : dlsym(libcrypto, name);
}

/* A library's function; the result and the arguments are declared where it is called. */
#define CALL(type, name, ...) (must(!!find(name), name), ((type(*)())find(name))(__VA_ARGS__))

#define CTRL_SET_NAME_CALLBACK 53 /* SSL_CTRL_SET_TLSEXT_SERVERNAME_CB */
#define CTRL_SET_HOST_NAME 55	  /* SSL_CTRL_SET_TLSEXT_HOSTNAME, <openssl/ssl.h>; the two others likewise */
#define CTRL_SET_MIN_VERSION 123
#define CTRL_SET_MAX_VERSION 124

static void set_version(void *ctx, int version)
{
	if (find("SSL_CTX_set_min_proto_version")) {
		CALL(int, "SSL_CTX_set_min_proto_version", ctx, version);
		CALL(int, "SSL_CTX_set_max_proto_version", ctx, version);
	} else {
		CALL(long, "SSL_CTX_ctrl", ctx, CTRL_SET_MIN_VERSION, (long)version, NULL);
		CALL(long, "SSL_CTX_ctrl", ctx, CTRL_SET_MAX_VERSION, (long)version, NULL);
	}
}

/* A server that knows the name: only then OpenSSL keeps it in the session. */
static int accept_name(void *ssl, int *alert, void *arg)
{
	(void)ssl, (void)alert, (void)arg;
	return 0;
}

static void set_name_callback(void *ctx)
{
	if (find("SSL_CTX_set_tlsext_servername_callback"))
		CALL(int, "SSL_CTX_set_tlsext_servername_callback", ctx, accept_name);
	else
		CALL(long, "SSL_CTX_callback_ctrl", ctx, CTRL_SET_NAME_CALLBACK, accept_name);
}

static void set_host_name(void *ssl, const char *name)
{
	if (find("SSL_set_tlsext_host_name"))
		CALL(int, "SSL_set_tlsext_host_name", ssl, name);
	else
		CALL(long, "SSL_ctrl", ssl, CTRL_SET_HOST_NAME, 0L, name);
}

/* The client's second choice, so that it is not the first bytes of what it offered. */
static int select_alpn(void *ssl, const unsigned char **out, unsigned char *size, const unsigned char *in,
		       unsigned int in_size, void *arg)
{
	(void)ssl, (void)in_size, (void)arg;
	*out = in + 1 + in[0] + 1;
	*size = in[1 + in[0]];
	return 0;
}

static void hex(const char *name, const unsigned char *bytes, size_t size)
{
	printf("\"%s\": \"", name);
	for (size_t i = 0; i < size; i++)
		printf("%02x", bytes[i]);
	printf("\", ");
}

/* What the library's own key log has. */
static struct {
	const void *ssl;
	char text[256];
} lines[64];
static unsigned int line_count;

static void log_line(const void *ssl, const char *line)
{
	must(line_count < sizeof(lines) / sizeof(*lines), "room for the key log");
	lines[line_count].ssl = ssl;
	snprintf(lines[line_count++].text, sizeof(lines->text), "%s", line);
}

static void key_log(const void *ssl)
{
	const char *before = "";

	printf("\"key_log\": [");
	for (unsigned int i = 0; i < line_count; i++) {
		if (lines[i].ssl != ssl)
			continue;
		printf("%s\"%s\"", before, lines[i].text);
		before = ", ";
	}
	printf("], ");
}

static void tell(void *ssl, const char *end, int resumed)
{
	unsigned char client_random[32], server_random[32], master_key[48] = {0};
	void *session = CALL(void *, "SSL_get_session", ssl);
	const unsigned char *alpn;
	unsigned int alpn_size;
	void *cipher = CALL(void *, "SSL_get_current_cipher", ssl);
	const char *name = CALL(const char *, "SSL_get_servername", ssl, 0);

	must(CALL(int, "SSL_session_reused", ssl) == resumed, "resumption");
	CALL(size_t, "SSL_get_client_random", ssl, client_random, sizeof(client_random));
	CALL(size_t, "SSL_get_server_random", ssl, server_random, sizeof(server_random));
	CALL(size_t, "SSL_SESSION_get_master_key", session, master_key, sizeof(master_key));
	CALL(void, "SSL_get0_alpn_selected", ssl, &alpn, &alpn_size);
	printf("{\"ssl\": %lu, \"end\": \"%s\", ", (unsigned long)ssl, end);
	hex("client_random", client_random, sizeof(client_random));
	hex("server_random", server_random, sizeof(server_random));
	hex("master_key", master_key, sizeof(master_key));
	hex("alpn", alpn, alpn_size);
	key_log(ssl);
	printf("\"alpn_length\": %u, \"is_server\": %d, \"version\": %d, ", alpn_size,
	       CALL(int, "SSL_is_server", ssl), CALL(int, "SSL_version", ssl));
	printf("\"cipher\": %d, \"server_name\": \"%s\", ",
	       CALL(unsigned int, "SSL_CIPHER_get_id", cipher) & 0xffff, name ? name : "");
	printf("\"cipher_object\": %lu, \"session\": %lu, \"rbio\": %lu, \"wbio\": %lu}\n",
	       (unsigned long)cipher, (unsigned long)session, CALL(unsigned long, "SSL_get_rbio", ssl),
	       CALL(unsigned long, "SSL_get_wbio", ssl));
}

static struct {
	void *client, *server;
} connections[8];
static unsigned int connection_count;

static void use_all(void)
{
	char byte = 'x';

	for (unsigned int i = 0; i < connection_count; i++) {
		void *client = connections[i].client, *server = connections[i].server;

		must(CALL(int, "SSL_write", client, &byte, 1) == 1, "writing to the server");
		must(CALL(int, "SSL_read", server, &byte, 1) == 1, "reading from the client");
		must(CALL(int, "SSL_write", server, &byte, 1) == 1, "writing to the client");
		must(CALL(int, "SSL_read", client, &byte, 1) == 1, "reading from the server");
	}
	printf("\n");
	fflush(stdout);
}

/* A handshake; `session` is one to resume, or null. Returns the client. */
static void *shake_hands(void *client_ctx, void *server_ctx, void *session)
{
	void *client = CALL(void *, "SSL_new", client_ctx), *server = CALL(void *, "SSL_new", server_ctx);
	void *there = CALL(void *, "BIO_new", CALL(void *, "BIO_s_mem"));
	void *back = CALL(void *, "BIO_new", CALL(void *, "BIO_s_mem"));
	int done = 0;

	CALL(void, "SSL_set_bio", client, back, there); /* nothing is ever freed: each has two owners */
	CALL(void, "SSL_set_bio", server, there, back);
	CALL(void, "SSL_set_connect_state", client);
	CALL(void, "SSL_set_accept_state", server);
	set_host_name(client, "name.example");
	CALL(int, "SSL_set_alpn_protos", client, "\x08http/1.1\x02h2", 12);
	if (session)
		CALL(int, "SSL_set_session", client, session);
	for (int i = 0; i < 10 && done < 2; i++)
		done = CALL(int, "SSL_do_handshake", client) + CALL(int, "SSL_do_handshake", server);
	must(done == 2, "the handshake");
	must(connection_count < sizeof(connections) / sizeof(*connections), "room for the connection");
	connections[connection_count].client = client;
	connections[connection_count++].server = server;
	tell(client, "client", !!session);
	tell(server, "server", !!session);
	return client;
}

static void *load(const char *path)
{
	void *library = dlopen(strcmp(path, "-") ? path : NULL, RTLD_NOW | RTLD_GLOBAL);

	must(!!library, path);
	return library;
}

static int talk(int argc, char **argv)
{
	char byte;

	must(argc == 5, "counting the arguments");
	libcrypto = load(argv[1]);
	libssl = load(argv[2]);
	for (int version = 0x303; version <= 0x304; version++) {
		void *client_ctx = CALL(void *, "SSL_CTX_new", CALL(void *, "TLS_method"));
		void *server_ctx = CALL(void *, "SSL_CTX_new", CALL(void *, "TLS_method"));
		void *client;

		set_version(client_ctx, version);
		set_version(server_ctx, version);
		must(CALL(int, "SSL_CTX_use_certificate_file", server_ctx, argv[3], 1) == 1, argv[3]);
		must(CALL(int, "SSL_CTX_use_PrivateKey_file", server_ctx, argv[4], 1) == 1, argv[4]);
		set_name_callback(server_ctx);
		CALL(void, "SSL_CTX_set_keylog_callback", client_ctx, log_line);
		CALL(void, "SSL_CTX_set_keylog_callback", server_ctx, log_line);
		CALL(void, "SSL_CTX_set_alpn_select_cb", server_ctx, select_alpn, NULL);
		client = shake_hands(client_ctx, server_ctx, NULL);
		if (version == 0x303) /* 1.3 sends its tickets later */
			shake_hands(client_ctx, server_ctx, CALL(void *, "SSL_get1_session", client));
	}
	fflush(stdout);
	while (read(0, &byte, 1) == 1)
		use_all();
	return 0;
}

#ifdef PRELOADED
/* glibc hands a constructor what it hands main. */
__attribute__((constructor)) static void instead(int argc, char **argv)
{
	_exit(talk(argc, argv));
}
#else
int main(int argc, char **argv)
{
	return talk(argc, argv);
}
#endif
