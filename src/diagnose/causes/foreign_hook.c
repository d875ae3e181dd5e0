/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "diagnose/judge.h"
#include "record/record.h"

/* A hook function that is neither the kernel's own nor runs rules of nftables or iptables. */

static void tell_program(struct judge *j, const struct dropper *d)
{
	const struct rec_hook *h = d->hook;

	if (!h) {
		verdict_explain(j->v, "A BPF program at this hook did it, no rule; which program "
				      "is not "
				      "known.");
		return;
	}
	verdict_explain(j->v, "A BPF program did it, no rule: %s (id %u).",
			*h->prog_name ? h->prog_name : "without a name", h->prog_id);
	if (h->prog_pid)
		verdict_explain(j->v, "Process %u (%s) holds it.", h->prog_pid, h->prog_comm);
}

static void tell_module(struct judge *j, const struct dropper *d)
{
	verdict_explain(j->v,
			"The function %s of the kernel module %s did it, no rule: that module does "
			"not "
			"belong to the kernel.",
			*d->function ? d->function : "(without a name)",
			d->hook && *d->hook->module ? d->hook->module : "(unknown)");
}

static void fixes(struct judge *j, const struct dropper *d)
{
	const struct rec_hook *h = d->hook;

	if (d->maker == HOOK_BPF) {
		verdict_fix(j->v, "shows the program and its link only",
			    h ? "bpftool prog show id %u; bpftool link show" : "bpftool link show",
			    h ? h->prog_id : 0);
		verdict_fix(j->v, "no rule overrides it: an accept elsewhere doesn't help",
			    h && h->prog_pid ? "change the settings of %s (pid %u), which filters "
					       "with it"
					     : "change the settings of whatever loaded it",
			    h ? h->prog_comm : "", h ? h->prog_pid : 0);
		return;
	}
	verdict_fix(j->v, "shows whose module it is only", "modinfo %s",
		    h && *h->module ? h->module : "MODULE");
	verdict_fix(j->v,
		    "no rule overrides it: an accept elsewhere doesn't help; without the module "
		    "nothing of what it guards is guarded",
		    "change the settings of the product that %s belongs to, or let it unload the "
		    "module",
		    h && *h->module ? h->module : "it");
}

static bool judge(struct judge *j)
{
	struct dropper d;

	if (!judge_netfilter(j, &d) || (d.maker != HOOK_FOREIGN && d.maker != HOOK_BPF))
		return false;
	j->v->certainty = d.certainty;
	tell_netfilter(j, &d);
	if (d.maker == HOOK_BPF)
		tell_program(j, &d);
	else
		tell_module(j, &d);
	evidence_netfilter(j, &d);
	fixes(j, &d);
	return true;
}

const struct cause cause_foreign_hook = {
	.id = "foreign-hook",
	.rank = RANK_ROOT,
	.kinds = KIND(DROP),
	.needs = Q_DROP_RULES | Q_HOOKS,
	.concerns = may_be_netfilter_drop,
	.judge = judge,
};
