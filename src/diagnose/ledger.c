/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "diagnose/ledger.h"

#include "diagnose/judge.h"
#include "record/reason.h"
#include "record/record.h"

/* A SYN is sent again after 200 ms at least (TCP_RTO_MIN), but for one case: what is nearer is about the same one. */
#define SAME_NS (50 * NSEC_PER_MSEC)

void ledger_free(struct ledger *l)
{
	for (size_t i = 0; i < l->syns.n; i++)
		free(l->syns.v[i].by);
	for (size_t i = 0; i < l->answers.n; i++) {
		free(l->answers.v[i].what);
		free(l->answers.v[i].why);
	}
	vec_free(&l->syns);
	vec_free(&l->answers);
	*l = (struct ledger){0};
}

const char *syn_fate_name(unsigned fate)
{
	static const char *const names[] = {[SYN_NOT_SEEN] = "not-seen",
					    [SYN_LEFT] = "left",
					    [SYN_DROPPED] = "dropped",
					    [SYN_REJECTED] = "rejected",
					    [SYN_NOT_SENT] = "not-sent"};

	return fate < ARRAY_SIZE(names) ? names[fate] : "";
}

/* ---- which connect() ------------------------------------------------------------------------- */

/* How well an event tells of a connect() on this host; 0: not at all. */
static unsigned tells_of_connect(const struct rec_event *e)
{
	bool ours = e->sock.flags & SOCK_PRESENT && e->sock.state == TCP_SYN_SENT;

	switch (e->hdr.kind) {
	case REC_STATE:
		return e->old_state != TCP_SYN_SENT ? 0 : e->new_state == TCP_CLOSE ? 4 : 1;
	case REC_CONNECT:
		return 3;
	case REC_SYN_RETRANS:
		return 1;
	case REC_SOCK_ERR:
	case REC_RST_RECV:
		return ours ? 2 : 0;
	case REC_DROP:
	case REC_REJECT:
		return ours && packet_is_syn(&e->pkt) && !e->iif ? 1 : 0;
	default:
		return 0;
	}
}

static bool is_connected(uint8_t state)
{
	return state != TCP_SYN_SENT && state != TCP_CLOSE && state != TCP_LISTEN;
}

/* Was a connect() that had trouble established after all? Then what failed later is another story. */
static bool got_through(const struct timeline *tl, const struct rec_event *of)
{
	timeline_each_event(tl, e) {
		bool segment = e->pkt.has & PKT_L4 && !e->pkt.icmp_type &&
			       !(e->pkt.tcp_flags & (TCPHDR_SYN | TCPHDR_RST));

		if (e->hdr.mono_ns < of->hdr.mono_ns)
			continue;
		if (segment && tuple_equal(&e->pkt.tuple, &of->sock.tuple))
			return true;
		if (e->sock.flags & SOCK_PRESENT && is_connected(e->sock.state) &&
		    tuple_equal(&e->sock.tuple, &of->sock.tuple))
			return true;
	}
	timeline_each(tl, REC_SOCK, struct rec_sock_info, s) {
		if (s->match == SOCK_MATCH_EXACT && is_connected(s->state) &&
		    tuple_equal(&s->tuple, &of->sock.tuple))
			return true;
	}
	return false;
}

static const struct rec_event *find_connect(const struct timeline *tl)
{
	const struct rec_event *best = NULL;

	timeline_each_event(tl, e) {
		unsigned tells = tells_of_connect(e);

		if (tells && (!best || tells >= tells_of_connect(best)))
			best = e;
	}
	return best;
}

/*
 * Nothing but a lookup told of its socket: it was seen, connecting, while its packets were lost elsewhere
 * on this host.
 */
static bool find_socket(const struct timeline *tl, struct rec_event *ret)
{
	*ret = (struct rec_event){0};
	timeline_each(tl, REC_SOCK, struct rec_sock_info, s) {
		if (s->state != TCP_SYN_SENT || s->match == SOCK_MATCH_OWNER)
			continue;
		ret->hdr.netns = s->hdr.netns;
		ret->hdr.mono_ns = tl->last_ns;
		ret->sock.tuple = s->tuple;
		ret->sock.state = s->state;
	}
	return ret->sock.state;
}

/* What the kernel side remembers of it, at its latest. */
static const struct rec_memory *find_memory(const struct timeline *tl, const struct rec_event *of)
{
	const struct rec_memory *m = &of->mem;

	timeline_each_event(tl, e) {
		if (e->sock.addr == of->sock.addr && e->hdr.mono_ns <= of->hdr.mono_ns &&
		    (e->mem.syn_count > m->syn_count ||
		     (!m->connect.nat_ns && e->mem.connect.nat_ns) ||
		     (!m->connect.began_ns && e->mem.connect.began_ns)))
			m = &e->mem;
	}
	return m;
}

static bool is_end(const struct rec_event *e)
{
	return (e->hdr.kind == REC_STATE && e->new_state == TCP_CLOSE) ||
	       e->hdr.kind == REC_CONNECT;
}

static void fill_end(const struct timeline *tl, const struct rec_event *of, struct ledger *l)
{
	l->over = is_end(of);
	l->end_wall_ns = l->over ? of->hdr.wall_ns : 0;
	l->err = of->sock.err ? of->sock.err : of->err;
	timeline_each_event(tl, e) {
		if (e->hdr.kind == REC_CONNECT && e->sock.addr == of->sock.addr)
			l->err = e->err;
	}
	l->given_up = l->over && !l->err;
}

static void fill_process(const struct judge *j, const struct rec_connect *c, struct ledger *l)
{
	const struct rec_netns *n = world_netns(j->world, j->ev->hdr.netns);

	l->pid = c->pid ? c->pid : j->ev->task.pid;
	str_copy(l->comm, sizeof(l->comm), c->pid ? c->comm : j->ev->task.comm);
	timeline_each(j->tl, REC_SOCK, struct rec_sock_info, s) {
		if (s->match != SOCK_MATCH_OWNER && !tuple_equal(&s->tuple, &l->flow))
			continue;
		if (!l->pid) {
			l->pid = s->pid;
			str_copy(l->comm, sizeof(l->comm), s->comm);
		}
		if (l->pid && s->pid == l->pid)
			str_copy(l->container, sizeof(l->container), s->container);
	}
	if (!*l->container && n)
		str_copy(l->container, sizeof(l->container), n->container);
}

static void fill_translated(const struct judge *j, const struct rec_memory *m, struct ledger *l)
{
	/* A connect() that has failed at once: its socket has no address any more. */
	if (addr_is_any(l->flow.src))
		return;
	if (m->syn_count && !tuple_equal(&m->syn_tuple, &l->flow))
		l->translated = m->syn_tuple;
	if (m->connect.nat_ns) /* another namespace did it, or did it again */
		l->translated = m->connect.nat_tuple;
	if (!addr_is_any(l->translated.dst))
		return;
	timeline_each_event(j->tl, e) {
		struct rec_tuple out = tuple_reverse(&e->pkt.ct_reply);

		if (e->pkt.has & PKT_CT && tuple_equal(&e->pkt.ct_orig, &l->flow) &&
		    !tuple_equal(&out, &l->flow))
			l->translated = out;
	}
	timeline_each(j->tl, REC_CT, struct rec_ct, ct) {
		if (ct->found && ct_is_nat(ct) && tuple_equal(&ct->orig, &l->flow))
			l->translated = tuple_reverse(&ct->reply);
	}
}

/* ---- its SYNs; after_ns is CLOCK_MONOTONIC until all are there ---------------------------------- */

/*
 * The one that something at `ns` is about: the last one sent by then, or just after (what drops a SYN tells of
 * it first), if that is near. NULL: none.
 */
static struct ledger_syn *syn_near(struct ledger *l, uint64_t ns)
{
	struct ledger_syn *near = NULL;

	for (size_t i = 0; i < l->syns.n; i++) {
		struct ledger_syn *s = &l->syns.v[i];

		if (s->after_ns < ns + SAME_NS && ns < s->after_ns + SAME_NS &&
		    (!near || s->after_ns <= ns))
			near = s;
	}
	return near;
}

static struct ledger_syn *syn_add(struct ledger *l, uint64_t ns, enum syn_fate fate)
{
	struct ledger_syn *s = vec_push(&l->syns), own = {.after_ns = ns, .fate = fate};
	size_t i;

	if (!s)
		return NULL;
	for (i = l->syns.n - 1; i && l->syns.v[i - 1].after_ns > ns; i--)
		l->syns.v[i] = l->syns.v[i - 1];
	l->syns.v[i] = own;
	return &l->syns.v[i];
}

static void add_left(const struct rec_memory *m, struct ledger *l)
{
	for (unsigned i = 0; i < m->connect.nr_syn && i < REC_SYNS_MAX; i++) {
		struct ledger_syn *s = syn_add(l, m->connect.syn_ns[i], SYN_LEFT);

		if (!s)
			return;
		s->data = m->connect.syn_data & 1u << i;
		str_copy(s->ifname, sizeof(s->ifname), m->syn_ifname);
	}
}

/* Those that the kernel counted as sent, though none of them need have reached a device. */
static void add_sent(const struct judge *j, const struct rec_memory *m, struct ledger *l)
{
	const struct rec_event *of = j->ev;
	uint64_t began = m->connect.began_ns;

	timeline_each_event(j->tl, e) {
		struct ledger_syn *s;

		if (e->hdr.kind != REC_SYN_RETRANS || e->sock.addr != of->sock.addr ||
		    e->hdr.mono_ns < began || syn_near(l, e->hdr.mono_ns))
			continue;
		if (m->syn_count > REC_SYNS_MAX) /* it left, but its time was not kept */
			continue;
		s = syn_add(l, e->hdr.mono_ns, e->err ? SYN_NOT_SENT : SYN_NOT_SEEN);
		if (s && e->err)
			s->by = strdup(e->err == EBUSY ? "EBUSY, the one before still waits in a "
							 "queue of this host"
						       : errno_name(e->err));
	}
	/* Only the caller was told of an error, not the socket: it ended before a SYN. */
	if (l->err && !of->sock.err)
		return;
	if (began && l->syns.n < of->sock.retransmits + 1u && !syn_near(l, began))
		syn_add(l, began, SYN_NOT_SEEN);
}

static const char *function_name(const struct judge *j, const struct rec_event *e)
{
	const struct rec_symbol *s = world_symbol(j->world, e->location);

	return s ? s->name : "";
}

/* "here: NETFILTER_DROP, nftables rule handle 3 of chain output in table inet filter: drop". */
static char *say_drop(const struct judge *j, const struct rec_event *e)
{
	struct judge of_drop = {.tl = j->tl, .world = j->world, .ev = e};
	bool reject = e->hdr.kind == REC_REJECT;
	_cleanup_strbuf_ struct strbuf text = {0};
	const char *name = function_name(j, e);
	struct rules rules = {0};
	struct dropper d = {0};

	if (e->hdr.netns != j->ev->hdr.netns)
		strbuf_addf(&text, "in %s: ", say_netns(j, e->hdr.netns));
	else
		strbuf_add(&text, "here: ");
	if (reject)
		strbuf_add(&text, reject_name(e->reason));
	else if (e->hdr.kind == REC_HANDSHAKE)
		strbuf_add(&text, handshake_step_name(e->step));
	else
		strbuf_add(&text, *fact_reason(e) ? e->reason_name : "no reason told");
	if (!reject && !fact_netfilter_drop(&of_drop, e)) {
		if (*name)
			strbuf_addf(&text, ", %s()", name);
		return strdup(text.s ? text.s : "");
	}
	fact_dropper(&of_drop, e, &d);
	if (d.maker == HOOK_NFTABLES || d.maker == HOOK_IPTABLES || !d.maker || reject)
		fact_rules(&of_drop, &d, reject, &rules);
	if (rules.n == 1)
		strbuf_addf(&text, ", %s%s", rules.exact || rules.moved ? "" : "probably ",
			    say_rule(rules.v[0]));
	else if (d.hook)
		strbuf_addf(&text, ", %s", say_hook(&of_drop, d.hook));
	else if (d.at.hook)
		strbuf_addf(&text, " at %s%s%s", d.at.hook, d.maker || d.at.nftables ? " by " : "",
			    d.at.nftables ? "nftables"
			    : d.maker	  ? hook_maker_name(d.maker)
					  : "");
	return strdup(text.s ? text.s : "");
}

/*
 * Was it sent so long before that only its order tells which it was: neighbour resolution, a queue? They
 * keep the order.
 */
static struct ledger_syn *first_without_fate(struct ledger *l, uint64_t ns)
{
	for (size_t i = 0; i < l->syns.n && l->syns.v[i].after_ns <= ns; i++)
		if (l->syns.v[i].fate == SYN_NOT_SEEN || l->syns.v[i].fate == SYN_LEFT)
			return &l->syns.v[i];
	return NULL;
}

/* A repeated SYN finds its half-open connection, is answered again, and freed without a reason: tcp_check_req. */
static bool is_taken_in(const struct judge *j, const struct rec_event *e)
{
	const char *name = function_name(j, e);

	return e->hdr.kind == REC_DROP && !*fact_reason(e) &&
	       track_weight(e, j->world) == WEIGHT_NONE &&
	       (strcmp(name, "tcp_v4_rcv") == 0 || strcmp(name, "tcp_v6_rcv") == 0);
}

static bool loses_syn(const struct judge *j, const struct rec_event *e)
{
	if (!packet_is_syn(&e->pkt) || is_taken_in(j, e))
		return false;
	return e->hdr.kind == REC_DROP || e->hdr.kind == REC_REJECT ||
	       (e->hdr.kind == REC_HANDSHAKE && STEP_IS_REFUSAL(e->step));
}

static void add_losses(const struct judge *j, const struct rec_memory *m, struct ledger *l)
{
	timeline_each_event(j->tl, e) {
		struct ledger_syn *s;

		if (!loses_syn(j, e) || e->hdr.mono_ns < m->connect.began_ns)
			continue;
		s = syn_near(l, e->hdr.mono_ns);
		/* What could not be sent is not what is dropped, if an earlier one still waits. */
		if (s && s->fate == SYN_NOT_SENT && l->syns.v[0].fate == SYN_NOT_SEEN)
			s = &l->syns.v[0];
		s = s ? s : first_without_fate(l, e->hdr.mono_ns);
		s = s ? s : syn_add(l, e->hdr.mono_ns, SYN_DROPPED);
		if (!s || (s->by && s->fate != SYN_NOT_SENT && e->hdr.kind != REC_REJECT))
			continue;
		free(s->by);
		s->by = say_drop(j, e);
		s->fate = e->hdr.kind == REC_REJECT ? SYN_REJECTED : SYN_DROPPED;
		s->data |= e->pkt.payload > 0;
	}
}

/* ---- what came back -------------------------------------------------------------------------- */

static void answer_add(const struct rec_event *e, char *what, const char *taken, char *why,
		       struct ledger *l)
{
	struct ledger_answer *a;

	/* One packet is seen at several places. */
	for (size_t i = 0; what && i < l->answers.n; i++) {
		a = &l->answers.v[i];
		if (strcmp(a->what, what) || e->hdr.mono_ns > a->after_ns + SAME_NS)
			continue;
		if (!a->why) {
			a->why = why;
			why = NULL;
		}
		free(what);
		free(why);
		return;
	}
	a = what ? vec_push(&l->answers) : NULL;
	if (!a) {
		free(what);
		free(why);
		return;
	}
	*a = (struct ledger_answer){
		.after_ns = e->hdr.mono_ns, .what = what, .taken = taken, .why = why};
}

static char *join(const char *a, const char *b)
{
	_cleanup_strbuf_ struct strbuf text = {0};

	strbuf_addf(&text, "%s%s", a, b);
	return strdup(text.s ? text.s : "");
}

/*
 * An ICMP error ends a connect() at once, unless its socket is locked at that moment: then it is left out
 * (tcp_v4_err(), TcpExtLockDroppedIcmps). Mostly it is where the answer comes before connect() lets it go.
 */
static void add_icmp(const struct judge *j, const struct rec_event *e, struct ledger *l)
{
	bool ends = l->over && l->err && l->err != ETIMEDOUT &&
		    j->ev->hdr.mono_ns < e->hdr.mono_ns + SAME_NS;
	_cleanup_strbuf_ struct strbuf what = {0};

	strbuf_addf(&what, "ICMP %s from %s", say_icmp(&e->pkt), say_addr(e->pkt.icmp_src));
	answer_add(e, strdup(what.s ? what.s : ""), ends ? "accepted" : "ignored",
		   ends ? NULL : strdup("probably the socket was locked at that moment"), l);
}

static void add_answer(const struct judge *j, const struct rec_event *e, struct ledger *l)
{
	const uint8_t flags = e->pkt.tcp_flags & (TCPHDR_SYN | TCPHDR_ACK | TCPHDR_RST);
	bool ours = e->sock.flags & SOCK_PRESENT && e->sock.state == TCP_SYN_SENT;
	bool here = e->hdr.netns == j->ev->hdr.netns;
	const char *from = say_dst(&j->ev->sock.tuple);

	switch (e->hdr.kind) {
	case REC_RST_RECV:
		if (ours)
			answer_add(e, join("reset from ", from), "accepted", NULL, l);
		break;
	case REC_RST_IGNORED:
		if (here)
			answer_add(e, join("reset from ", from), "ignored", NULL, l);
		break;
	case REC_RST_SENT:
		if (ours && !e->active)
			answer_add(e, join("SYN-ACK from ", from), "ignored",
				   strdup("it doesn't fit the SYN, and was answered with a reset"),
				   l);
		break;
	case REC_ICMP_RECV:
		if (here)
			add_icmp(j, e, l);
		break;
	case REC_DROP:
		if (flags == (TCPHDR_SYN | TCPHDR_ACK))
			answer_add(e, join("SYN-ACK from ", from), "dropped", say_drop(j, e), l);
		else if (flags & TCPHDR_RST && track_weight(e, j->world) != WEIGHT_NONE)
			answer_add(e, join("reset from ", from), "dropped", say_drop(j, e), l);
		break;
	default:
		break;
	}
}

/* ---- all ------------------------------------------------------------------------------------- */

static void make_relative(struct ledger *l, uint64_t began)
{
	uint64_t from = l->syns.n ? l->syns.v[0].after_ns : began;

	for (size_t i = 0; i < l->syns.n; i++)
		l->syns.v[i].after_ns -= from;
	for (size_t i = 0; i < l->answers.n; i++) {
		uint64_t *at = &l->answers.v[i].after_ns;

		*at = from && *at > from ? *at - from : 0;
	}
}

void judge_ledger(struct judge *j, struct ledger *l)
{
	const struct rec_event *of = find_connect(j->tl);
	const struct rec_memory *m;
	struct rec_event found;

	if (!of && find_socket(j->tl, &found))
		of = &found;
	if (!of || of->sock.tuple.proto != IPPROTO_TCP || (!is_end(of) && got_through(j->tl, of)))
		return;
	j->ev = of;
	m = find_memory(j->tl, of);
	l->known = true;
	l->flow = of->sock.tuple;
	fill_end(j->tl, of, l);
	fill_process(j, &m->connect, l);
	fill_translated(j, m, l);
	if (m->connect.began_ns && m->connect.began_ns < of->hdr.mono_ns)
		l->took_ns = of->hdr.mono_ns - m->connect.began_ns;
	add_left(m, l);
	add_sent(j, m, l);
	add_losses(j, m, l);
	if (l->syns.n && of->sock.retransmits + 1u > l->syns.n)
		l->more_syns = of->sock.retransmits + 1u - (uint32_t)l->syns.n;
	timeline_each_event(j->tl, e) {
		if (e->hdr.mono_ns >= m->connect.began_ns &&
		    (!l->over || e->hdr.mono_ns <= of->hdr.mono_ns + SAME_NS))
			add_answer(j, e, l);
	}
	make_relative(l, m->connect.began_ns);
}
