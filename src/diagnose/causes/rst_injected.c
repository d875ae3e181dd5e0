/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "diagnose/judge.h"
#include "record/record.h"

/*
 * Every router takes one from a packet's TTL. One end's packets of one connection go one way and begin with
 * one number, so a reset with another TTL than the packet with which that end began or answered was
 * probably not sent by it.
 */

/* What systems begin with: 64 (Linux, BSD, macOS), 128 (Windows), 255 (some boxes, for all or for resets only). */
static unsigned first_ttl(unsigned ttl)
{
	return ttl <= 64 ? 64 : ttl <= 128 ? 128 : 255;
}

/* The routers that it passed, if it began with the usual number. */
static unsigned hops(unsigned ttl)
{
	return first_ttl(ttl) - ttl;
}

static void explain(struct judge *j, unsigned came, unsigned expected)
{
	unsigned apart = came > expected ? came - expected : expected - came;
	const struct rec_event *e = j->ev;

	verdict_explain(j->v,
			"A reset in the name of %s ended this connection, and %s probably did not "
			"send it: it has TTL %u, where the packet with which that end began or "
			"answered had %u. It came from %u hop%s %s: something between "
			"(a firewall, a load balancer, a filter) speaks for the peer.",
			say_dst(&e->sock.tuple), say_addr(e->sock.tuple.dst), e->pkt.ttl,
			e->mem.peer_ttl, apart, apart == 1 ? "" : "s",
			came < expected ? "nearer" : "farther away");
}

static bool judge(struct judge *j)
{
	const struct rec_event *e = j->ev;
	unsigned came, expected;

	if (!reset_from_elsewhere(j) || !(e->pkt.has & PKT_L3) || !e->mem.peer_ttl)
		return false;
	came = hops(e->pkt.ttl);
	expected = hops(e->mem.peer_ttl);
	/* From as far: some systems begin with another number for resets. */
	if (came == expected)
		return false;
	j->v->certainty = CERTAINTY_LIKELY;
	explain(j, came, expected);
	verdict_evidence(j->v, "TTL %u of the reset: it passed %u router%s if it began with %u",
			 e->pkt.ttl, came, came == 1 ? "" : "s", first_ttl(e->pkt.ttl));
	verdict_evidence(j->v, "TTL %u expected, seen in the handshake: %u router%s from %u",
			 e->mem.peer_ttl, expected, expected == 1 ? "" : "s",
			 first_ttl(e->mem.peer_ttl));
	verdict_evidence(j->v, "that it was not the peer is inferred: routes change, and of "
			       "several "
			       "machines behind one address each may be as far as it likes");
	evidence_reset(j);
	hit_all(j);
	if (reset_fix_maker(j))
		return true;
	verdict_fix(j->v, "none",
		    "run tcpwhy on %s: if no reset was sent there, something between did. Look for "
		    "it some %u hop%s from here: its log, its rules, its time-out for idle "
		    "connections",
		    say_addr(e->sock.tuple.dst), came + 1, came ? "s" : "");
	verdict_fix(j->v, "sends a few packets", "%straceroute -n -T -p %u %s",
		    say_netns_prefix(j, e->hdr.netns), e->sock.tuple.dport,
		    say_addr(e->sock.tuple.dst));
	return true;
}

const struct cause cause_rst_injected = {
	.id = "rst-injected",
	.rank = RANK_CONSEQUENCE,
	.kinds = KIND(RST_RECV),
	.judge = judge,
};
