/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef TCPWHY_ENRICH_THREAD_H
#define TCPWHY_ENRICH_THREAD_H

#include <pthread.h>

/*
 * Starts a thread with a small stack (256 KiB) that no signal is delivered to: signals are the
 * event loop's. name: at most 15 bytes. 0 or a negative errno.
 */
int thread_start(pthread_t *ret, const char *name, void *(*fn)(void *arg), void *arg);

#endif
