/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the kernel's socket calls take: ns for a send and a recv of 64 bytes, through a Unix socket pair and
 * through TCP on loopback. The least of many short batches: whatever else runs only adds to it.
 */
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>

#define BATCHES 100
#define CALLS 2000

static void fail(const char *what)
{
	fprintf(stderr, "sockets: cannot %s\n", what);
	exit(1);
}

static double now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return time.tv_sec * 1e9 + time.tv_nsec;
}

static void connect_tcp(int ends[2])
{
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t size = sizeof(address);
	int listener = socket(AF_INET, SOCK_STREAM, 0), yes = 1;

	ends[0] = socket(AF_INET, SOCK_STREAM, 0);
	if (bind(listener, (struct sockaddr *)&address, size) || listen(listener, 1) ||
	    getsockname(listener, (struct sockaddr *)&address, &size) ||
	    connect(ends[0], (struct sockaddr *)&address, size) ||
	    setsockopt(ends[0], IPPROTO_TCP, TCP_NODELAY, &yes, sizeof(yes)))
		fail("connect");
	ends[1] = accept(listener, NULL, NULL);
}

static double least(const int ends[2])
{
	double best = 1e18, began, each;
	char bytes[64] = {0};

	for (int batch = 0; batch < BATCHES; batch++) {
		began = now();
		for (int i = 0; i < CALLS; i++)
			if (send(ends[0], bytes, sizeof(bytes), 0) != sizeof(bytes) ||
			    recv(ends[1], bytes, sizeof(bytes), 0) != sizeof(bytes))
				fail("send and receive");
		each = (now() - began) / CALLS;
		best = each < best ? each : best;
	}
	return best;
}

int main(void)
{
	int pair[2], tcp[2];

	if (socketpair(AF_UNIX, SOCK_STREAM, 0, pair))
		fail("make a socket pair");
	connect_tcp(tcp);
	printf("%.0f %.0f\n", least(pair), least(tcp));
	return 0;
}
