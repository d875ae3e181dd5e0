/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What well-known kernel functions do, in plain words, so that a stack reads as the way of a packet. */
#ifndef TCPWHY_LABELS_H
#define TCPWHY_LABELS_H

#include "base/base.h"

#define LABELS_MAX 16 /* of a path */

/*
 * frame: "ip_local_deliver+0xb5 [module]"; caller: the next outer frame, or NULL. NULL: the function
 * tells a reader nothing.
 */
const char *label_of(const char *frame, const char *caller);
/*
 * Here a softirq begins: what stands further out was interrupted, or called for it, and is not what the packet
 * went through.
 */
bool label_is_softirq(const char *frame);
/* What calls BPF programs and other tracers: it stands in a stack only as somebody looks. */
bool label_is_tracing(const char *frame);
/*
 * The labels of a stack (innermost frame first) in the order of time, each once in a row; if there are more
 * than LABELS_MAX the innermost. Returns how many.
 */
size_t label_path(char *const *frames, size_t n, const char *ret[LABELS_MAX]);

#endif
