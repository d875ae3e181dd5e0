/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * drops SECONDS: lets packets with a wrong IP checksum arrive at this network namespace's lo, from
 * all CPUs, as fast as the kernel drops them; prints how many, and the nanoseconds of CPU time that
 * took. An XDP program that passes everything is run with them (5.18 and later: net/bpf/test_run.c
 * bpf_test_run_xdp_live), so no CPU time goes into making and sending them.
 */
#include <linux/bpf.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define AT_ONCE 4096 /* between two looks at the clock */
#define CPUS_MAX 256

/* UDP from 10.77.0.1 to port 9999 of 10.77.0.2; the addresses of lo are 0. */
static const unsigned char packet[64] = {
	[12] = 0x08, [14] = 0x45, [17] = 50,   [22] = 64,   [23] = 17,	 [24] = 0xba,
	[25] = 0xd0, [26] = 10,	  [27] = 77,   [29] = 1,    [30] = 10,	 [31] = 77,
	[33] = 2,    [34] = 0x27, [35] = 0x0e, [36] = 0x27, [37] = 0x0f, [39] = 30,
};

static int program;
static double end;

static int sys_bpf(enum bpf_cmd cmd, union bpf_attr *attr)
{
	return (int)syscall(SYS_bpf, cmd, attr, sizeof(*attr));
}

static double now(clockid_t clock)
{
	struct timespec ts;

	clock_gettime(clock, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static void *run(void *arg)
{
	unsigned long *sent = arg;

	do {
		union bpf_attr attr = {0};

		attr.test.prog_fd = (unsigned)program;
		attr.test.data_in = (unsigned long)packet;
		attr.test.data_size_in = sizeof(packet);
		attr.test.repeat = AT_ONCE;
		attr.test.flags = BPF_F_TEST_XDP_LIVE_FRAMES;
		if (sys_bpf(BPF_PROG_TEST_RUN, &attr) < 0) {
			perror("drops: BPF_PROG_TEST_RUN, which needs Linux 5.18");
			exit(1);
		}
		*sent += AT_ONCE;
	} while (now(CLOCK_MONOTONIC) < end);
	return NULL;
}

int main(int argc, char **argv)
{
	static const struct bpf_insn pass[] = {
		{.code = BPF_ALU64 | BPF_MOV | BPF_K, .imm = XDP_PASS},
		{.code = BPF_JMP | BPF_EXIT},
	};
	long cpus = sysconf(_SC_NPROCESSORS_ONLN);
	unsigned long sent[CPUS_MAX] = {0}, sum = 0;
	pthread_t threads[CPUS_MAX];
	union bpf_attr attr = {0};

	if (argc != 2 || cpus < 1 || cpus > CPUS_MAX) {
		fprintf(stderr, "usage: drops SECONDS\n");
		return 2;
	}
	attr.prog_type = BPF_PROG_TYPE_XDP;
	attr.insns = (unsigned long)pass;
	attr.insn_cnt = 2;
	attr.license = (unsigned long)"GPL";
	program = sys_bpf(BPF_PROG_LOAD, &attr);
	if (program < 0) {
		perror("drops: BPF_PROG_LOAD");
		return 1;
	}
	end = now(CLOCK_MONOTONIC) + strtod(argv[1], NULL);
	for (long i = 0; i < cpus; i++) {
		if (pthread_create(&threads[i], NULL, run, &sent[i])) {
			fprintf(stderr, "drops: no thread\n");
			return 1;
		}
	}
	for (long i = 0; i < cpus; i++) {
		pthread_join(threads[i], NULL);
		sum += sent[i];
	}
	printf("%lu %.0f\n", sum, now(CLOCK_PROCESS_CPUTIME_ID) * 1e9);
	return 0;
}
