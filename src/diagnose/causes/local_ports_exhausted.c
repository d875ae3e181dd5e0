/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "diagnose/judge.h"
#include "record/record.h"

/*
 * net/ipv4/inet_hashtables.c __inet_hash_connect: a socket without a port gets one that no connection to
 * the same address and port has; if there is none, EADDRNOTAVAIL.
 */
static const char *const sysctls[] = {"net.ipv4.tcp_tw_reuse", NULL};

/* One that has a port had it from bind(): then just that one is taken, which is another failure. */
static bool concerns(const struct rec_event *e)
{
	return e->err == EADDRNOTAVAIL && !e->pkt.tuple.sport;
}

static const struct rec_ports *ports_of(const struct judge *j)
{
	timeline_each(j->tl, REC_PORTS, struct rec_ports, p) {
		if (p->hdr.netns == j->ev->hdr.netns)
			return p;
	}
	return NULL;
}

static void fixes(struct judge *j, const struct rec_ports *p)
{
	const char *prefix = say_netns_prefix(j, j->ev->hdr.netns);
	int64_t reuse;

	if (p->low > 10240 || p->high < 60999)
		verdict_fix(j->v,
			    "services that listen in that range lose their ports to clients: "
			    "reserve those (net.ipv4.ip_local_reserved_ports)",
			    "%ssysctl -w net.ipv4.ip_local_port_range=\"10240 60999\"   (now %u "
			    "%u)",
			    prefix, p->low, p->high);
	if (p->time_wait > p->held / 2 && fact_sysctl(j, sysctls[0], &reuse) && reuse != 1)
		verdict_fix(j->v,
			    "ports in TIME_WAIT are taken again after a second, where both "
			    "ends have timestamps",
			    "%ssysctl -w net.ipv4.tcp_tw_reuse=1   (now %d)", prefix, (int)reuse);
	verdict_fix(j->v, "none", "let the program keep its connections and use them again%s",
		    p->top_held ? ", and close those that it doesn't need" : "");
	verdict_fix(j->v, "each pair of addresses has all ports for itself",
		    "spread the connections: more addresses or ports of the service, or more local "
		    "addresses (bind() with IP_BIND_ADDRESS_NO_PORT)");
}

static bool judge(struct judge *j)
{
	const struct rec_ports *p = ports_of(j);
	const struct rec_event *e = j->ev;
	unsigned range;

	if (!concerns(e) || !p || p->high < p->low)
		return false;
	range = p->high - p->low + 1u;
	/* The kernel leaves out what is reserved, or bound by bind(), and some may have ended since. */
	if (p->held < range / 2)
		return false;
	j->v->certainty = p->held >= range ? CERTAINTY_CERTAIN : CERTAINTY_LIKELY;
	verdict_explain(j->v,
			"connect() to %s failed at once with EADDRNOTAVAIL: no local port was "
			"left. A "
			"port can serve only one connection to the same address and port, and of "
			"%u "
			"ports %u are in use for this one.",
			say_dst(&e->pkt.tuple), range, p->held);
	verdict_evidence(j->v, "net.ipv4.ip_local_port_range is %u to %u", p->low, p->high);
	verdict_evidence(j->v, "%u of these have a connection to %s, %u of them in TIME_WAIT",
			 p->held, say_dst(&e->pkt.tuple), p->time_wait);
	if (p->pid)
		verdict_evidence(j->v, "most are held by pid %u %s%s%s: %u", p->pid, p->comm,
				 p->container[0] ? " in " : "", p->container, p->top_held);
	if (p->held < range)
		verdict_evidence(j->v,
				 "%u more: reserved, taken by bind(), freed before they were "
				 "counted%s: that is inferred",
				 range - p->held,
				 range % 2 ? ", or not tried (of an odd number of ports, one is "
					     "not)"
					   : "");
	hit_all(j);
	fixes(j, p);
	return true;
}

const struct cause cause_local_ports_exhausted = {
	.id = "local-ports-exhausted",
	.rank = RANK_ROOT,
	.kinds = KIND(CONNECT),
	.needs = Q_PORTS,
	.sysctls = sysctls,
	.concerns = concerns,
	.judge = judge,
};
