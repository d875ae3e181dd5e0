/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "diagnose/judge.h"
#include "record/record.h"

static bool concerns(const struct rec_event *e)
{
	return !*fact_reason(e) || fact_reason_is(e, "XDP");
}

/*
 * net/core/dev.c do_xdp_generic, drivers/net/veth.c veth_xdp_rcv_skb: only an XDP program decides there.
 * What a driver drops before there is a packet (native XDP on hardware) nobody reports.
 */
static bool judge(struct judge *j)
{
	const struct rec_event *e = j->ev;
	struct programs ps;

	if (!concerns(e) || !fact_suffers(j) ||
	    (!fact_reason_is(e, "XDP") && !world_in_xdp(j->world, e)))
		return false;
	fact_programs(j, 1u << BPF_AT_XDP, &ps);
	j->v->certainty = CERTAINTY_CERTAIN;
	/* Gone by now, or the kernel had no memory for the program's view of the packet. */
	if (!ps.n && fact_answered(j, Q_BPF_PROGS, NULL))
		j->v->certainty = CERTAINTY_LIKELY;
	verdict_explain(j->v,
			"An XDP program, which sees packets before anything else does, dropped %s "
			"at %s of "
			"%s. tcpdump and the firewall's rules don't see it.",
			say_tuple(&e->pkt.tuple), e->ifname[0] ? e->ifname : "a device",
			say_netns(j, e->hdr.netns));
	tell_programs(j, &ps);
	verdict_evidence(j->v, "%s, %s, dropped in the XDP stage: %s", say_packet(&e->pkt),
			 say_reason(e), say_stack(j, e));
	hit_all(j);
	verdict_fix(j->v, "lists only", "%sip -details link show dev %s",
		    say_netns_prefix(j, e->hdr.netns), e->ifname[0] ? e->ifname : "IFACE");
	return true;
}

const struct cause cause_bpf_xdp_drop = {
	.id = "bpf-xdp-drop",
	.rank = RANK_ROOT,
	.kinds = KIND(DROP),
	.needs = Q_BPF_PROGS,
	.concerns = concerns,
	.judge = judge,
};
