/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "diagnose/judge.h"
#include "record/record.h"

/* ---- what the causes of BPF programs share --------------------------------------------------- */

static bool is_at_device(const struct rec_bpf_prog *p)
{
	return p->place <= BPF_AT_TC_EGRESS;
}

void fact_programs(const struct judge *j, uint32_t places, struct programs *ret)
{
	const struct rec_event *e = j->ev;

	*ret = (struct programs){0};
	timeline_each(j->tl, REC_BPF_PROG, struct rec_bpf_prog, p) {
		bool known = false;

		if (p->hdr.netns != e->hdr.netns || !(places & 1u << p->place))
			continue;
		if (is_at_device(p) && p->ifindex && e->ifindex && p->ifindex != e->ifindex)
			continue;
		for (unsigned i = 0; i < ret->n && i < PROGRAMS_SHOWN; i++)
			known |= ret->v[i]->id == p->id && ret->v[i]->place == p->place;
		if (known)
			continue;
		if (ret->n < PROGRAMS_SHOWN)
			ret->v[ret->n] = p;
		ret->n++;
	}
}

void tell_programs(struct judge *j, const struct programs *ps)
{
	const char *prefix = say_netns_prefix(j, j->ev->hdr.netns);

	if (ps->n == 1)
		verdict_explain(j->v, "It is the only BPF program there: %s.",
				say_program(ps->v[0]));
	else if (ps->n)
		verdict_explain(j->v, "Which of the %u BPF programs there it was is not known.",
				ps->n);
	else
		verdict_explain(j->v, "Which BPF program it was is not known.");
	for (unsigned i = 0; ps->n > 1 && i < ps->n && i < PROGRAMS_SHOWN; i++)
		verdict_evidence(j->v, "candidate %u of %u: %s", i + 1, ps->n,
				 say_program(ps->v[i]));
	if (ps->n == 1)
		verdict_fix(j->v, "shows the program only", "bpftool prog show id %u",
			    ps->v[0]->id);
	else
		verdict_fix(j->v, "lists only", "%sbpftool net; bpftool cgroup tree", prefix);
	if (ps->n == 1 && ps->v[0]->pid)
		verdict_fix(j->v, "the program decides; firewall rules don't override it",
			    "change the settings of pid %u %s, which filters with it",
			    ps->v[0]->pid, ps->v[0]->comm);
	else
		verdict_fix(j->v, "the program decides; firewall rules don't override it",
			    "change the settings of whatever loaded it (a container network, a "
			    "security "
			    "agent, systemd)");
}

/* ---- the cause ------------------------------------------------------------------------------- */

static bool concerns(const struct rec_event *e)
{
	return fact_reason_is(e, "TC_INGRESS") || fact_reason_is(e, "TC_EGRESS");
}

/* net/core/dev.c sch_handle_ingress, sch_handle_egress. */
static bool judge(struct judge *j)
{
	const struct rec_event *e = j->ev;
	bool in = fact_reason_is(e, "TC_INGRESS");
	unsigned programs = 0;
	struct programs ps;

	if (!concerns(e) || !fact_suffers(j))
		return false;
	fact_programs(j, 1u << (in ? BPF_AT_TC_INGRESS : BPF_AT_TC_EGRESS), &ps);
	for (unsigned i = 0; i < ps.n && i < PROGRAMS_SHOWN; i++)
		programs += ps.v[i]->id != 0;
	/* Then it was a filter of another kind: flower, u32, police. */
	if (!programs)
		return false;
	j->v->certainty =
		e->has_reason == REASON_TOLD && (programs == ps.n || ps.n > PROGRAMS_SHOWN)
			? CERTAINTY_CERTAIN
			: CERTAINTY_LIKELY;
	verdict_explain(j->v,
			"A BPF program of traffic control dropped the packet %s on its way %s %s "
			"of %s, "
			"%s the firewall's rules.",
			say_tuple(&e->pkt.tuple), in ? "in, at" : "out, at",
			e->ifname[0] ? e->ifname : "a device", say_netns(j, e->hdr.netns),
			in ? "before" : "after");
	verdict_evidence(j->v, "%s, %s: %s", say_packet(&e->pkt), say_reason(e), say_stack(j, e));
	tell_programs(j, &ps);
	verdict_evidence(j->v, "traffic control said drop here; its filters that are no BPF "
			       "programs "
			       "(`tc filter show`) can't be told from them");
	hit_all(j);
	return true;
}

const struct cause cause_bpf_tc_drop = {
	.id = "bpf-tc-drop",
	.rank = RANK_ROOT,
	.kinds = KIND(DROP),
	.needs = Q_BPF_PROGS,
	.concerns = concerns,
	.judge = judge,
};
