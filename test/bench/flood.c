/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * flood ADDRESS PORT SECONDS [SEGMENTS]: UDP datagrams of 32 bytes as fast as one socket gives, so many at a time
 * (UDP_SEGMENT); prints how many were sent.
 */
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>

#define UDP_SEGMENT 103 /* linux/udp.h */
#define SEGMENTS_MAX 64
#define SIZE 32

static double now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

int main(int argc, char **argv)
{
	struct sockaddr_in to = {.sin_family = AF_INET};
	static char payload[SIZE * SEGMENTS_MAX] = "tcpwhy bench";
	unsigned long sent = 0, refused = 0, segments = 1;
	int fd = socket(AF_INET, SOCK_DGRAM, 0);
	int size = SIZE;
	double end;

	if (argc == 5)
		segments = strtoul(argv[4], NULL, 10);
	if (argc < 4 || argc > 5 || segments < 1 || segments > SEGMENTS_MAX || fd < 0 ||
	    inet_pton(AF_INET, argv[1], &to.sin_addr) != 1) {
		fprintf(stderr, "usage: flood ADDRESS PORT SECONDS [SEGMENTS]\n");
		return 2;
	}
	if (segments > 1 && setsockopt(fd, IPPROTO_UDP, UDP_SEGMENT, &size, sizeof(size)) < 0) {
		perror("flood: UDP_SEGMENT");
		return 1;
	}
	to.sin_port = htons((unsigned short)strtoul(argv[2], NULL, 10));
	end = now() + strtod(argv[3], NULL);
	do {
		for (int i = 0; i < 256; i++) {
			if (sendto(fd, payload, SIZE * segments, 0, (struct sockaddr *)&to,
				   sizeof(to)) < 0)
				refused += segments;
			else
				sent += segments;
		}
	} while (now() < end);
	printf("%lu %lu\n", sent, refused);
	return 0;
}
