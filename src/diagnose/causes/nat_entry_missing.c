/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "diagnose/judge.h"
#include "record/record.h"

#include <linux/netfilter/nf_conntrack_tcp.h>

static const char *const sysctls[] = {"net.netfilter.nf_conntrack_tcp_loose",
				      "net.netfilter.nf_conntrack_tcp_timeout_established", NULL};

static bool concerns(const struct rec_event *e)
{
	return e->pkt.tuple.proto == IPPROTO_TCP && !packet_is_syn(&e->pkt) &&
	       !(e->sock.flags & SOCK_PRESENT);
}

/*
 * A socket elsewhere that this packet would have reached with its NAT: its peer is the packet's
 * sender, and it is not the packet's own destination. Its address differs, since that is what the
 * NAT hid.
 */
static const struct rec_sock_info *socket_behind(const struct judge *j)
{
	const struct rec_tuple *t = &j->ev->pkt.tuple;

	timeline_each(j->tl, REC_SOCK, struct rec_sock_info, s) {
		if (s->match != SOCK_MATCH_PORTS || s->state == TCP_LISTEN ||
		    s->state == TCP_CLOSE || s->state == TCP_TIME_WAIT)
			continue;
		if (addr_equal(s->tuple.dst, t->src) && s->tuple.dport == t->sport)
			return s;
	}
	return NULL;
}

/*
 * Has conntrack no entry that translates this tuple? Tells whether it picked the connection up
 * anew, untranslated.
 */
static bool entry_is_missing(const struct judge *j, bool *ret_picked_up)
{
	const struct rec_packet *p = &j->ev->pkt;
	const struct rec_ct *ct = fact_ct(j, &p->tuple, j->ev->hdr.netns);
	struct rec_tuple back = tuple_reverse(&p->ct_reply);

	*ret_picked_up = p->has & PKT_CT && tuple_equal(&p->ct_orig, &p->tuple) &&
			 tuple_equal(&p->ct_orig, &back);
	if (p->has & PKT_CT && !*ret_picked_up)
		return false;
	if (!ct)
		return false;
	return !ct->found || !ct_is_nat(ct);
}

/*
 * A rule exempts the packet from tracking, so its NAT, of which there is an entry, can't be undone.
 */
static bool judge_notrack(struct judge *j)
{
	const struct rec_tuple *t = &j->ev->pkt.tuple;
	const struct rec_ct *ct = fact_ct(j, t, j->ev->hdr.netns);

	if (j->ev->pkt.ctinfo != CTINFO_UNTRACKED || !ct || !ct->found || !ct_is_nat(ct))
		return false;
	j->v->certainty = CERTAINTY_CERTAIN;
	verdict_explain(j->v,
			"This packet belongs to a translated connection, but a NOTRACK rule "
			"exempts it from "
			"connection tracking, so its NAT was not applied. With the address %s it "
			"found no "
			"socket on this host, which answered with a reset.",
			say_dst(t));
	verdict_evidence(j->v, "%s: no socket, and the packet is marked as untracked",
			 say_stack(j, j->ev));
	verdict_evidence(j->v, "conntrack holds %s, its reply direction is %s",
			 say_tuple(&ct->orig), say_tuple(&ct->reply));
	hit_all(j);
	verdict_fix(j->v, "the connections that it matched are tracked again",
		    "narrow or remove the rule: %snft list ruleset | grep notrack; %siptables -t "
		    "raw -S",
		    say_netns_prefix(j, j->ev->hdr.netns), say_netns_prefix(j, j->ev->hdr.netns));
	return true;
}

/* The entry that translated this packet's connection, if it was seen to end; NULL: not seen. */
static const struct rec_ct_end *entry_that_ended(const struct judge *j)
{
	const struct rec_ct_end *end = fact_entry_end(j);
	struct rec_tuple back;

	if (!end)
		return NULL;
	back = tuple_reverse(&end->reply);
	return tuple_equal(&end->orig, &back) ? NULL : end;
}

static void explain(struct judge *j, const struct rec_ct_end *end)
{
	const struct rec_tuple *t = &j->ev->pkt.tuple;

	verdict_explain(j->v,
			"This packet belongs to a connection that was translated (NAT), but "
			"conntrack has lost its entry (%s).",
			end ? say_ender(j, end) : "expired, flushed or deleted");
	verdict_explain(j->v,
			"With the address %s it found no socket on this host, which answered with "
			"a reset. The end behind the NAT%s%s%s is not told.",
			say_dst(t), end ? " (" : "",
			!end			      ? ""
			: tuple_equal(&end->reply, t) ? say_src(&end->orig)
						      : say_src(&end->reply),
			end ? ")" : "");
}

static void evidence_entry(struct judge *j, const struct rec_ct_end *end, bool picked_up)
{
	const struct rec_packet *p = &j->ev->pkt;

	if (picked_up)
		verdict_evidence(j->v,
				 "conntrack took the packet for a new connection, without NAT: "
				 "%s%s",
				 say_tuple(&p->ct_orig), say_zone(p->ct_zone));
	else
		verdict_evidence(j->v, "conntrack has no entry for %s", say_tuple(&p->tuple));
	if (end)
		verdict_evidence(j->v, "its entry was %s, its reply direction %s%s, state %s: %s",
				 say_tuple(&end->orig), say_tuple(&end->reply), say_zone(end->zone),
				 ct_tcp_state_name(end->tcp_state), say_entry_end(j, end));
}

static void fix_idle(struct judge *j)
{
	int64_t timeout = 0;

	if (fact_sysctl(j, sysctls[1], &timeout) && timeout < 432000)
		verdict_fix(j->v,
			    "idle connections keep their entry for five days, the kernel's "
			    "default; the table grows",
			    "%ssysctl -w net.netfilter.nf_conntrack_tcp_timeout_established=432000 "
			    "  (now %d s)",
			    say_netns_prefix(j, j->ev->hdr.netns), (int)timeout);
	verdict_fix(j->v, "keeps the entry alive; a little traffic on idle connections",
		    "let the application send TCP keepalives more often than that time-out");
}

static void fix(struct judge *j, const struct rec_ct_end *end)
{
	enum entry_end how = end ? entry_end(j, end) : ENTRY_BY_KERNEL;

	if (how == ENTRY_MASQUERADE)
		verdict_fix(j->v, "the entries stay as long as device and address do",
			    "do not take down the outer interface, or remove its address, while "
			    "connections go through it");
	if (how == ENTRY_EVICTED)
		verdict_fix(j->v, "none",
			    "make the table larger, or find who fills it: tcpwhy "
			    "explain conntrack-table-full");
	if (!end || how == ENTRY_DELETED || how == ENTRY_FLUSHED)
		verdict_fix(j->v, "nothing else touches the entries of connections that are in use",
			    "do not flush or delete conntrack entries of live connections "
			    "(conntrack -F, conntrack -D)");
	if (!end || how == ENTRY_EXPIRED)
		fix_idle(j);
}

/*
 * With the entry's end seen it only remains that the packet would have met nobody behind the NAT either. (And
 * the lookup that finds no entry is made in zone 0.)
 */
static bool is_certain(const struct rec_ct_end *end, const struct rec_sock_info *behind)
{
	return end && !end->zone && (behind || end->tcp_state <= TCP_CONNTRACK_ESTABLISHED);
}

static bool judge(struct judge *j)
{
	const struct rec_ct_end *end;
	const struct rec_sock_info *s;
	int64_t loose = -1;
	bool picked_up;

	if (!reset_without_socket(j) || !concerns(j->ev))
		return false;
	if (j->ev->pkt.ctinfo == CTINFO_UNTRACKED)
		return judge_notrack(j);
	s = socket_behind(j);
	if (s && s->hdr.netns == j->ev->hdr.netns)
		s = NULL;
	end = entry_that_ended(j);
	if ((!s && !end) || !entry_is_missing(j, &picked_up))
		return false;
	j->v->certainty = is_certain(end, s) ? CERTAINTY_CERTAIN : CERTAINTY_LIKELY;
	explain(j, end);
	verdict_evidence(j->v, "%s: no socket", say_stack(j, j->ev));
	evidence_entry(j, end, picked_up);
	if (s)
		verdict_evidence(j->v,
				 "a live socket with the same peer and port sits behind this host: "
				 "%s, %s, %s, %s",
				 say_owner(j, s), say_netns(j, s->hdr.netns), say_tuple(&s->tuple),
				 tcp_state_name(s->state));
	if (fact_sysctl(j, sysctls[0], &loose))
		verdict_evidence(j->v, "nf_conntrack_tcp_loose is %d: %s", (int)loose,
				 loose ? "an unknown connection is picked up, but without its NAT"
				       : "packets of an unknown connection are INVALID");
	if (s)
		verdict_hit(j->v, "%s (%s): %s, %s", say_owner(j, s), say_netns(j, s->hdr.netns),
			    say_tuple(&s->tuple), tcp_state_name(s->state));
	hit_all(j);
	fix(j, end);
	return true;
}

const struct cause cause_nat_entry_missing = {
	.id = "nat-entry-missing",
	.rank = RANK_ROOT,
	.kinds = KIND(RST_SENT) | KIND(DROP),
	.needs = Q_CONNTRACK | Q_SOCKETS_BY_PORT,
	.sysctls = sysctls,
	.concerns = concerns,
	.judge = judge,
};
