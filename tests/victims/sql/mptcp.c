/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Preloaded, it makes each TCP socket one of Multipath TCP, as mptcpize(8) does. */
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#define OF_MPTCP 262 /* IPPROTO_MPTCP; headers may be older */

int socket(int family, int type, int protocol)
{
	int kind = type & ~(SOCK_NONBLOCK | SOCK_CLOEXEC);

	if ((family == AF_INET || family == AF_INET6) && kind == SOCK_STREAM)
		protocol = OF_MPTCP;
	return syscall(SYS_socket, family, type, protocol);
}
