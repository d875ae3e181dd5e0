/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "diagnose/judge.h"
#include "record/reason.h"
#include "record/record.h"

static bool judge(struct judge *j)
{
	static const char *const reasons[] = {"TCP_CSUM", "UDP_CSUM", "IP_CSUM", "ICMP_CSUM",
					      "SKB_CSUM"};
	const struct rec_event *e = j->ev;
	unsigned n = 0;

	for (size_t i = 0; i < ARRAY_SIZE(reasons); i++)
		n += strcmp(e->reason_name, reasons[i]) == 0;
	if (!n)
		return false;
	n = 0;
	timeline_each_event(j->tl, other) {
		n += other->hdr.kind == REC_DROP && strcmp(other->reason_name, e->reason_name) == 0;
	}
	j->v->certainty = CERTAINTY_CERTAIN;
	verdict_explain(j->v,
			"The packet arrived damaged: %s. The kernel throws such packets away "
			"without an answer; the "
			"sender has to repeat them, and if every one is damaged the connection "
			"hangs.",
			drop_reason(e->reason_name)->words);
	verdict_evidence(j->v, "%s, %s: %s", say_packet(&e->pkt), say_reason(e), say_stack(j, e));
	if (n > 1)
		verdict_evidence(j->v, "%u packets of this connection had a bad checksum", n);
	if (e->ifname[0])
		verdict_evidence(j->v, "it came in through %s", e->ifname);
	hit_all(j);
	verdict_fix(j->v, "costs the sender's CPU some time for each packet",
		    "on the sender: ethtool -K IFACE tx off   (if its driver or a tunnel computes "
		    "checksums wrongly)");
	if (e->ifname[0])
		verdict_fix(j->v, "the kernel then checks by itself what the card said was wrong",
			    "%sethtool -K %s rx off gro off   (if the receiving card errs)",
			    say_netns_prefix(j, e->hdr.netns), e->ifname);
	verdict_fix(j->v, "none",
		    "else look for what changes packets on the way: cable, switch, NAT box, "
		    "tunnel");
	return true;
}

const struct cause cause_checksum = {
	.id = "checksum",
	.rank = RANK_ROOT,
	.kinds = KIND(DROP),
	.judge = judge,
};
