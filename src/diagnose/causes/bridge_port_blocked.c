/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "diagnose/judge.h"
#include "record/record.h"

#include <linux/if_bridge.h>

/* net/bridge/br_input.c; before 6.14 without a reason. */
static const char *const places[] = {"br_handle_frame", "br_handle_frame_finish", NULL};

static bool concerns(const struct rec_event *e)
{
	return !*fact_reason(e) || fact_reason_is(e, "BRIDGE_INGRESS_STP_STATE");
}

static const struct rec_link *link_of(const struct judge *j)
{
	timeline_each(j->tl, REC_LINK, struct rec_link, l) {
		if (l->hdr.netns == j->ev->hdr.netns && l->ifindex == j->ev->ifindex)
			return l;
	}
	return NULL;
}

static bool is_blocked(const struct rec_link *l)
{
	return l && l->port_state <= BR_STATE_BLOCKING && l->port_state != BR_STATE_FORWARDING;
}

/*
 * A spanning tree blocks ports on purpose, and copies of frames that are flooded are dropped there in good
 * health: is this packet missed?
 */
static bool is_missed(const struct judge *j, const struct rec_link *l)
{
	const struct rec_event *ev = j->ev;

	if (ev->pkt.tuple.proto != IPPROTO_TCP)
		return is_blocked(l) && l->port_state != BR_STATE_BLOCKING;
	timeline_each_event(j->tl, e) {
		bool again = e != ev && e->hdr.kind == REC_DROP && e->ifindex == ev->ifindex &&
			     tuple_equal(&e->pkt.tuple, &ev->pkt.tuple) &&
			     e->pkt.seq == ev->pkt.seq;

		if (again || e->hdr.kind == REC_SYN_RETRANS || e->hdr.kind == REC_SOCK_ERR ||
		    e->hdr.kind == REC_SYNACK_RETRANS)
			return true;
	}
	return false;
}

static void tell_state(struct judge *j, const struct rec_link *l)
{
	const char *prefix = say_netns_prefix(j, j->ev->hdr.netns), *port = j->ev->ifname;

	if (is_blocked(l))
		verdict_evidence(j->v, "%s is a port of the bridge %s, state %s", l->ifname,
				 *l->master_name ? l->master_name : "(unknown)",
				 bridge_state_name(l->port_state));
	else if (l)
		verdict_evidence(j->v, "%s forwards by now: it was on its way there", l->ifname);
	verdict_fix(j->v, "lists only", "%sbridge -details link show dev %s", prefix,
		    *port ? port : "IFACE");
	if (l && (l->port_state == BR_STATE_LISTENING || l->port_state == BR_STATE_LEARNING))
		verdict_fix(j->v, "new ports forward sooner; only where no loop is possible",
			    "wait: a new port listens and learns for twice the forward delay (30 "
			    "s), or "
			    "%sip link set %s type bridge forward_delay 200",
			    prefix, *l->master_name ? l->master_name : "BRIDGE");
	else if (l && l->port_state == BR_STATE_DISABLED)
		verdict_fix(j->v, "somebody, or a cable without signal, had disabled it",
			    "%sip link set %s up; %sbridge link set dev %s state 3", prefix,
			    l->ifname, prefix, l->ifname);
	else
		verdict_fix(j->v, "without a spanning tree, a loop in the network floods it",
			    "the spanning tree found another way: look why that one fails "
			    "(%sbridge "
			    "-details link); switch it off only where no loop is possible: %sip "
			    "link set "
			    "BRIDGE type bridge stp_state 0",
			    prefix, prefix);
}

static bool judge(struct judge *j)
{
	const struct rec_event *e = j->ev;
	const struct rec_link *l = link_of(j);
	bool told = fact_reason_is(e, "BRIDGE_INGRESS_STP_STATE");

	if (!told && (*fact_reason(e) || !is_blocked(l) || !fact_dropped_in(j, e, places)))
		return false;
	if (!is_missed(j, l))
		return false;
	j->v->certainty = told ? CERTAINTY_CERTAIN : CERTAINTY_LIKELY;
	verdict_explain(j->v,
			"The bridge dropped %s, because the port %s, which it came in by, is in a "
			"state in "
			"which it doesn't forward%s%s.",
			say_tuple(&e->pkt.tuple), e->ifname[0] ? e->ifname : "(unknown)",
			is_blocked(l) ? ": " : "",
			is_blocked(l) ? bridge_state_name(l->port_state) : "");
	verdict_evidence(j->v, "%s, %s: %s", say_packet(&e->pkt), say_reason(e), say_stack(j, e));
	tell_state(j, l);
	hit_all(j);
	return true;
}

const struct cause cause_bridge_port_blocked = {
	.id = "bridge-port-blocked",
	.rank = RANK_ROOT,
	.kinds = KIND(DROP),
	.needs = Q_LINK,
	.concerns = concerns,
	.judge = judge,
};
