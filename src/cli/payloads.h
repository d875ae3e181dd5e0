/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The recent past of what packets carried, in bounded memory, for the recorder. */
#ifndef TCPWHY_CLI_PAYLOADS_H
#define TCPWHY_CLI_PAYLOADS_H

#include "abi/record.h"
#include "base/base.h"

#define PAYLOADS_MAX 4096
#define PAYLOADS_BYTES (4u << 20)

struct payload {
	uint64_t mono_ns; /* of its event, as is cpu */
	uint32_t len;
	uint16_t cpu;
	uint8_t *bytes;
};

/* Zeroed it is empty. */
struct payloads {
	struct payload ring[PAYLOADS_MAX];
	size_t first, n;
	size_t bytes;
};

/* The oldest ones make room. What there is no memory for is left out. */
void payloads_add(struct payloads *p, const struct rec_payload *head, const uint8_t *bytes);
/* NULL if it has none, or none any more. Valid until the next one is added. */
const struct payload *payloads_find(const struct payloads *p, uint64_t mono_ns, uint16_t cpu);
void payloads_clear(struct payloads *p);

#endif
