/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "diagnose/judge.h"
#include "record/record.h"

/*
 * net/ipv4/route.c ip_route_input_slow, ip_error; net/ipv6/ip6_output.c ip6_forward. For IPv4 the setting
 * of the interface that it came in by counts, for IPv6 that of all (but force_forwarding since 6.17).
 */
static const char *const sysctls[] = {"net.ipv4.conf.%s.forwarding", "net.ipv6.conf.all.forwarding",
				      NULL};

static const char *const ipv6_places[] = {"ip6_forward", NULL};

static bool concerns(const struct rec_event *e)
{
	return !*fact_reason(e) || fact_reason_is(e, "IP_INADDRERRORS");
}

/* Is it, as far as is known; *ret_known: the setting is. */
static bool is_off(const struct judge *j, bool *ret_known)
{
	bool v6 = j->ev->pkt.tuple.family == 6;
	int64_t value = -1;
	char name[80];

	snprintf(name, sizeof(name), sysctls[v6], j->ev->ifname);
	*ret_known = fact_sysctl(j, name, &value);
	return value == 0;
}

static bool judge(struct judge *j)
{
	const char *prefix = say_netns_prefix(j, j->ev->hdr.netns);
	const struct rec_event *e = j->ev;
	bool v6 = e->pkt.tuple.family == 6, known, off = is_off(j, &known);
	bool place = v6 ? fact_dropped_in(j, e, ipv6_places) : fact_stack(j, "ip_error");
	/* For IPv4 the reason says it all: ip_error gives it only where forwarding is off. */
	bool told = fact_reason_is(e, "IP_INADDRERRORS") && (!v6 || !known || off);

	if (!concerns(e) || !fact_suffers(j) || (!told && !(place && off)))
		return false;
	j->v->certainty = !told || place ? CERTAINTY_CERTAIN : CERTAINTY_LIKELY;
	verdict_explain(j->v,
			"The packet %s was for %s, which is not an address of %s, and that doesn't "
			"forward "
			"packets: IPv%u forwarding is off%s%s.",
			say_tuple(&e->pkt.tuple), say_addr(e->pkt.tuple.dst),
			say_netns(j, e->hdr.netns), v6 ? 6 : 4, !v6 && e->ifname[0] ? " for " : "",
			v6 ? "" : e->ifname);
	verdict_evidence(j->v, "%s, %s: %s", say_packet(&e->pkt), say_reason(e), say_stack(j, e));
	if (known && v6)
		verdict_evidence(j->v, "net.ipv6.conf.all.forwarding is %d", !off);
	else if (known)
		verdict_evidence(j->v, "net.ipv4.conf.%s.forwarding is %d", e->ifname, !off);
	hit_all(j);
	verdict_fix(j->v,
		    v6 ? "this host becomes a router for IPv6: it passes on what comes in by any "
			 "interface, and no longer takes routes from router advertisements "
			 "(accept_ra=2 brings that back)"
		       : "this host becomes a router: it passes on what comes in by any interface; "
			 "let "
			 "firewall rules say what may pass",
		    v6 ? "%ssysctl -w net.ipv6.conf.all.forwarding=1"
		       : "%ssysctl -w net.ipv4.ip_forward=1",
		    prefix);
	verdict_fix(j->v, "none",
		    "is this host meant to forward it? If not, the sender has a wrong route, "
		    "or the address %s is missing here: %sip address",
		    say_addr(e->pkt.tuple.dst), prefix);
	return true;
}

const struct cause cause_forwarding_off = {
	.id = "forwarding-off",
	.rank = RANK_ROOT,
	.kinds = KIND(DROP),
	.sysctls = sysctls,
	.concerns = concerns,
	.judge = judge,
};
