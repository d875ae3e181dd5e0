/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Sees to it that every hook function has its probe: enrich knows the functions, source has the probes. */
#include "cli/session.h"

/* A burst of registrations (a firewall is loaded, a container started) is one. */
#define COVER_AGAIN_NS (100 * NSEC_PER_MSEC)

typedef VEC(struct live_hook) hook_vec;

static void add_hook(void *arg, const struct rec_hook *hook)
{
	struct live_hook *slot = vec_push((hook_vec *)arg);

	if (slot)
		*slot = (struct live_hook){
			.function = hook->function,
			.nft = hook->maker == HOOK_NFTABLES,
			.fleeting = hook->maker == HOOK_FOREIGN,
		};
}

int session_cover_hooks(struct session *s)
{
	uint64_t registered = live_hooks_registered(s->live);
	hook_vec hooks = {0};
	int err;

	if (!live_hooks_stale(s->live))
		return 0;
	s->covered_ns = now_mono();
	err = enrich_hooks(0, add_hook, &hooks);
	if (!err)
		err = live_cover_hooks(s->live, hooks.v, hooks.n, registered);
	vec_free(&hooks);
	return err;
}

uint64_t session_cover_next_ns(const struct session *s)
{
	return live_hooks_stale(s->live) ? s->covered_ns + COVER_AGAIN_NS : UINT64_MAX;
}
