/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "diagnose/judge.h"
#include "record/record.h"

/* net/netfilter/nf_conntrack_core.c __nf_conntrack_alloc, nf_conntrack_in. */

static const char *const sysctls[] = {"net.netfilter.nf_conntrack_max", NULL};
static const char *const counters[] = {"ConntrackCount", "ConntrackDrop", "ConntrackInsertFailed",
				       NULL};

/* The packet has got no entry. */
static bool concerns(const struct rec_event *e)
{
	return may_be_netfilter_drop(e) && e->pkt.ctinfo == CTINFO_NONE;
}

/* The hook functions that look up or make an entry; with br_netfilter, and a bridge's own. */
static bool makes_entries(const char *function)
{
	static const char *const functions[] = {"ipv4_conntrack_in", "ipv4_conntrack_local",
						"ipv6_conntrack_in", "ipv6_conntrack_local",
						"nf_conntrack_in",   "nf_ct_bridge_pre",
						"nf_ct_bridge_in"};

	for (size_t i = 0; i < ARRAY_SIZE(functions); i++)
		if (strcmp(function, functions[i]) == 0)
			return true;
	return false;
}

struct fill {
	uint64_t count;
	int64_t max;
	bool known, full;
};

static struct fill fill_of(const struct judge *j)
{
	struct fill f = {0};
	bool counted = fact_counter_value(j, "ConntrackCount", &f.count);

	f.known = fact_sysctl(j, sysctls[0], &f.max) && counted;
	/* It is counted a moment later, when some may have ended. */
	f.full = f.known && f.max > 0 && f.count + (uint64_t)f.max / 100 >= (uint64_t)f.max;
	return f;
}

static void fixes(struct judge *j, const struct fill *f)
{
	const char *prefix = say_netns_prefix(j, j->ev->hdr.netns);

	if (f->max > 0)
		verdict_fix(j->v,
			    "some 400 bytes of kernel memory for each entry; to be set on the "
			    "host, "
			    "for all namespaces at once",
			    "sysctl -w net.netfilter.nf_conntrack_max=%lld   (now %lld)",
			    (long long)f->max * 2, (long long)f->max);
	verdict_fix(j->v, "lists only: who fills it, by source address",
		    "%sconntrack -L | grep -o ' src=[^ ]*' | awk 'NR%%2' | sort | uniq -c | sort "
		    "-rn | "
		    "head",
		    prefix);
	verdict_fix(j->v,
		    "connections that are idle for a day are forgotten, and then hang or are reset",
		    "%ssysctl -w net.netfilter.nf_conntrack_tcp_timeout_established=86400", prefix);
}

static bool judge(struct judge *j)
{
	uint64_t dropped = fact_counter(j, "ConntrackDrop");
	struct fill f = fill_of(j);
	struct dropper d;
	bool seen;

	if (!concerns(j->ev) || !judge_netfilter(j, &d))
		return false;
	seen = d.from == FROM_PROBE && makes_entries(d.function);
	/* PRE_ROUTING and LOCAL_OUT are where entries are made. */
	if (!seen && (d.from == FROM_PROBE || d.from == FROM_TRACE || d.at.sure ||
		      (d.at.number != 0 && d.at.number != 3) || d.at.pf == 5))
		return false;
	if (seen ? !f.full && !dropped : !f.full || !dropped)
		return false;
	j->v->certainty = seen ? d.certainty : CERTAINTY_LIKELY;
	tell_netfilter(j, &d);
	if (f.known)
		verdict_explain(j->v,
				"The table of connections that conntrack keeps is full (%llu of at "
				"most "
				"%lld): a new connection gets no entry, so its first packet is "
				"dropped.",
				(unsigned long long)f.count, (long long)f.max);
	else
		verdict_explain(j->v, "conntrack could make no entry for a new connection: its "
				      "table is "
				      "full, or the kernel is out of memory.");
	if (dropped)
		verdict_evidence(j->v,
				 "conntrack dropped %llu packets since tcpwhy looked first (drop= "
				 "in "
				 "conntrack -S)",
				 (unsigned long long)dropped);
	verdict_evidence(j->v, "the packet got no conntrack entry%s",
			 seen ? "" : ", at a hook where entries are made");
	evidence_netfilter(j, &d);
	fixes(j, &f);
	return true;
}

const struct cause cause_conntrack_table_full = {
	.id = "conntrack-table-full",
	.rank = RANK_ROOT,
	.kinds = KIND(DROP),
	.sysctls = sysctls,
	.counters = counters,
	.any_client = true,
	.concerns = concerns,
	.judge = judge,
};
