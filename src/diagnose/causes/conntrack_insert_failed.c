/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "diagnose/judge.h"
#include "record/record.h"

#include <linux/netfilter/nf_conntrack_common.h>

/*
 * net/netfilter/nf_conntrack_core.c __nf_conntrack_confirm: a packet's entry is put into the table when
 * the packet has passed all rules. What nat-port-exhausted shares stands here too.
 */

static const char *const counters[] = {"ConntrackInsertFailed", "ConntrackDrop", NULL};

bool entry_is_new(const struct rec_event *e)
{
	return may_be_netfilter_drop(e) && e->pkt.has & PKT_CT &&
	       !(e->pkt.ct_status & IPS_CONFIRMED);
}

/* Until 6.1 a function for each family: net/netfilter/nf_conntrack_proto.c. */
static bool puts_entries(const char *function)
{
	static const char *const functions[] = {"ipv4_confirm", "ipv6_confirm", "nf_confirm",
						"nf_conntrack_confirm", "nf_ct_bridge_post"};

	for (size_t i = 0; i < ARRAY_SIZE(functions); i++)
		if (strcmp(function, functions[i]) == 0)
			return true;
	return strncmp(function, "nf_nat_", 7) == 0;
}

bool judge_insert(struct judge *j, bool clashes, struct dropper *ret)
{
	uint64_t failed = fact_counter(j, "ConntrackInsertFailed");
	bool seen;

	if (!entry_is_new(j->ev) || !judge_netfilter(j, ret))
		return false;
	seen = ret->from == FROM_PROBE && puts_entries(ret->function);
	/* LOCAL_IN and POST_ROUTING are where a packet's way ends. */
	if (!seen && (ret->from == FROM_PROBE || ret->from == FROM_TRACE || ret->at.sure ||
		      (ret->at.number != 1 && ret->at.number != 4) || ret->at.pf == 5))
		return false;
	/* The counter may have risen for others. */
	if (!seen && !clashes && ret->maker != HOOK_KERNEL)
		return false;
	/* A helper that reads along (FTP, SIP) drops there too, and isn't counted so. */
	if (!failed && !(seen && fact_counter(j, "ConntrackDrop")))
		return false;
	ret->certainty = seen ? ret->certainty : CERTAINTY_LIKELY;
	return true;
}

const struct rec_ct *other_entry(const struct judge *j)
{
	const struct rec_packet *p = &j->ev->pkt;
	struct rec_tuple to = tuple_reverse(&p->ct_reply);

	timeline_each(j->tl, REC_CT, struct rec_ct, ct) {
		if (ct->found && ct->hdr.netns == j->ev->hdr.netns &&
		    (tuple_equal(&ct->reply, &p->ct_reply) || tuple_equal(&ct->orig, &to)) &&
		    !tuple_equal(&ct->orig, &p->ct_orig))
			return ct;
	}
	return NULL;
}

bool source_is_translated(const struct rec_packet *p)
{
	return !addr_equal(p->ct_orig.src, p->ct_reply.dst) ||
	       p->ct_orig.sport != p->ct_reply.dport;
}

static void fixes(struct judge *j)
{
	bool udp = j->ev->pkt.tuple.proto == IPPROTO_UDP;

	verdict_fix(j->v, "lists only: insert_failed grows with each", "%sconntrack -S",
		    say_netns_prefix(j, j->ev->hdr.netns));
	if (udp)
		verdict_fix(j->v,
			    "for resolvers of glibc: one more socket for each name, and no two "
			    "queries at once",
			    "add `options single-request-reopen` to /etc/resolv.conf of the "
			    "client");
	verdict_fix(j->v,
		    "without NAT and conntrack nothing can clash; the address must be reachable "
		    "as it is",
		    "let the client talk to the service without DNAT (a cache on its own host, "
		    "say), or exempt it from conntrack (notrack)");
}

static bool judge(struct judge *j)
{
	const struct rec_packet *p = &j->ev->pkt;
	struct dropper d;

	if (!judge_insert(j, false, &d))
		return false;
	j->v->certainty = d.certainty;
	tell_netfilter(j, &d);
	verdict_explain(j->v, "conntrack could not put its entry into the table: another packet "
			      "with the "
			      "same addresses and ports had put one there a moment before.");
	if (p->tuple.proto == IPPROTO_UDP)
		verdict_explain(j->v, "That is a race of two packets that one socket sends at "
				      "once, typically "
				      "a resolver's two queries (A and AAAA) to a service behind "
				      "DNAT. The "
				      "sender waits for its time-out.");
	verdict_evidence(j->v, "the entry of %s (answers: %s) was new and not yet in the table",
			 say_tuple(&p->ct_orig), say_tuple(&p->ct_reply));
	verdict_evidence(j->v,
			 "%llu entries could not be put into the table since tcpwhy looked first "
			 "(insert_failed= in conntrack -S)",
			 (unsigned long long)fact_counter(j, "ConntrackInsertFailed"));
	evidence_netfilter(j, &d);
	fixes(j);
	return true;
}

const struct cause cause_conntrack_insert_failed = {
	.id = "conntrack-insert-failed",
	.rank = RANK_ROOT,
	.kinds = KIND(DROP),
	.needs = Q_CONNTRACK,
	.counters = counters,
	.concerns = entry_is_new,
	.judge = judge,
};
