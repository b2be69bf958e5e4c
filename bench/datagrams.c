/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sends UDP datagrams at a constant rate: datagrams ADDRESS PORT SIZE PER_SECOND SECONDS
 * Prints how many it has sent, and the CPU time that took it in microseconds: what the kernel does with a
 * packet on its way through a veth, it does in the sender's time.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>

#define TOGETHER 32

static double seconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec + now.tv_nsec / 1e9;
}

int main(int argc, char **argv)
{
	static char payload[65507];
	struct mmsghdr messages[TOGETHER] = {};
	struct iovec piece = {.iov_base = payload};
	struct sockaddr_in to = {.sin_family = AF_INET};
	long total, sent = 0;
	double rate, began;
	struct rusage used;
	int fd;

	if (argc != 6 || !inet_aton(argv[1], &to.sin_addr))
		return 2;
	to.sin_port = htons(atoi(argv[2]));
	piece.iov_len = atoi(argv[3]);
	rate = atof(argv[4]);
	total = rate * atof(argv[5]);
	fd = socket(AF_INET, SOCK_DGRAM, 0);
	if (fd < 0 || connect(fd, (struct sockaddr *)&to, sizeof(to)))
		return 1;
	for (int i = 0; i < TOGETHER; i++) {
		messages[i].msg_hdr.msg_iov = &piece;
		messages[i].msg_hdr.msg_iovlen = 1;
	}
	began = seconds();
	while (sent < total) {
		double ahead = sent / rate - (seconds() - began);
		int now;

		if (ahead > 0) {
			struct timespec pause = {.tv_nsec = ahead * 1e9};

			nanosleep(&pause, NULL);
			continue;
		}
		now = sendmmsg(fd, messages, total - sent < TOGETHER ? total - sent : TOGETHER, 0);
		if (now < 0 && errno != ECONNREFUSED) /* what nobody takes is refused */
			return 1;
		if (now > 0)
			sent += now;
	}
	getrusage(RUSAGE_SELF, &used);
	printf("%ld %ld\n", sent,
	       (used.ru_utime.tv_sec + used.ru_stime.tv_sec) * 1000000L + used.ru_utime.tv_usec +
		   used.ru_stime.tv_usec);
	return 0;
}
