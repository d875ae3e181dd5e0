/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "diagnose/judge.h"
#include "record/record.h"

/*
 * net/ipv4/fib_frontend.c __fib_validate_source; the setting in force is the larger of both
 * (IN_DEV_RPFILTER).
 */
static const char *const sysctls[] = {"net.ipv4.conf.all.rp_filter", "net.ipv4.conf.%s.rp_filter",
				      NULL};

static bool concerns(const struct rec_event *e)
{
	return strcmp(e->reason_name, "IP_RPFILTER") == 0;
}

static bool judge(struct judge *j)
{
	const struct rec_event *e = j->ev;
	const struct rec_route *back;
	int64_t all = -1, own = -1;
	char name[80];
	bool known;

	if (!concerns(e))
		return false;
	snprintf(name, sizeof(name), sysctls[1], e->ifname);
	known = fact_sysctl(j, sysctls[0], &all) && fact_sysctl(j, name, &own);
	/* Derived from the place, where other impossible sources are dropped, too. */
	if (e->has_reason == REASON_DERIVED && known && all <= 0 && own <= 0)
		return false;
	j->v->certainty = e->has_reason == REASON_DERIVED ? CERTAINTY_LIKELY : CERTAINTY_CERTAIN;
	back = fact_route(j, j->ev->pkt.tuple.src);
	verdict_explain(j->v,
			"Reverse path filtering dropped the packet: it came in through %s, but "
			"this host would send "
			"answers to %s %s%s.",
			e->ifname[0] ? e->ifname : "an interface", say_addr(e->pkt.tuple.src),
			back && back->ifname[0] && !back->err ? "through " : "another way",
			back && back->ifname[0] && !back->err ? back->ifname : ", or not at all");
	verdict_evidence(j->v, "%s, %s: %s", say_packet(&e->pkt), say_reason(e), say_stack(j, e));
	if (back && back->err)
		verdict_evidence(j->v, "there is no route to %s: %s", say_addr(e->pkt.tuple.src),
				 errno_name(back->err));
	else if (back)
		verdict_evidence(j->v, "the route to %s goes through %s",
				 say_addr(e->pkt.tuple.src), back->ifname);
	if (known)
		verdict_evidence(j->v,
				 "rp_filter is %d for all and %d for %s: the larger one counts (1 "
				 "strict, 2 loose)",
				 (int)all, (int)own, e->ifname);
	hit_all(j);
	if (e->ifname[0])
		verdict_fix(j->v,
			    "packets from there are then accepted if any route leads back; spoofed "
			    "sources too",
			    "%ssysctl -w net.ipv4.conf.%s.rp_filter=2",
			    say_netns_prefix(j, e->hdr.netns), e->ifname);
	verdict_fix(j->v, "the path is then the same both ways",
		    "%sip route add %s dev %s   (if answers should leave there)",
		    say_netns_prefix(j, e->hdr.netns), say_addr(e->pkt.tuple.src),
		    e->ifname[0] ? e->ifname : "IFACE");
	return true;
}

const struct cause cause_rp_filter = {
	.id = "rp-filter",
	.rank = RANK_ROOT,
	.kinds = KIND(DROP),
	.needs = Q_ROUTE_BACK,
	.sysctls = sysctls,
	.concerns = concerns,
	.judge = judge,
};
