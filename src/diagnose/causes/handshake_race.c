/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "diagnose/judge.h"
#include "record/record.h"

/*
 * net/ipv4/inet_hashtables.c inet_ehash_insert: when the last ACK of a handshake comes in, the
 * kernel takes the half-open connection out of its table and puts the full one in. Lookups take no
 * lock, so before kernel commit 1532ed0d0753 (6.19) a packet on another CPU could find neither in
 * between, and was answered with a reset as if nobody knew the connection.
 */
#define CLOSE_NS (10 * NSEC_PER_MSEC) /* an inference: that near to the end of the handshake */
#define LAG_NS NSEC_PER_MSEC	      /* from a lookup to the reset that follows from it */

struct race {
	uint64_t acked_ns;
	uint64_t established_ns; /* 0: not seen near the reset */
	int cpu;		 /* where it was established, -1 not known */
	bool misfit;		 /* the packet is not one of that connection */
};

/* Only the listener was found, or not even that. */
static bool met_no_connection(const struct judge *j)
{
	const struct rec_event *e = j->ev;

	if (e->active || (e->pkt.tcp_flags & (TCPHDR_SYN | TCPHDR_ACK | TCPHDR_RST)) != TCPHDR_ACK)
		return false;
	if (!(e->sock.flags & SOCK_PRESENT))
		return reset_without_socket(j);
	return e->sock.state == TCP_LISTEN &&
	       (!*fact_reason(e) || fact_reason_is(e, "TCP_FLAGS")) &&
	       !fact_stack(j, "tcp_check_req");
}

static uint64_t distance(uint64_t a, uint64_t b)
{
	return a > b ? a - b : b - a;
}

static void consider(const struct judge *j, const struct rec_event *e, uint64_t ns, struct race *r)
{
	uint64_t reset_ns = j->ev->hdr.mono_ns;

	if (!ns || distance(ns, reset_ns) > CLOSE_NS)
		return;
	if (r->established_ns && distance(ns, reset_ns) >= distance(r->established_ns, reset_ns))
		return;
	r->established_ns = ns;
	r->cpu = e->hdr.kind == REC_STATE || e->hdr.kind == REC_HANDSHAKE ? e->cpu : -1;
}

/* Does the packet acknowledge the SYN-ACK of the connection that e, a new state, is about? */
static bool fits(const struct judge *j, const struct rec_event *e)
{
	return !(e->sock.flags & SOCK_PRESENT) ||
	       ((int32_t)(j->ev->pkt.ack - e->sock.snd_una) >= 0 &&
		(int32_t)(j->ev->pkt.ack - e->sock.snd_nxt) <= 0);
}

/* When did this very connection, here, become established? */
static void find(const struct judge *j, struct race *r)
{
	*r = (struct race){.acked_ns = j->ev->mem.handshake.acked_ns, .cpu = -1};
	timeline_each_event(j->tl, e) {
		bool established = e->hdr.kind == REC_STATE && e->old_state == TCP_SYN_RECV &&
				   e->new_state == TCP_ESTABLISHED;

		if (e->hdr.netns != j->ev->hdr.netns ||
		    !same_connection(&e->pkt.tuple, &j->ev->pkt.tuple))
			continue;
		if (established)
			consider(j, e, e->hdr.mono_ns, r);
		r->misfit |= established && !fits(j, e) &&
			     distance(e->hdr.mono_ns, j->ev->hdr.mono_ns) <= CLOSE_NS;
		consider(j, e, e->mem.handshake.established_ns, r);
	}
}

/* It was known, and had ended, when the packet came: then that is why. */
static bool had_ended(const struct judge *j, const struct race *r)
{
	const struct rec_event *ev = j->ev;

	if (ev->mem.closed_ns > r->established_ns && ev->mem.closed_ns <= ev->hdr.mono_ns)
		return true;
	return fact_had_ended(j, r->established_ns);
}

static void evidence(struct judge *j, const struct race *r)
{
	const struct rec_event *e = j->ev;
	bool before = r->established_ns >= e->hdr.mono_ns;

	verdict_evidence(j->v, "%s met %s: %s", say_packet(&e->pkt),
			 e->sock.flags & SOCK_PRESENT ? "only the listening socket" : "no socket",
			 say_stack(j, e));
	if (r->acked_ns && r->acked_ns <= e->hdr.mono_ns)
		verdict_evidence(j->v, "an ACK had found the half-open connection %s before",
				 say_time(e->hdr.mono_ns - r->acked_ns));
	verdict_evidence(j->v, "the same connection became ESTABLISHED %s %s the reset",
			 say_time(distance(r->established_ns, e->hdr.mono_ns)),
			 before ? "after" : "before");
	if (r->cpu >= 0 && r->cpu != e->cpu)
		verdict_evidence(j->v, "the reset was made on CPU %u, the connection on CPU %d",
				 e->cpu, r->cpu);
	verdict_evidence(j->v, "nobody had closed it");
}

static void explain(struct judge *j, const struct race *r, bool seen)
{
	const char *peer = say_src(&j->ev->pkt.tuple);

	if (seen)
		verdict_explain(j->v,
				"A packet from %s came in the very moment in which the kernel here "
				"turned the half-open connection into a full one, and was answered "
				"with a reset as if nobody knew the connection.",
				peer);
	else
		verdict_explain(j->v,
				"A packet from %s was answered with a reset as if nobody knew its "
				"connection, within %s of the moment in which the kernel here "
				"turned "
				"the half-open connection into a full one.",
				peer, say_time(distance(r->established_ns, j->ev->hdr.mono_ns)));
	verdict_explain(j->v, "On the way from one to the other there is an instant in which the "
			      "kernel's table of connections holds neither, and another CPU that "
			      "looks it up just then finds nothing. Neither end did anything "
			      "wrong.");
}

static bool judge(struct judge *j)
{
	const struct rec_event *e = j->ev;
	struct race r;
	bool seen;

	if (!met_no_connection(j))
		return false;
	find(j, &r);
	if (!r.established_ns || r.misfit || had_ended(j, &r))
		return false;
	seen = r.acked_ns && r.acked_ns <= e->hdr.mono_ns &&
	       e->hdr.mono_ns <= r.established_ns + LAG_NS &&
	       r.established_ns - r.acked_ns <= CLOSE_NS;
	j->v->certainty = seen ? CERTAINTY_CERTAIN : CERTAINTY_LIKELY;
	explain(j, &r, seen);
	evidence(j, &r);
	if (!seen)
		verdict_evidence(j->v, "the half-open connection itself was not watched: that the "
				       "packet fell into the gap is inferred from how near it was");
	hit_all(j);
	verdict_fix(j->v, "a new kernel, and a reboot",
		    "uname -r; then a kernel with \"inet: Avoid ehash lookup race in "
		    "inet_ehash_insert()\" (6.19, commit 1532ed0d0753; look for it in the "
		    "changelog of older, maintained ones)");
	verdict_fix(j->v,
		    "lists only; one queue and CPU for a flow, no spreading by packet, makes the "
		    "race rare, and leaves less parallel work",
		    "%sgrep . /sys/class/net/%s/queues/rx-*/rps_cpus; ethtool -n %s rx-flow-hash "
		    "tcp4",
		    say_netns_prefix(j, e->hdr.netns), e->ifname[0] ? e->ifname : "IFACE",
		    e->ifname[0] ? e->ifname : "IFACE");
	verdict_fix(j->v, "one more attempt, once in a while",
		    "let the client try again when a new connection is reset at its first bytes");
	return true;
}

const struct cause cause_handshake_race = {
	.id = "handshake-race",
	.rank = RANK_ROOT,
	.kinds = KIND(RST_SENT),
	.judge = judge,
};
