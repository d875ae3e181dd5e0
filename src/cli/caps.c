/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "cli/caps.h"
#include "base/base.h"

#include <sys/capability.h>
#include <sys/prctl.h>

static void cap_free_ptr(cap_t *c)
{
	if (*c)
		cap_free(*c);
}

#define _cleanup_cap_ _cleanup_(cap_free_ptr)

static bool wanted(const int *caps, size_t n, cap_value_t cap)
{
	for (size_t i = 0; i < n; i++)
		if (caps[i] == cap)
			return true;
	return false;
}

/* Needs CAP_SETPCAP; without it no_new_privs alone has to keep an exec from gaining anything. */
static int cut_bounding(const int *caps, size_t n)
{
	cap_value_t max = cap_max_bits();

	for (cap_value_t cap = 0; cap < max; cap++) {
		if (wanted(caps, n, cap) || cap_get_bound(cap) <= 0)
			continue;
		if (cap_drop_bound(cap) < 0 && errno != EPERM)
			return -errno;
	}
	return 0;
}

static int copy_cap(cap_t from, cap_t to, cap_value_t cap)
{
	cap_flag_value_t has;

	if (cap_get_flag(from, cap, CAP_PERMITTED, &has) < 0)
		return -errno;
	if (has != CAP_SET)
		return 0;
	if (cap_set_flag(to, CAP_PERMITTED, 1, &cap, CAP_SET) < 0 ||
	    cap_set_flag(to, CAP_EFFECTIVE, 1, &cap, CAP_SET) < 0)
		return -errno;
	return 0;
}

int caps_keep(const int *caps, size_t n)
{
	_cleanup_cap_ cap_t old = cap_get_proc();
	_cleanup_cap_ cap_t new = cap_init();
	int r;

	if (!old || !new)
		return -errno;
	for (size_t i = 0; i < n; i++) {
		r = copy_cap(old, new, caps[i]);
		if (r)
			return r;
	}
	r = cut_bounding(caps, n);
	if (r)
		return r;
	/* Kernels before 4.3 have no ambient set; there is nothing to empty then. */
	if (cap_reset_ambient() < 0 && errno != EINVAL)
		return -errno;
	if (cap_set_proc(new) < 0)
		return -errno;
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return -errno;
	return 0;
}
