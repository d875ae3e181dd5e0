/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "diagnose/judge.h"
#include "record/record.h"

/*
 * Packets that may not be fragmented and are larger than a link on the path takes: its router drops them,
 * and says so with an ICMP error (RFC 1191, RFC 8201). Where that gets lost, the sender never learns
 * (RFC 2923 section 2.1), unless it probes (net/ipv4/tcp_timer.c tcp_mtu_probing).
 */
static const char *const sysctls[] = {"net.ipv4.tcp_mtu_probing", "net.ipv4.ip_no_pmtu_disc", NULL};

static bool concerns(const struct rec_event *e)
{
	return e->hdr.kind == REC_RETRANS || e->err == ETIMEDOUT;
}

/* What was sent again last, of the connection under judgement. */
static const struct rec_event *last_sent(const struct judge *j)
{
	const struct rec_event *last = NULL;

	timeline_each_event(j->tl, e) {
		if (e->hdr.kind == REC_RETRANS && e->segment.size &&
		    e->sock.addr == j->ev->sock.addr && e->hdr.netns == j->ev->hdr.netns)
			last = e;
	}
	return last;
}

/* The first time that this very segment was sent again. */
static const struct rec_event *first_sent(const struct judge *j, const struct rec_event *last)
{
	timeline_each_event(j->tl, e) {
		if (e->hdr.kind == REC_RETRANS && e->sock.addr == last->sock.addr &&
		    e->hdr.netns == last->hdr.netns && e->sock.snd_una == last->sock.snd_una)
			return e;
	}
	return last;
}

/* An MTU that was told and arrived is followed; what this host dropped for other reasons is another story. */
static bool is_told_otherwise(const struct judge *j)
{
	timeline_each_event(j->tl, e) {
		if (e->hdr.kind == REC_ICMP_RECV && e->hdr.netns == j->ev->hdr.netns)
			return true;
		if (e->hdr.kind == REC_DROP && track_weight(e, j->world) != WEIGHT_NONE)
			return true;
	}
	return false;
}

/* The drop itself, where the router is a namespace of this host. */
static const struct rec_event *too_big(const struct judge *j)
{
	timeline_each_event(j->tl, e) {
		if (e->hdr.kind == REC_DROP && strcmp(e->reason_name, "PKT_TOO_BIG") == 0)
			return e;
	}
	return NULL;
}

/*
 * Does the peer have smaller segments that were sent after this one; or does it go on sending, and never
 * had one as large?
 */
static bool smaller_ones_pass(const struct rec_event *last)
{
	const struct rec_segment *s = &last->segment;

	return s->sacked && s->sacked < s->size;
}

static bool peer_lives(const struct rec_event *first, const struct rec_event *last)
{
	return last->sock.rcv_nxt != first->sock.rcv_nxt &&
	       last->segment.acked <= last->segment.size;
}

/* Does the kernel try smaller ones by itself by now? */
static bool is_probing(const struct judge *j, const struct rec_event *last)
{
	int64_t probing;

	return fact_sysctl(j, sysctls[0], &probing) && probing && last->sock.retransmits < 6;
}

static bool may_fragment(const struct judge *j)
{
	int64_t no_discovery;

	return j->ev->sock.tuple.family == 4 && fact_sysctl(j, sysctls[1], &no_discovery) &&
	       no_discovery == 1;
}

static void evidence(struct judge *j, const struct rec_event *first, const struct rec_event *last)
{
	const struct rec_segment *s = &last->segment;
	const struct rec_event *drop = too_big(j);
	int64_t value;

	verdict_evidence(j->v,
			 "a segment of %u bytes was sent again %u times within %s, and is not "
			 "acknowledged",
			 s->size, last->sock.retransmits,
			 say_time(last->hdr.mono_ns - first->hdr.mono_ns));
	if (smaller_ones_pass(last))
		verdict_evidence(j->v,
				 "the peer has %u bytes that were sent after it (SACK): what is "
				 "smaller arrives",
				 s->sacked);
	if (peer_lives(first, last))
		verdict_evidence(j->v, "the peer sent %u bytes meanwhile: it is there",
				 last->sock.rcv_nxt - first->sock.rcv_nxt);
	if (s->acked <= s->size)
		verdict_evidence(j->v,
				 "it acknowledged %llu bytes in all: a segment as large never got "
				 "there",
				 (unsigned long long)s->acked);
	if (drop)
		verdict_evidence(j->v, "%s was dropped in %s: %s, larger than the next link takes",
				 say_packet(&drop->pkt), say_netns(j, drop->hdr.netns),
				 say_reason(drop));
	else
		verdict_evidence(j->v, "where it is lost is inferred: no drop and no ICMP error "
				       "was "
				       "seen here for this connection");
	verdict_evidence(j->v,
			 "the kernel takes %u for the path's MTU, and sends up to %u bytes in "
			 "a segment",
			 s->path_mtu, s->mss);
	if (last->sock.tuple.family == 4 && fact_sysctl(j, sysctls[1], &value))
		verdict_evidence(j->v, "net.ipv4.ip_no_pmtu_disc is %lld: routers %s",
				 (long long)value,
				 value == 1 ? "may fragment" : "may not fragment (DF)");
	if (fact_sysctl(j, sysctls[0], &value))
		verdict_evidence(j->v, "net.ipv4.tcp_mtu_probing is %lld%s", (long long)value,
				 value ? ""
				       : ": the kernel does not try smaller segments by itself");
}

static void fixes(struct judge *j, const struct rec_event *last)
{
	const struct rec_tuple *t = &last->sock.tuple;
	const char *prefix = say_netns_prefix(j, last->hdr.netns);
	/* Without the headers of IP and ICMP; smaller ones pass everywhere. */
	uint32_t mtu = last->segment.path_mtu > 576 ? last->segment.path_mtu : 576;
	uint32_t ping = mtu - (t->family == 6 ? 48 : 28);
	int64_t probing;

	if (!fact_sysctl(j, sysctls[0], &probing) || !probing)
		verdict_fix(j->v,
			    "after such losses the kernel tries smaller segments; each such "
			    "connection still waits a few seconds",
			    "%ssysctl -w net.ipv4.tcp_mtu_probing=1", prefix);
	verdict_fix(j->v, "sends a few packets",
		    "%sping %s -M do -c 2 -s %u %s   (which sizes pass? tracepath %s tells where)",
		    prefix, t->family == 6 ? "-6" : "-4", ping, say_addr(t->dst), say_addr(t->dst));
	verdict_fix(j->v, "smaller packets, for this destination only",
		    "%sip route show to match %s; then `ip route change` it with `mtu 1280` (or "
		    "what "
		    "passes)",
		    prefix, say_addr(t->dst));
	verdict_fix(j->v, "none",
		    "on the way: let ICMP%s pass firewalls, or let the tunnel's router clamp the "
		    "MSS (nft: tcp flags syn tcp option maxseg size set rt mtu)",
		    t->family == 6 ? "v6 packet-too-big" : " fragmentation-needed");
}

static bool judge(struct judge *j)
{
	const struct rec_event *last = last_sent(j), *first;

	if (!last || track_weight(last, j->world) == WEIGHT_NONE || is_told_otherwise(j) ||
	    (j->ev->hdr.kind == REC_SOCK_ERR && !fact_gave_up(j)))
		return false;
	first = first_sent(j, last);
	if (!smaller_ones_pass(last) && !peer_lives(first, last) && !too_big(j))
		return false;
	if (is_probing(j, last) || may_fragment(j))
		return false;
	j->v->certainty = too_big(j) ? CERTAINTY_CERTAIN : CERTAINTY_LIKELY;
	verdict_explain(j->v,
			"Segments of %u bytes to %s do not arrive, however often they are sent, "
			"while %s. Something on the path takes smaller packets only, and the ICMP "
			"error that has to tell the sender does not come: a path MTU black hole.",
			last->segment.size, say_dst(&last->sock.tuple),
			smaller_ones_pass(last) ? "smaller ones do" : "the peer is there");
	evidence(j, first, last);
	hit_all(j);
	fixes(j, last);
	return true;
}

const struct cause cause_pmtu_blackhole = {
	.id = "pmtu-blackhole",
	.rank = RANK_ROOT,
	.kinds = KIND(RETRANS) | KIND(SOCK_ERR),
	.sysctls = sysctls,
	.concerns = concerns,
	.judge = judge,
};
