/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "cli/payloads.h"

static void drop_oldest(struct payloads *p)
{
	struct payload *old = &p->ring[p->first];

	p->bytes -= old->len;
	free(old->bytes);
	p->first = (p->first + 1) % PAYLOADS_MAX;
	p->n--;
}

void payloads_add(struct payloads *p, const struct rec_payload *head, const uint8_t *bytes)
{
	uint8_t *copy = head->len && head->len <= PAYLOADS_BYTES ? malloc(head->len) : NULL;

	if (!copy)
		return;
	memcpy(copy, bytes, head->len);
	while (p->n == PAYLOADS_MAX || p->bytes + head->len > PAYLOADS_BYTES)
		drop_oldest(p);
	p->ring[(p->first + p->n++) % PAYLOADS_MAX] = (struct payload){
		.mono_ns = head->mono_ns, .len = head->len, .cpu = head->cpu, .bytes = copy};
	p->bytes += head->len;
}

/* The newest first: what is written at once has just come. */
const struct payload *payloads_find(const struct payloads *p, uint64_t mono_ns, uint16_t cpu)
{
	for (size_t i = p->n; i-- > 0;) {
		const struct payload *one = &p->ring[(p->first + i) % PAYLOADS_MAX];

		if (one->mono_ns == mono_ns && one->cpu == cpu)
			return one;
	}
	return NULL;
}

void payloads_clear(struct payloads *p)
{
	while (p->n)
		drop_oldest(p);
}
