/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "diagnose/judge.h"
#include "record/record.h"

static const struct rec_event *port_unreachable(const struct judge *j)
{
	timeline_each_event(j->tl, e) {
		bool v6 = e->pkt.tuple.family == 6;

		/*
		 * ICMP port or protocol unreachable, ICMPv6 port unreachable: net/ipv4/icmp.c
		 * icmp_err_convert.
		 */
		if (e->hdr.kind == REC_ICMP_RECV && e->pkt.icmp_type == (v6 ? 1 : 3) &&
		    (v6 ? e->pkt.icmp_code == 4 : e->pkt.icmp_code == 3))
			return e;
	}
	return NULL;
}

/* net/ipv4/udp.c __udp4_lib_err(): the error is for a socket with a peer only. */
static bool judge_datagram(struct judge *j, const struct rec_event *icmp)
{
	const struct rec_tuple *t = &j->ev->sock.tuple;

	j->v->certainty = icmp ? CERTAINTY_CERTAIN : CERTAINTY_LIKELY;
	verdict_explain(j->v,
			"%s refused the datagram with an ICMP error (port unreachable). Nothing is "
			"bound to that port there, or a firewall there rejects it. Nothing in this "
			"network namespace hindered it.",
			say_dst(t));
	if (icmp)
		verdict_evidence(j->v, "ICMP type %u code %u from %s", icmp->pkt.icmp_type,
				 icmp->pkt.icmp_code, say_addr(icmp->pkt.icmp_src));
	else
		verdict_evidence(j->v, "the socket got ECONNREFUSED; that it was for an ICMP error "
				       "is inferred");
	hit_all(j);
	verdict_fix(j->v, "none",
		    "on %s: ss -lun 'sport = :%u' (is it bound, to this address?), then its "
		    "firewall",
		    say_addr(t->dst), t->dport);
	return true;
}

static bool judge(struct judge *j)
{
	const struct rec_event *e = j->ev, *icmp = port_unreachable(j),
			       *rst = fact_event(j, REC_RST_RECV);
	bool at_connect = e->hdr.kind == REC_RST_RECV && e->sock.state == TCP_SYN_SENT;

	if (e->hdr.kind == REC_CAPTURED)
		return judge_captured_refused(j);
	if (!at_connect && e->err != ECONNREFUSED)
		return false;
	if (e->hdr.kind == REC_RST_RECV && !at_connect)
		return false;
	if (e->sock.tuple.proto == IPPROTO_UDP)
		return judge_datagram(j, icmp);
	j->v->certainty = rst || icmp ? CERTAINTY_CERTAIN : CERTAINTY_LIKELY;
	verdict_explain(j->v,
			"%s refused the connection: it answered the SYN with %s. Nothing listens "
			"on that port there, or a "
			"firewall there rejects it. Nothing in this network namespace hindered it.",
			say_dst(&e->sock.tuple),
			icmp && !rst ? "an ICMP error (port unreachable)" : "a reset");
	if (rst)
		verdict_evidence(j->v, "a reset arrived in SYN_SENT%s%s%s",
				 rst->ifname[0] ? " through " : "", rst->ifname,
				 rst->pkt.has & PKT_L3 ? "" : " (its header was not seen)");
	if (rst && rst->pkt.has & PKT_L3)
		verdict_evidence(j->v, "its TTL was %u when it arrived, its window %u",
				 rst->pkt.ttl, rst->pkt.window);
	if (icmp)
		verdict_evidence(j->v, "ICMP type %u code %u from %s", icmp->pkt.icmp_type,
				 icmp->pkt.icmp_code, say_addr(icmp->pkt.icmp_src));
	if (!rst && !icmp)
		verdict_evidence(j->v, "connect() returned ECONNREFUSED; what answered it was not "
				       "seen, that it was a reset is inferred");
	hit_all(j);
	verdict_fix(j->v, "none",
		    "on %s: ss -ltn 'sport = :%u' (does it listen, on this address?), then its "
		    "firewall",
		    say_addr(e->sock.tuple.dst), e->sock.tuple.dport);
	return true;
}

const struct cause cause_connect_refused = {
	.id = "connect-refused",
	.rank = RANK_CONSEQUENCE,
	.kinds = KIND(RST_RECV) | KIND(SOCK_ERR) | KIND(CONNECT) | KIND(CAPTURED),
	.judge = judge,
};
