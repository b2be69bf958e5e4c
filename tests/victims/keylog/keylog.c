/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Connections of a library with itself, in memory: keylog LIBCRYPTO LIBSSL CERT KEY LOG ROUNDS.
 *
 * Each round has one of each kind in `kinds`. What the library's own key log callback is told is written to
 * LOG, and at the end a line `KIND CONNECTIONS` for each kind to standard output; a kind that the library
 * does not have is left out.
 *
 * Everything is found by name in the files given, so that it runs with any library of the family: functions
 * that OpenSSL has as macros over SSL_ctrl(3) are BoringSSL's own. Compiled as a library, with PRELOADED, it
 * takes the place of a program that has the functions built in: LD_PRELOAD=... PROGRAM - - CERT KEY LOG
 * ROUNDS.
 */
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void *libcrypto, *libssl;
static const char *cert, *key;
static FILE *truth;
static void *ticket;

static void must(int ok, const char *what)
{
	if (ok)
		return;
	fprintf(stderr, "keylog: %s failed\n", what);
	exit(1);
}

static void *find(const char *name)
{
	void *function = dlsym(libssl, name);

	return function ? function : dlsym(libcrypto, name);
}

/* A library's function; the result and the arguments are declared where it is called. */
#define CALL(type, name, ...) (must(!!find(name), name), ((type(*)())find(name))(__VA_ARGS__))

/* The same, by SSL_CTX_ctrl(3) where it is a macro; the numbers are those of <openssl/ssl.h>. */
#define SET_CACHE_MODE "SSL_CTX_set_session_cache_mode", 44
#define SET_GROUPS "SSL_CTX_set1_curves_list", 92
#define SET_MIN_VERSION "SSL_CTX_set_min_proto_version", 123
#define SET_MAX_VERSION "SSL_CTX_set_max_proto_version", 124

static void set(void *ctx, const char *name, int control, long number, const char *text)
{
	if (!find(name))
		CALL(long, "SSL_CTX_ctrl", ctx, control, number, text);
	else if (text)
		CALL(int, name, ctx, text);
	else
		CALL(int, name, ctx, (int)number);
}

static void logged(const void *ssl, const char *line)
{
	(void)ssl;
	fprintf(truth, "%s\n", line);
}

static int keep_ticket(void *ssl, void *session)
{
	(void)ssl;
	ticket = session;
	return 1;
}

static void *context(int version)
{
	void *ctx = CALL(void *, "SSL_CTX_new", CALL(void *, "TLS_method"));

	set(ctx, SET_MIN_VERSION, version, NULL);
	set(ctx, SET_MAX_VERSION, version, NULL);
	must(CALL(int, "SSL_CTX_use_certificate_file", ctx, cert, 1) == 1, cert);
	must(CALL(int, "SSL_CTX_use_PrivateKey_file", ctx, key, 1) == 1, key);
	set(ctx, SET_CACHE_MODE, 3,
	    NULL); /* SSL_SESS_CACHE_BOTH: the server takes early data once for a ticket */
	CALL(void, "SSL_CTX_sess_set_new_cb", ctx, keep_ticket);
	CALL(void, "SSL_CTX_set_keylog_callback", ctx, logged);
	return ctx;
}

/* Both ends of one connection. */
struct pair {
	void *client, *server;
};

static struct pair pair_of(void *client_ctx, void *server_ctx)
{
	struct pair pair = {CALL(void *, "SSL_new", client_ctx), CALL(void *, "SSL_new", server_ctx)};
	void *there = CALL(void *, "BIO_new", CALL(void *, "BIO_s_mem"));
	void *back = CALL(void *, "BIO_new", CALL(void *, "BIO_s_mem"));

	CALL(int, "BIO_up_ref", there);
	CALL(int, "BIO_up_ref", back);
	CALL(void, "SSL_set_bio", pair.client, back, there);
	CALL(void, "SSL_set_bio", pair.server, there, back);
	CALL(void, "SSL_set_connect_state", pair.client);
	CALL(void, "SSL_set_accept_state", pair.server);
	return pair;
}

static int shake_hands(struct pair pair)
{
	int client = 0, server = 0;

	for (int i = 0; i < 10 && !(client == 1 && server == 1); i++) {
		client = CALL(int, "SSL_do_handshake", pair.client);
		server = CALL(int, "SSL_do_handshake", pair.server);
	}
	return client == 1 && server == 1;
}

static void say(void *from, void *to)
{
	char got[8];

	must(CALL(int, "SSL_write", from, "hello", 5) == 5, "SSL_write");
	must(CALL(int, "SSL_read", to, got, sizeof(got)) == 5, "SSL_read");
}

/* The client reads last, so that it has the tickets that a server sends behind its handshake. */
static void talk(struct pair pair)
{
	say(pair.client, pair.server);
	say(pair.server, pair.client);
}

/* Without the alerts a session could not be resumed. */
static void end(struct pair pair)
{
	CALL(int, "SSL_shutdown", pair.client);
	CALL(int, "SSL_shutdown", pair.server);
	CALL(void, "SSL_free", pair.client);
	CALL(void, "SSL_free", pair.server);
}

static void connect_once(void *client_ctx, void *server_ctx)
{
	struct pair pair = pair_of(client_ctx, server_ctx);

	must(shake_hands(pair), "the handshake");
	talk(pair);
	end(pair);
}

static void resume(void *client_ctx, void *server_ctx)
{
	struct pair pair;

	connect_once(client_ctx, server_ctx);
	pair = pair_of(client_ctx, server_ctx);
	must(CALL(int, "SSL_set_session", pair.client, ticket) == 1, "SSL_set_session");
	must(shake_hands(pair) && CALL(int, "SSL_session_reused", pair.client), "resumption");
	talk(pair);
	end(pair);
}

static void send_early(void *client_ctx, void *server_ctx)
{
	struct pair pair;
	char got[8];
	size_t size;

	CALL(int, "SSL_CTX_set_max_early_data", server_ctx, 4096);
	connect_once(client_ctx, server_ctx);
	pair = pair_of(client_ctx, server_ctx);
	must(CALL(int, "SSL_set_session", pair.client, ticket) == 1, "SSL_set_session");
	must(CALL(int, "SSL_write_early_data", pair.client, "early", (size_t)5, &size) == 1, "early data");
	must(CALL(int, "SSL_read_early_data", pair.server, got, sizeof(got), &size) == 1 && size == 5,
	     "SSL_read_early_data");
	CALL(int, "SSL_do_handshake", pair.client);
	CALL(int, "SSL_read_early_data", pair.server, got, sizeof(got), &size);
	must(shake_hands(pair), "the end of the handshake");
	talk(pair);
	end(pair);
}

static void update_keys(void *client_ctx, void *server_ctx)
{
	struct pair pair = pair_of(client_ctx, server_ctx);

	must(shake_hands(pair), "the handshake");
	for (int i = 0; i < 2; i++) {
		CALL(int, "SSL_key_update", pair.client, 1); /* SSL_KEY_UPDATE_REQUESTED */
		talk(pair);
	}
	end(pair);
}

/* The client does not know who has signed the certificate. */
static void refuse(void *client_ctx, void *server_ctx)
{
	struct pair pair;

	CALL(void, "SSL_CTX_set_verify", client_ctx, 1, NULL);
	pair = pair_of(client_ctx, server_ctx);
	must(!shake_hands(pair), "the refusal");
	end(pair);
}

struct kind {
	const char *name;
	int version;
	const char *suites; /* of TLS 1.3; NULL: the library's own choice, as for the other two */
	const char *ciphers;
	const char *groups; /* the server's, which the client does not expect */
	void (*act)(void *client_ctx, void *server_ctx);
	int connections;
	const char *needs; /* a function that not every library has */
};

static const struct kind kinds[] = {
    {"1.3", 0x304, NULL, NULL, NULL, connect_once, 1, NULL},
    {"1.3-sha256", 0x304, "TLS_AES_128_GCM_SHA256", NULL, NULL, connect_once, 1, "SSL_CTX_set_ciphersuites"},
    {"1.3-resumed", 0x304, NULL, NULL, NULL, resume, 2, NULL},
    {"1.3-retry", 0x304, NULL, NULL, "P-384", connect_once, 1, NULL},
    {"1.3-early", 0x304, NULL, NULL, NULL, send_early, 2, "SSL_write_early_data"},
    {"1.3-update", 0x304, NULL, NULL, NULL, update_keys, 1, "SSL_key_update"},
    {"1.3-refused", 0x304, NULL, NULL, NULL, refuse, 1, NULL},
    {"1.2", 0x303, NULL, NULL, NULL, connect_once, 1, NULL},
    {"1.2-resumed", 0x303, NULL, NULL, NULL, resume, 2, NULL},
    {"1.2-rsa", 0x303, NULL, "AES128-SHA", NULL, connect_once, 1, NULL},
};

static int play(const struct kind *kind)
{
	void *client_ctx, *server_ctx;

	if (kind->needs && !find(kind->needs))
		return 0;
	client_ctx = context(kind->version);
	server_ctx = context(kind->version);
	if (kind->suites)
		must(CALL(int, "SSL_CTX_set_ciphersuites", client_ctx, kind->suites) == 1, kind->suites);
	if (kind->ciphers) {
		must(CALL(int, "SSL_CTX_set_cipher_list", client_ctx, kind->ciphers) == 1, kind->ciphers);
		must(CALL(int, "SSL_CTX_set_cipher_list", server_ctx, kind->ciphers) == 1, kind->ciphers);
	}
	if (kind->groups)
		set(server_ctx, SET_GROUPS, 0, kind->groups);
	kind->act(client_ctx, server_ctx);
	CALL(void, "SSL_CTX_free", client_ctx);
	CALL(void, "SSL_CTX_free", server_ctx);
	return kind->connections;
}

static void *load(const char *path)
{
	void *library = dlopen(strcmp(path, "-") ? path : NULL, RTLD_NOW | RTLD_GLOBAL);

	must(!!library, path);
	return library;
}

static int play_all(int argc, char **argv)
{
	must(argc == 7, "counting the arguments");
	libcrypto = load(argv[1]);
	libssl = load(argv[2]);
	cert = argv[3];
	key = argv[4];
	truth = fopen(argv[5], "w");
	must(!!truth, argv[5]);
	for (unsigned int i = 0; i < sizeof(kinds) / sizeof(*kinds); i++) {
		int played = 0;

		for (int round = 0; round < atoi(argv[6]); round++)
			played += play(&kinds[i]);
		if (played)
			printf("%s %d\n", kinds[i].name, played);
	}
	fclose(truth);
	fflush(stdout);
	return 0;
}

#ifdef PRELOADED
/* glibc hands a constructor what it hands main. */
__attribute__((constructor)) static void instead(int argc, char **argv)
{
	_exit(play_all(argc, argv));
}
#else
int main(int argc, char **argv)
{
	return play_all(argc, argv);
}
#endif
