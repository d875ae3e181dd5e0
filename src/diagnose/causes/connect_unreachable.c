/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "diagnose/judge.h"
#include "record/record.h"

#include <linux/icmp.h>
#include <linux/icmpv6.h>

static bool errno_is_unreachable(int err)
{
	return err == ENETUNREACH || err == EHOSTUNREACH || err == EACCES || err == EINVAL ||
	       err == ENONET || err == EHOSTDOWN || err == ENOPROTOOPT;
}

static bool concerns(const struct rec_event *e)
{
	return e->hdr.kind != REC_DROP || strncmp(e->reason_name, "NEIGH_", 6) == 0;
}

/* The ICMP error that ended it: received from a router or, on that router, sent. */
static const struct rec_event *icmp_error(const struct judge *j)
{
	const struct rec_event *sent = NULL;

	timeline_each_event(j->tl, e) {
		bool too_big = e->pkt.tuple.family == 6
				       ? e->pkt.icmp_type == ICMPV6_PKT_TOOBIG
				       : e->pkt.icmp_type == ICMP_DEST_UNREACH &&
						 e->pkt.icmp_code == ICMP_FRAG_NEEDED;

		if (too_big)
			continue;
		if (e->hdr.kind == REC_ICMP_RECV)
			return e;
		if (e->hdr.kind == REC_ICMP_SENT)
			sent = e;
	}
	return sent;
}

/*
 * The drop, or the ICMP error to itself, by which this host gives up waiting: net/ipv4/arp.c,
 * net/ipv6/ndisc.c.
 */
static const struct rec_event *neighbour_failure(const struct judge *j)
{
	const struct rec_event *icmp = NULL;

	timeline_each_event(j->tl, e) {
		bool gave_up = fact_stack_of(j, e, "arp_error_report") ||
			       fact_stack_of(j, e, "ndisc_error_report");

		if (e->hdr.kind == REC_DROP &&
		    (strcmp(e->reason_name, "NEIGH_FAILED") == 0 || gave_up))
			return e;
		if (e->hdr.kind == REC_ICMP_SENT && gave_up)
			icmp = e;
	}
	return icmp;
}

/*
 * connect() was given up, or timed out, while its SYN still waited for the neighbour: nothing failed yet, but the
 * entry tells.
 */
static bool judge_waiting(struct judge *j)
{
	const struct rec_event *e = j->ev;

	if (!fact_unanswered(e) || e->mem.syn_count)
		return false;
	timeline_each(j->tl, REC_NEIGH, struct rec_neigh, n) {
		/* include/uapi/linux/neighbour.h: NUD_INCOMPLETE 0x01, NUD_FAILED 0x20 */
		if (n->hdr.netns != e->hdr.netns || !(n->state & 0x21))
			continue;
		j->v->certainty = CERTAINTY_LIKELY;
		verdict_explain(j->v,
				"The next hop %s does not answer %s on %s, so not one SYN left "
				"before %s.",
				say_addr(n->addr),
				e->pkt.tuple.family == 6 ? "neighbour discovery" : "ARP", n->ifname,
				e->sock.err ? "the time was over (ETIMEDOUT)"
					    : "the program gave up");
		verdict_evidence(j->v, "the neighbour entry of %s on %s is %s", say_addr(n->addr),
				 n->ifname, neigh_state_name(n->state));
		verdict_evidence(j->v, "SYN_SENT to CLOSE, and no SYN reached a device: %s",
				 say_stack(j, e));
		hit_all(j);
		verdict_fix(j->v, "none",
			    "is %s switched on, on the same link, with that address? %sip neigh "
			    "show %s",
			    say_addr(n->addr), say_netns_prefix(j, e->hdr.netns),
			    say_addr(n->addr));
		return true;
	}
	return false;
}

/* The packet's own is no help over IPv6: it may be lo by then, which the ICMP error to ourselves comes in through. */
static const char *link_to(const struct judge *j, const struct rec_event *drop, const uint8_t *hop)
{
	const struct rec_route *r = fact_route(j, j->ev->pkt.tuple.dst);

	timeline_each(j->tl, REC_NEIGH, struct rec_neigh, n) {
		if (n->hdr.netns == drop->hdr.netns && addr_equal(n->addr, hop) && n->ifname[0])
			return n->ifname;
	}
	if (r && r->ifname[0])
		return r->ifname;
	return drop->ifname[0] ? drop->ifname : "the link";
}

static void tell_neighbour(struct judge *j, const struct rec_event *drop)
{
	const struct rec_route *r = fact_route(j, j->ev->pkt.tuple.dst);
	const uint8_t *hop = r && r->has_gateway ? r->gateway : drop->pkt.tuple.dst;
	const char *what = drop->pkt.tuple.family == 6 ? "neighbour discovery" : "ARP";

	verdict_explain(j->v,
			"The next hop %s did not answer %s on %s: nobody on that link has the "
			"address, or it is down.",
			say_addr(hop), what, link_to(j, drop, hop));
	verdict_evidence(j->v, "%s waited for the neighbour's hardware address in vain: %s",
			 say_packet(&drop->pkt), say_stack(j, drop));
	timeline_each(j->tl, REC_NEIGH, struct rec_neigh, n) {
		if (n->hdr.netns != drop->hdr.netns)
			continue;
		verdict_evidence(j->v, "the neighbour entry of %s on %s is %s", say_addr(n->addr),
				 n->ifname, n->state ? neigh_state_name(n->state) : "gone");
	}
	verdict_fix(j->v, "none",
		    "is %s switched on, on the same link, with that address? %sip neigh show %s; "
		    "check the cable, "
		    "the VLAN and the netmask of both sides",
		    say_addr(hop), say_netns_prefix(j, j->ev->hdr.netns), say_addr(hop));
}

static void tell_icmp(struct judge *j, const struct rec_event *icmp)
{
	bool ours = icmp->hdr.kind == REC_ICMP_SENT;

	verdict_explain(j->v,
			"%s %s answered with the ICMP error \"%s\" instead of letting the "
			"connection through.",
			ours ? "This host," : "The router or host", say_addr(icmp->pkt.icmp_src),
			say_icmp(&icmp->pkt));
	verdict_evidence(j->v, "ICMP type %u code %u from %s about %s, %s %s", icmp->pkt.icmp_type,
			 icmp->pkt.icmp_code, say_addr(icmp->pkt.icmp_src),
			 say_tuple(&icmp->pkt.tuple), ours ? "sent through" : "received on",
			 icmp->ifname[0] ? icmp->ifname : "an interface");
	if (ours)
		verdict_evidence(j->v, "%s", say_stack(j, icmp));
	verdict_fix(j->v, "none", "on %s: look at its routes and its firewall for %s",
		    say_addr(icmp->pkt.icmp_src), say_addr(icmp->pkt.tuple.dst));
}

static bool type_is(const struct rec_route *r, const char *type)
{
	return r && strcmp(route_type_name(r->type), type) == 0;
}

static bool is_for_many(const struct rec_route *r)
{
	return type_is(r, "broadcast") || type_is(r, "multicast");
}

/*
 * The socket is bound to an address or a device, and with that there is no way, though without it
 * there is (or the lookup, which knows the address but not the device, finds one).
 */
static bool bound_is_why(const struct judge *j)
{
	const struct rec_route *r = fact_route(j, j->ev->pkt.tuple.dst);
	int err = j->ev->err;

	if (type_is(r, "blackhole") || type_is(r, "prohibit") || type_is(r, "unreachable") ||
	    is_for_many(r))
		return false;
	if (!addr_is_any(j->ev->pkt.tuple.src))
		return (r && !r->err) || err == EINVAL;
	return r && !r->err && (err == ENETUNREACH || err == EHOSTUNREACH);
}

static void tell_bound(struct judge *j)
{
	const struct rec_tuple *t = &j->ev->pkt.tuple;
	bool address = !addr_is_any(t->src);

	/* net/ipv6/tcp_ipv6.c tcp_v6_connect */
	if (!address && j->ev->sock.flags & SOCK_V4MAPPED) {
		j->v->certainty = CERTAINTY_LIKELY;
		verdict_explain(j->v,
				"connect() to %s failed at once with %s, though the destination as "
				"such has a route: it is an IPv6 socket, which reaches IPv4 only "
				"without IPV6_V6ONLY, and not where it is bound to a device that "
				"leads elsewhere.",
				say_dst(t), errno_name(j->ev->err));
		verdict_evidence(j->v, "no packet was sent: connect() returned %s to %s",
				 errno_name(j->ev->err), say_task(j->ev));
		verdict_fix(j->v, "none",
			    "let the program switch IPV6_V6ONLY off (sysctl net.ipv6.bindv6only is "
			    "its default), or use an IPv4 socket for %s",
			    say_addr(t->dst));
		return;
	}
	j->v->certainty = CERTAINTY_LIKELY;
	verdict_explain(j->v,
			"connect() to %s failed at once with %s, though the destination as such "
			"has a route: the "
			"socket is bound to %s%s, and with that it can't get there%s.",
			say_dst(t), errno_name(j->ev->err), address ? "the address " : "a device",
			address ? say_addr(t->src) : "",
			address ? "" : "; or an IP rule says no, or the route came just after");
	verdict_evidence(j->v, "no packet was sent: connect() returned %s to %s",
			 errno_name(j->ev->err), say_task(j->ev));
	verdict_fix(j->v, "none",
		    "let the program bind to no address or device, or to one that leads to %s: "
		    "%sip route get %s; "
		    "%sip rule",
		    say_addr(t->dst), say_netns_prefix(j, j->ev->hdr.netns), say_addr(t->dst),
		    say_netns_prefix(j, j->ev->hdr.netns));
}

static void tell_route(struct judge *j)
{
	const struct rec_tuple *t = &j->ev->pkt.tuple;
	const char *prefix = say_netns_prefix(j, j->ev->hdr.netns);
	const char *family = t->family == 6 ? "-6 " : "";
	const struct rec_route *r = fact_route(j, j->ev->pkt.tuple.dst);
	int err = j->ev->err;

	/* net/ipv4/tcp_ipv4.c tcp_v4_connect */
	if (is_for_many(r))
		verdict_explain(j->v,
				"%s is a %s address: TCP connects to one host only, so no packet "
				"was sent.",
				say_addr(t->dst), route_type_name(r->type));
	else if (type_is(r, "prohibit") || err == EACCES)
		verdict_explain(j->v,
				"The route to %s is a prohibit route (or an IP rule prohibits it): "
				"somebody forbade this destination here.",
				say_addr(t->dst));
	else if (type_is(r, "blackhole") || err == EINVAL)
		verdict_explain(j->v,
				"The route to %s is a blackhole route (or an IP rule says so): "
				"somebody "
				"made this destination vanish here.",
				say_addr(t->dst));
	else if (type_is(r, "unreachable"))
		verdict_explain(j->v, "The route to %s is an unreachable route.", say_addr(t->dst));
	else
		verdict_explain(j->v, "%s has no route to %s: no packet was sent.",
				say_netns(j, j->ev->hdr.netns), say_addr(t->dst));
	verdict_evidence(j->v, "connect() to %s failed at once with %s", say_dst(t),
			 errno_name(err));
	if (r && r->err)
		verdict_evidence(j->v, "the route lookup for %s answers %s", say_addr(t->dst),
				 errno_name(r->err));
	if (is_for_many(r)) {
		verdict_fix(j->v, "none", "let the program connect to a host's own address");
		return;
	}
	verdict_fix(j->v, "none",
		    "%sip %sroute get %s; add the missing route or interface address, or remove "
		    "the %s "
		    "route or rule",
		    prefix, family, say_addr(t->dst),
		    err == EACCES   ? "prohibit"
		    : err == EINVAL ? "blackhole"
				    : "unreachable");
}

/* net/ipv6/tcp_ipv6.c tcp_v6_connect: an address of that kind is on every link. */
static bool link_is_missing(const struct judge *j)
{
	const uint8_t *dst = j->ev->pkt.tuple.dst;

	return j->ev->err == EINVAL && dst[0] == 0xfe && (dst[1] & 0xc0) == 0x80;
}

static void tell_link(struct judge *j)
{
	const struct rec_tuple *t = &j->ev->pkt.tuple;

	j->v->certainty = CERTAINTY_LIKELY;
	verdict_explain(j->v,
			"connect() to %s failed at once with EINVAL: it is a link-local address, "
			"which leads nowhere without an interface, and the program named none (or "
			"another one than the socket is bound to).",
			say_dst(t));
	verdict_evidence(j->v, "no packet was sent: connect() returned EINVAL to %s",
			 say_task(j->ev));
	verdict_fix(j->v, "none", "give the interface with the address: %s%%eth0 (sin6_scope_id)",
		    say_addr(t->dst));
}

/*
 * EINVAL and EACCES from connect() have other reasons too: only a route says that it was the route.
 */
static bool route_says_so(const struct judge *j)
{
	const struct rec_route *r = fact_route(j, j->ev->pkt.tuple.dst);

	if (j->ev->err == ENETUNREACH || j->ev->err == EHOSTUNREACH)
		return true;
	return r && (r->err == j->ev->err || type_is(r, "blackhole") || type_is(r, "prohibit"));
}

/* A TTL that ran out here is told to the sender: net/ipv4/ip_forward.c, net/ipv6/ip6_output.c. */
static bool ttl_ran_out(const struct judge *j)
{
	const struct rec_event *icmp = icmp_error(j);

	return strcmp(j->ev->reason_name, "IP_INHDR") == 0 && icmp &&
	       icmp->pkt.icmp_type ==
		       (icmp->pkt.tuple.family == 6 ? ICMPV6_TIME_EXCEED : ICMP_TIME_EXCEEDED);
}

static bool judge(struct judge *j)
{
	const struct rec_event *e = j->ev, *icmp = icmp_error(j), *drop = neighbour_failure(j);

	if (e->hdr.kind == REC_CAPTURED)
		return judge_captured_unreachable(j);
	if (judge_waiting(j))
		return true;
	switch (e->hdr.kind) {
	case REC_CONNECT:
	case REC_SOCK_ERR:
		if (!errno_is_unreachable(e->err))
			return false;
		break;
	case REC_DROP:
		if (track_weight(e, j->world) != WEIGHT_HARD && !fact_event(j, REC_SOCK_ERR))
			return false;
		if (e != drop && !ttl_ran_out(j) && !fact_stack(j, "ip_error") &&
		    !fact_stack(j, "ip6_pkt_drop") &&
		    strcmp(e->reason_name, "IP_INNOROUTES") != 0 &&
		    strcmp(e->reason_name, "IP_OUTNOROUTES") != 0)
			return false;
		break;
	default:
		return false;
	}
	j->v->certainty = CERTAINTY_CERTAIN;
	if (drop) {
		tell_neighbour(j, drop);
	} else if (icmp) {
		tell_icmp(j, icmp);
	} else if (e->hdr.kind == REC_CONNECT && link_is_missing(j)) {
		tell_link(j);
	} else if (e->hdr.kind == REC_CONNECT && bound_is_why(j)) {
		tell_bound(j);
	} else if (e->hdr.kind == REC_CONNECT && route_says_so(j)) {
		tell_route(j);
	} else if (e->hdr.kind == REC_DROP) {
		verdict_explain(j->v, "This host has no route for %s.", say_addr(e->pkt.tuple.dst));
		verdict_evidence(j->v, "%s: %s", say_packet(&e->pkt), say_stack(j, e));
	} else {
		return false;
	}
	hit_all(j);
	return true;
}

const struct cause cause_connect_unreachable = {
	.id = "connect-unreachable",
	.rank = RANK_ROOT,
	.kinds = KIND(CONNECT) | KIND(SOCK_ERR) | KIND(DROP) | KIND(STATE) | KIND(CAPTURED),
	.needs = Q_ROUTE,
	.concerns = concerns,
	.judge = judge,
};
