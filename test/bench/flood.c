/* SPDX-License-Identifier: GPL-2.0-or-later */
/* flood ADDRESS PORT SECONDS: UDP datagrams of 32 bytes as fast as one socket gives; prints how many were sent. */
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>

static double now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

int main(int argc, char **argv)
{
	struct sockaddr_in to = {.sin_family = AF_INET};
	char payload[32] = "tcpwhy bench";
	unsigned long sent = 0, refused = 0;
	int fd = socket(AF_INET, SOCK_DGRAM, 0);
	double end;

	if (argc != 4 || fd < 0 || inet_pton(AF_INET, argv[1], &to.sin_addr) != 1) {
		fprintf(stderr, "usage: flood ADDRESS PORT SECONDS\n");
		return 2;
	}
	to.sin_port = htons((unsigned short)strtoul(argv[2], NULL, 10));
	end = now() + strtod(argv[3], NULL);
	do {
		for (int i = 0; i < 256; i++) {
			if (sendto(fd, payload, sizeof(payload), 0, (struct sockaddr *)&to,
				   sizeof(to)) < 0)
				refused++;
			else
				sent++;
		}
	} while (now() < end);
	printf("%lu %lu\n", sent, refused);
	return 0;
}
