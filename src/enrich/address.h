/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The addresses of a network namespace's own interfaces. */
#ifndef TCPWHY_ENRICH_ADDRESS_H
#define TCPWHY_ENRICH_ADDRESS_H

#include "base/base.h"

#define ADDRESSES_MAX 128

struct address {
	uint8_t addr[16]; /* IPv4 as IPv4-mapped */
	uint32_t ifindex;
};

struct address_list {
	struct address v[ADDRESSES_MAX];
	size_t n;
	bool cut; /* there are more */
};

/* Those of the calling thread's namespace. 0 or a negative errno. */
int addresses_read(struct address_list *ret);

#endif
