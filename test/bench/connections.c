/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * connections serve ADDRESS PORT N: at N ports from PORT on, takes connections, returns what comes,
 * and closes when the other end has; says "ready", and lives until its input ends.
 * connections make ADDRESS PORT N SECONDS: N threads, each with a port of these, make one connection
 * after the other: connect, a few bytes there and back, close. Prints how many were made, and the
 * nanoseconds of CPU time that took; none may fail.
 */
#include <arpa/inet.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define SIZE 64
#define PORTS_MAX 256

struct end {
	struct sockaddr_in addr;
	pthread_t thread;
	int listener;
	unsigned long made;
};

static double until;

static double now(clockid_t clock)
{
	struct timespec ts;

	clock_gettime(clock, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static void fail(const char *what)
{
	fprintf(stderr, "connections: ");
	perror(what);
	exit(1);
}

static void *serve(void *arg)
{
	const struct end *e = arg;
	char bytes[SIZE];
	ssize_t n;
	int fd;

	while ((fd = accept(e->listener, NULL, NULL)) >= 0) {
		while ((n = recv(fd, bytes, sizeof(bytes), 0)) > 0) {
			if (send(fd, bytes, (size_t)n, 0) != n)
				fail("send");
		}
		close(fd);
	}
	fail("accept");
	return NULL;
}

static void *make(void *arg)
{
	char bytes[SIZE] = "tcpwhy bench";
	struct end *e = arg;

	while (now(CLOCK_MONOTONIC) < until) {
		int fd = socket(AF_INET, SOCK_STREAM, 0);

		if (fd < 0 || connect(fd, (const struct sockaddr *)&e->addr, sizeof(e->addr)) < 0)
			fail("connect");
		if (send(fd, bytes, SIZE, 0) != SIZE || recv(fd, bytes, SIZE, MSG_WAITALL) != SIZE)
			fail("bytes");
		close(fd);
		e->made++;
	}
	return NULL;
}

static void start(struct end *e, void *(*run)(void *))
{
	if (pthread_create(&e->thread, NULL, run, e))
		fail("thread");
}

static void serve_all(struct end *ends, unsigned n)
{
	char nothing;

	for (struct end *e = ends; e < ends + n; e++) {
		e->listener = socket(AF_INET, SOCK_STREAM, 0);
		if (e->listener < 0 ||
		    bind(e->listener, (const struct sockaddr *)&e->addr, sizeof(e->addr)) < 0 ||
		    listen(e->listener, 64) < 0)
			fail("listen");
		start(e, serve);
	}
	printf("ready\n");
	fflush(stdout);
	while (read(STDIN_FILENO, &nothing, 1) > 0)
		;
}

static void make_all(struct end *ends, unsigned n, double seconds)
{
	unsigned long sum = 0;

	until = now(CLOCK_MONOTONIC) + seconds;
	for (unsigned i = 0; i < n; i++)
		start(&ends[i], make);
	for (unsigned i = 0; i < n; i++) {
		pthread_join(ends[i].thread, NULL);
		sum += ends[i].made;
	}
	printf("%lu %.0f\n", sum, now(CLOCK_PROCESS_CPUTIME_ID) * 1e9);
}

int main(int argc, char **argv)
{
	static struct end ends[PORTS_MAX];
	struct sockaddr_in addr = {.sin_family = AF_INET};
	int serves = argc == 5 && !strcmp(argv[1], "serve");
	int makes = argc == 6 && !strcmp(argv[1], "make");
	unsigned long port, n;

	if ((!serves && !makes) || inet_pton(AF_INET, argv[2], &addr.sin_addr) != 1 ||
	    (n = strtoul(argv[4], NULL, 10)) > PORTS_MAX) {
		fprintf(stderr, "usage: connections serve ADDRESS PORT N\n"
				"       connections make ADDRESS PORT N SECONDS\n");
		return 2;
	}
	port = strtoul(argv[3], NULL, 10);
	for (unsigned i = 0; i < n; i++) {
		ends[i].addr = addr;
		ends[i].addr.sin_port = htons((unsigned short)(port + i));
	}
	if (serves)
		serve_all(ends, (unsigned)n);
	else
		make_all(ends, (unsigned)n, strtod(argv[5], NULL));
	return 0;
}
