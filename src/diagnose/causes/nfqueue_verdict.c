/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "diagnose/judge.h"
#include "record/record.h"

/* A packet that a rule handed to a program (NFQUEUE, queue), and that didn't come back from there. */

/* net/netfilter/nf_queue.c nf_queue: the packet couldn't be handed over. */
static bool was_not_taken(const struct judge *j)
{
	static const char *const places[] = {"nf_queue", "__nf_queue", NULL};

	return fact_dropped_in(j, j->ev, places);
}

/* net/netfilter/nfnetlink_queue.c nfqnl_reinject; before 6.10 nf_reinject is in nf_queue.c. */
static bool was_thrown_away(const struct judge *j)
{
	return fact_dropped_in(j, j->ev, queue_places);
}

/* A rule, or another hook function, that decided after the packet had come back. */
static bool is_later(const struct judge *j, const struct dropper *d)
{
	const struct rec_symbol *s;

	if (d->from == FROM_TRACE)
		return true;
	/* Only rules hand over. */
	if (d->from == FROM_PROBE && d->maker && d->maker != HOOK_NFTABLES &&
	    d->maker != HOOK_IPTABLES)
		return true;
	if (!(fact_nf(j->ev) & NF_RULE))
		return false;
	s = world_symbol(j->world, j->ev->nf.expr_function);
	return !s || (!symbol_is(s, "nft_queue_eval") && !symbol_is(s, "nft_target_eval_xt"));
}

/* The queues of a process (0: all), in words; how many. */
static unsigned list_queues(struct judge *j, uint32_t pid)
{
	unsigned n = 0;

	timeline_each(j->tl, REC_NFQUEUE, struct rec_nfqueue, q) {
		if (q->hdr.netns != j->ev->hdr.netns || (pid && q->pid != pid))
			continue;
		n++;
		verdict_evidence(j->v,
				 "queue %u: pid %u %s listens, %u packets wait, %u were dropped as "
				 "it "
				 "was full, %u as the program's socket was full",
				 q->queue, q->pid, q->comm, q->waiting, q->dropped,
				 q->user_dropped);
	}
	return n;
}

static void tell_verdict(struct judge *j)
{
	const struct rec_event *e = j->ev;

	if (fact_stack(j, "nfqnl_recv_verdict") || fact_stack(j, "nfqnl_recv_verdict_batch")) {
		verdict_explain(j->v,
				"A rule handed it to a program, which said drop: %s. No rule shows "
				"why; the "
				"program decides.",
				e->task.pid ? say_task(e) : "which one is not known");
		verdict_evidence(j->v, "the drop happened in the program's own call that gave its "
				       "verdict");
	} else {
		verdict_explain(j->v, "A rule had handed it to a program, which went away, or its "
				      "queue "
				      "was emptied, before it gave a verdict.");
	}
	list_queues(j, e->task.pid);
	verdict_fix(j->v, "the program decides; other rules don't override it",
		    "look into the settings and the log of %s",
		    e->task.pid ? say_task(e) : "the program behind the queue");
}

static bool hands_over(const struct rec_rule *r)
{
	return strcasestr(r->text, "queue");
}

/* The queue in a rule's text: "queue num 7", "queue flags bypass to 7", "--queue-num 7". */
static void queue_of_rule(const struct rec_rule *r, char *ret, size_t size)
{
	const char *at = strcasestr(r->text, "queue");

	at = at ? at + strcspn(at, "0123456789") : "";
	snprintf(ret, size, "%.*s", (int)strspn(at, "0123456789-"), at);
}

/* The rule that hands over, if there is but one here; NULL: not known. */
static const struct rec_rule *queue_rule(const struct rules *r)
{
	const struct rec_rule *found = NULL;

	if (r->n > RULES_SHOWN)
		return NULL;
	for (unsigned i = 0; i < r->n; i++) {
		if (!hands_over(r->v[i]))
			continue;
		if (found)
			return NULL;
		found = r->v[i];
	}
	return found;
}

/*
 * The packet may have come back, and a later hook of the same point have dropped it. That point isn't
 * known without the probes: is there anything but rules that hand over?
 */
static bool may_be_later_hook(const struct judge *j, const struct dropper *d)
{
	bool tables = false;
	struct rules rules;

	if (d->from != FROM_PROBE &&
	    (!fact_answered(j, Q_HOOKS, NULL) || !fact_answered(j, Q_DROP_RULES, NULL)))
		return true;
	for (unsigned i = 0; i < d->n_suspects; i++) {
		uint8_t maker = d->suspects[i]->maker;

		tables |= maker == HOOK_NFTABLES || maker == HOOK_IPTABLES;
		if (maker != HOOK_NFTABLES && maker != HOOK_IPTABLES)
			return true;
	}
	fact_rules(j, d, false, &rules);
	for (unsigned i = 0; i < rules.n && i < RULES_SHOWN; i++)
		if (!hands_over(rules.v[i]))
			return true;
	return tables && (!rules.n || rules.n > RULES_SHOWN);
}

/* Is there a queue of that number? */
static bool queue_is_known(const struct judge *j, const char *number)
{
	timeline_each(j->tl, REC_NFQUEUE, struct rec_nfqueue, q) {
		char known[16];

		snprintf(known, sizeof(known), "%u", q->queue);
		if (q->hdr.netns == j->ev->hdr.netns && strcmp(known, number) == 0)
			return true;
	}
	return false;
}

static void tell_queue(struct judge *j, const struct dropper *d)
{
	const char *prefix = say_netns_prefix(j, j->ev->hdr.netns);
	const struct rec_rule *rule;
	char queue[16] = "";
	struct rules rules;
	unsigned n;

	fact_rules(j, d, false, &rules);
	rule = queue_rule(&rules);
	if (rule)
		queue_of_rule(rule, queue, sizeof(queue));
	verdict_explain(j->v, "A rule was to hand it to a program (NFQUEUE%s%s), and that failed.",
			*queue ? ", queue " : "", queue);
	if (rule)
		verdict_evidence(j->v, "the rule%s: %s",
				 rules.exact ? "" : ", the only one here that hands packets over",
				 say_rule(rule));
	n = list_queues(j, 0);
	if (!n && fact_answered(j, Q_NFQUEUES, NULL))
		verdict_explain(j->v, "No program listens at any queue of %s.",
				say_netns(j, j->ev->hdr.netns));
	else if (queue_is_known(j, queue))
		verdict_explain(j->v, "A program listens there, but the queue was full: it is too "
				      "slow, or "
				      "stuck.");
	else if (*queue && fact_answered(j, Q_NFQUEUES, NULL))
		verdict_explain(j->v, "No program listens at that queue.");
	else
		verdict_explain(j->v, "No program listens there, or the queue is full.");
	verdict_fix(j->v, "its packets get a verdict again",
		    "start the program that should listen; %scat "
		    "/proc/net/netfilter/nfnetlink_queue shows the queues",
		    prefix);
	verdict_fix(j->v, "without the program, packets pass unchecked",
		    "let the rule say `bypass` (nft: queue flags bypass to N; iptables: -j NFQUEUE "
		    "--queue-bypass)");
}

static bool judge(struct judge *j)
{
	bool verdict = was_thrown_away(j), taken = !was_not_taken(j);
	struct dropper d;

	if ((!verdict && taken) || !judge_netfilter(j, &d) || (verdict && is_later(j, &d)))
		return false;
	j->v->certainty = CERTAINTY_CERTAIN;
	if (verdict && may_be_later_hook(j, &d))
		j->v->certainty = CERTAINTY_LIKELY;
	tell_netfilter(j, &d);
	if (verdict)
		tell_verdict(j);
	else
		tell_queue(j, &d);
	if (j->v->certainty == CERTAINTY_LIKELY)
		verdict_evidence(j->v, "if the program let it pass, a hook function behind it "
				       "dropped it");
	evidence_packet(j, &d.at);
	return true;
}

const struct cause cause_nfqueue_verdict = {
	.id = "nfqueue-verdict",
	.rank = RANK_ROOT,
	.kinds = KIND(DROP),
	.needs = Q_NFQUEUES | Q_RULE | Q_DROP_RULES | Q_HOOKS,
	.concerns = may_be_netfilter_drop,
	.judge = judge,
};
