/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "source/live_private.h"

/* Of each CPU, 256 KiB: perf's buffers are a power of two. */
#define PAGES 64

static void take_one(void *arg, int cpu, void *data, uint32_t size)
{
	struct live *l = arg;
	struct rec_payload p = {0};

	(void)cpu;
	if (size >= sizeof(p))
		memcpy(&p, data, sizeof(p)); /* it is not aligned */
	if (size < sizeof(p) || p.skip > size - sizeof(p) || p.len > size - sizeof(p) - p.skip) {
		l->invalid++;
		return;
	}
	l->payload_fn(l->payload_arg, &p, (const uint8_t *)data + sizeof(p) + p.skip);
}

static void lost_some(void *arg, int cpu, unsigned long long n)
{
	struct live *l = arg;

	(void)cpu;
	l->payloads_lost += n;
}

int payloads_open(struct live *l)
{
	l->payloads = perf_buffer__new(bpf_map__fd(l->skel->maps.payloads), PAGES, take_one,
				       lost_some, l, NULL);
	return l->payloads ? 0 : -errno;
}

void live_take_payloads(struct live *l,
			void (*fn)(void *arg, const struct rec_payload *p, const uint8_t *bytes),
			void *arg)
{
	if (!l->payloads)
		return;
	l->payload_fn = fn;
	l->payload_arg = arg;
	(void)perf_buffer__consume(l->payloads);
}

uint64_t live_payloads_lost(const struct live *l)
{
	return l->payloads_lost;
}
