/* SPDX-License-Identifier: GPL-2.0-or-later */
/* How a conntrack entry ended that a packet would have needed. */
#include "diagnose/judge.h"

const struct rec_ct_end *fact_entry_end(const struct judge *j)
{
	const struct rec_ct_end *end = &j->ev->mem.ct_end;
	const struct rec_tuple *t = &j->ev->pkt.tuple;

	if (!end->ns || end->ns > j->ev->hdr.mono_ns)
		return NULL;
	return same_connection(&end->orig, t) || same_connection(&end->reply, t) ? end : NULL;
}

static bool ended_in(const struct judge *j, const struct rec_ct_end *end, const char *function)
{
	return world_frames_have(j->world, end->stack, end->nr_stack, function);
}

enum entry_end entry_end(const struct judge *j, const struct rec_ct_end *end)
{
	/* net/netfilter/nf_nat_masquerade.c: since 5.15 (commit 7970a19b7104) in a kernel thread. */
	static const char *const masquerade[] = {"iterate_cleanup_work", "masq_device_event",
						 "masq_inet_event"};

	if (end->expired)
		return ENTRY_EXPIRED;
	/* net/netfilter/nf_conntrack_netlink.c: a netlink message is worked on in its sender's task. */
	if (ended_in(j, end, "ctnetlink_del_conntrack"))
		return ended_in(j, end, "nf_ct_iterate_cleanup") ||
				       ended_in(j, end, "nf_ct_iterate_cleanup_net")
			       ? ENTRY_FLUSHED
			       : ENTRY_DELETED;
	for (size_t i = 0; i < ARRAY_SIZE(masquerade); i++)
		if (ended_in(j, end, masquerade[i]))
			return ENTRY_MASQUERADE;
	/* net/netfilter/nf_conntrack_core.c; gc_worker: of the half closed, where 95 % of the table are full */
	if (ended_in(j, end, "early_drop") || ended_in(j, end, "gc_worker"))
		return ENTRY_EVICTED;
	return ENTRY_BY_KERNEL;
}
