/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "diagnose/judge.h"
#include "record/record.h"

/*
 * A rule made with iptables: in nftables (iptables-nft), where the very rule may be known, or in the
 * older tables (iptables-legacy), where only counters tell rules apart.
 */
static bool judge(struct judge *j)
{
	struct dropper d;
	struct rules rules;

	if (!judge_netfilter(j, &d) || (d.maker != HOOK_NFTABLES && d.maker != HOOK_IPTABLES))
		return false;
	fact_rules(j, &d, false, &rules);
	if (d.maker == HOOK_NFTABLES && !rules_of_iptables(&rules))
		return false;
	j->v->certainty = d.certainty;
	tell_netfilter(j, &d);
	tell_rules(j, &d, &rules);
	if (d.maker == HOOK_NFTABLES)
		verdict_evidence(j->v, "iptables keeps its rules in nftables here (iptables-nft)");
	else
		verdict_evidence(j->v, "it is a rule of the older tables (iptables-legacy): `nft "
				       "list "
				       "ruleset` doesn't show it");
	evidence_netfilter(j, &d);
	return true;
}

const struct cause cause_iptables_rule = {
	.id = "iptables-rule",
	.rank = RANK_ROOT,
	.kinds = KIND(DROP),
	.needs = Q_RULE | Q_DROP_RULES | Q_HOOKS,
	.concerns = may_be_netfilter_drop,
	.judge = judge,
};
