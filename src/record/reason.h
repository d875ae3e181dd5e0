/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The kernel's drop and reset reasons: how much each weighs, and what it means in plain words. */
#ifndef TCPWHY_REASON_H
#define TCPWHY_REASON_H

#include "base/base.h"

enum reason_weight {
	REASON_NOISE,	/* never a failure: not even sent to user space unless all is asked for */
	REASON_SUPPORT, /* part of healthy traffic too; evidence if the connection fails */
	REASON_FAILURE, /* the packet was lost for a cause that somebody should know */
};

struct reason {
	const char *name; /* without SKB_DROP_REASON_ */
	enum reason_weight weight;
	const char *words; /* "the socket's receive buffer is full" */
};

/*
 * By the kernel's name; a name that this table doesn't know weighs REASON_FAILURE and has empty
 * words.
 */
const struct reason *drop_reason(const char *name);
bool drop_reason_is_noise(const char *name);

/* Words for a reset reason (without SK_RST_REASON_), empty if unknown. */
const char *reset_reason_words(const char *name);

#endif
