/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Probes on the functions that are registered as netfilter hooks: which ones, only the running kernel knows. */
#include "source/live_private.h"

void hook_links_free(struct hook_links *links)
{
	for (size_t i = 0; i < links->links.n; i++)
		bpf_link__destroy(links->links.v[i]);
	vec_free(&links->links);
	vec_free(&links->functions);
}

static int add_link(struct hook_links *links, struct bpf_link *link)
{
	struct bpf_link **slot = link ? vec_push(&links->links) : NULL;

	if (!link)
		return -errno;
	if (!slot) {
		bpf_link__destroy(link);
		return -ENOMEM;
	}
	*slot = link;
	return 0;
}

/* 0, or the last error: functions that can't be probed are left out. */
static int attach_all(struct live *l, struct hook_links *links, struct bpf_program *prog,
		      const unsigned long *functions, size_t n)
{
	int err = 0;

	if (!n)
		return 0;
	if (l->kprobe_multi && !add_link(links, kprobe_attach_multi(prog, functions, n)))
		return 0;
	for (size_t i = 0; i < n; i++) {
		int r = add_link(
			links, l->kprobe_multi ? kprobe_attach_fast(prog, NULL, functions[i], false)
					       : kprobe_attach(prog, NULL, functions[i], false));

		err = r ? r : err;
	}
	return err;
}

static bool is_listed(const unsigned long *functions, size_t n, unsigned long function)
{
	for (size_t i = 0; i < n; i++)
		if (functions[i] == function)
			return true;
	return false;
}

static int attach_kind(struct live *l, struct hook_links *links, const struct live_hook *hooks,
		       size_t n, bool nft)
{
	_cleanup_free_ unsigned long *functions = calloc(n ? n : 1, sizeof(*functions));
	size_t used = 0;

	if (!functions)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++)
		if (hooks[i].nft == nft && !is_listed(functions, used, hooks[i].function))
			functions[used++] = hooks[i].function;
	return attach_all(l, links,
			  nft ? l->skel->progs.nf_hook_nft_kprobe : l->skel->progs.nf_hook_kprobe,
			  functions, used);
}

bool live_hooks_stale(const struct live *l)
{
	return probes_watch_hooks(l) && l->hooks_known != l->skel->bss->nf_registered;
}

uint64_t live_hooks_registered(const struct live *l)
{
	return l->skel->bss->nf_registered;
}

/* Have all of them their probes already? */
static bool are_covered(const struct live *l, const struct live_hook *hooks, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (hooks[i].fleeting || !is_listed(l->hook_links.functions.v,
						    l->hook_links.functions.n, hooks[i].function))
			return false;
	return true;
}

/* New probes before the old ones are taken away. */
static int cover_anew(struct live *l, const struct live_hook *hooks, size_t n)
{
	struct hook_links links = {0};
	int nft = attach_kind(l, &links, hooks, n, true);
	int other = attach_kind(l, &links, hooks, n, false);

	for (size_t i = 0; !nft && !other && i < n; i++) {
		unsigned long *slot = vec_push(&links.functions);

		if (slot)
			*slot = hooks[i].function;
	}
	hook_links_free(&l->hook_links);
	l->hook_links = links;
	return nft ? nft : other;
}

int live_cover_hooks(struct live *l, const struct live_hook *hooks, size_t n, uint64_t registered)
{
	int err = 0;

	if (!probes_watch_hooks(l))
		return -EOPNOTSUPP;
	if (!are_covered(l, hooks, n))
		err = cover_anew(l, hooks, n);
	l->hooks_known = registered;
	l->skel->data->nf_covered = err ? UINT64_MAX : registered;
	return err;
}
