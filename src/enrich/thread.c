/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "enrich/thread.h"

#include "base/base.h"

#include <signal.h>

#define STACK_SIZE (1024 * 1024) /* libnftables takes up to 216 KiB of it */

int thread_start(pthread_t *ret, const char *name, void *(*fn)(void *arg), void *arg)
{
	sigset_t all, before;
	pthread_attr_t attr;
	int err = pthread_attr_init(&attr);

	if (err)
		return -err;
	pthread_attr_setstacksize(&attr, STACK_SIZE);
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before); /* the new thread inherits it */
	err = pthread_create(ret, &attr, fn, arg);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	pthread_attr_destroy(&attr);
	if (!err)
		pthread_setname_np(*ret, name);
	return -err;
}
