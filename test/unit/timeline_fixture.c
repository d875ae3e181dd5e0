/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "timeline_fixture.h"

#include <arpa/inet.h>

#define STEP_NS NSEC_PER_MSEC
#define START_NS (1000 * NSEC_PER_SEC)
/* Symbols stand that far apart, from here on. */
#define SYMBOLS_AT 0xffffffff81000000ull
#define SYMBOLS_STEP 0x1000

static void addr_set(uint8_t to[16], const char *text)
{
	if (strchr(text, ':')) {
		assert_int_equal(inet_pton(AF_INET6, text, to), 1);
		return;
	}
	memset(to, 0, 10);
	to[10] = to[11] = 0xff;
	assert_int_equal(inet_pton(AF_INET, text, to + 12), 1);
}

struct rec_tuple flow_make(uint8_t proto, const char *src, uint16_t sport, const char *dst,
			   uint16_t dport)
{
	struct rec_tuple t = {.sport = sport, .dport = dport, .proto = proto};

	t.family = strchr(src, ':') ? 6 : 4;
	addr_set(t.src, src);
	addr_set(t.dst, dst);
	return t;
}

struct rec_tuple tcp(const char *src, uint16_t sport, const char *dst, uint16_t dport)
{
	return flow_make(IPPROTO_TCP, src, sport, dst, dport);
}

struct rec_tuple udp(const char *src, uint16_t sport, const char *dst, uint16_t dport)
{
	return flow_make(IPPROTO_UDP, src, sport, dst, dport);
}

/* ---- records --------------------------------------------------------------------------------- */

void rec_init(void *rec, enum rec_kind kind, uint32_t netns, uint64_t ns)
{
	struct rec_hdr *hdr = rec;

	memset(rec, 0, record_kind_size(kind));
	*hdr = (struct rec_hdr){
		.magic = REC_MAGIC,
		.version = REC_VERSION,
		.kind = (uint16_t)kind,
		.size = (uint32_t)record_kind_size(kind),
		.netns = netns,
		.mono_ns = ns,
		.wall_ns = ns,
	};
}

struct rec_event event_make(enum rec_kind kind, const struct rec_tuple *t, uint64_t ns)
{
	struct rec_event e;

	rec_init(&e, kind, HOST, ns);
	e.pkt.tuple = *t;
	e.pkt.has = PKT_L3 | PKT_L4;
	e.pkt.ctinfo = CTINFO_NONE;
	e.pkt.ttl = 64;
	return e;
}

uint64_t symbol_add(struct world *w, const char *name)
{
	uint64_t addr = SYMBOLS_AT;
	const struct rec_symbol *known;
	struct rec_symbol rec;

	for (; (known = world_symbol(w, addr)); addr += SYMBOLS_STEP)
		if (strcmp(known->name, name) == 0)
			return addr;
	rec_init(&rec, REC_SYMBOL, 0, 0);
	rec.addr = addr;
	rec.offset = 0x10;
	assert_true(str_copy(rec.name, sizeof(rec.name), name));
	assert_int_equal(world_add(w, &rec.hdr), 0);
	return addr;
}

void event_stack(struct world *w, struct rec_event *e, ...)
{
	const char *function;
	va_list ap;

	va_start(ap, e);
	while ((function = va_arg(ap, const char *))) {
		assert_true(e->nr_kstack < REC_KSTACK_MAX);
		e->kstack[e->nr_kstack++] = symbol_add(w, function);
	}
	va_end(ap);
}

/* ---- stories --------------------------------------------------------------------------------- */

void story_start(struct story *s)
{
	*s = (struct story){.now = START_NS};
	assert_int_equal(world_new(&s->world), 0);
}

void story_end(struct story *s)
{
	verdict_free(&s->v);
	for (size_t i = 0; i < s->tl.recs.n; i++)
		free(s->tl.recs.v[i]);
	vec_free(&s->tl.recs);
	world_free(s->world);
}

int story_setup(void **state)
{
	struct story *s = calloc(1, sizeof(*s));

	assert_non_null(s);
	story_start(s);
	*state = s;
	return 0;
}

int story_teardown(void **state)
{
	story_end(*state);
	free(*state);
	return 0;
}

static void *story_add(struct story *s, enum rec_kind kind)
{
	struct rec_hdr *rec = malloc(record_kind_size(kind));
	struct rec_hdr **slot = vec_push(&s->tl.recs);

	assert_non_null(rec);
	assert_non_null(slot);
	s->now += STEP_NS;
	rec_init(rec, kind, HOST, s->now);
	*slot = rec;
	return rec;
}

struct rec_event *story_event(struct story *s, enum rec_kind kind, struct rec_tuple t)
{
	struct rec_event *e = story_add(s, kind);

	*e = event_make(kind, &t, e->hdr.mono_ns);
	return e;
}

struct rec_event *story_drop(struct story *s, struct rec_tuple t, const char *reason)
{
	struct rec_event *e = story_event(s, REC_DROP, t);

	story_reason(e, reason);
	return e;
}

void story_reason(struct rec_event *e, const char *reason)
{
	e->has_reason = REASON_TOLD;
	assert_true(str_copy(e->reason_name, sizeof(e->reason_name), reason));
}

void story_hook(struct story *s, struct rec_event *e, const char *function)
{
	assert_true(e->nr_hooks < REC_HOOKS_MAX);
	e->hooks[e->nr_hooks++] = symbol_add(s->world, function);
}

void story_own_socket(struct rec_event *e, uint8_t state)
{
	e->sock.flags = SOCK_PRESENT;
	e->sock.state = state;
	e->sock.tuple = e->pkt.tuple;
	e->sock.addr = 0xffff888000001000ull;
}

void story_task(struct rec_event *e, uint32_t pid, const char *comm)
{
	e->task.pid = e->task.tid = pid;
	assert_true(str_copy(e->task.comm, sizeof(e->task.comm), comm));
}

struct rec_ct *story_conntrack(struct story *s, struct rec_tuple orig, struct rec_tuple reply)
{
	struct rec_ct *ct = story_add(s, REC_CT);

	ct->found = 1;
	ct->orig = orig;
	ct->reply = reply;
	ct->tcp_state = 3; /* ESTABLISHED */
	return ct;
}

void story_no_conntrack(struct story *s)
{
	story_add(s, REC_CT);
	story_answer(s, Q_CONNTRACK);
}

struct rec_sock_info *story_socket(struct story *s, enum sock_match match, struct rec_tuple t,
				   uint8_t state)
{
	struct rec_sock_info *sock = story_add(s, REC_SOCK);

	sock->match = (uint8_t)match;
	sock->tuple = t;
	sock->state = state;
	return sock;
}

void story_owner(struct rec_sock_info *sock, uint32_t netns, uint32_t pid, const char *comm)
{
	sock->hdr.netns = netns;
	sock->pid = pid;
	assert_true(str_copy(sock->comm, sizeof(sock->comm), comm));
}

void story_sysctl(struct story *s, const char *name, int64_t value)
{
	struct rec_sysctl *rec = story_add(s, REC_SYSCTL);

	rec->value = value;
	assert_true(str_copy(rec->name, sizeof(rec->name), name));
}

struct rec_counter *story_counter(struct story *s, const char *name, uint64_t delta)
{
	struct rec_counter *rec = story_add(s, REC_COUNTER);

	rec->value = 1000 + delta;
	rec->delta = delta;
	rec->base_ns = START_NS;
	assert_true(str_copy(rec->name, sizeof(rec->name), name));
	return rec;
}

struct rec_route *story_route(struct story *s, const char *dst, uint8_t type, int err)
{
	struct rec_route *r = story_add(s, REC_ROUTE);

	r->tuple = flow_make(IPPROTO_TCP, dst, 0, dst, 0);
	r->type = type;
	r->err = err;
	return r;
}

struct rec_neigh *story_neighbour(struct story *s, const char *addr, uint16_t state)
{
	struct rec_neigh *n = story_add(s, REC_NEIGH);

	addr_set(n->addr, addr);
	n->state = state;
	assert_true(str_copy(n->ifname, sizeof(n->ifname), "eth0"));
	return n;
}

struct rec_answer *story_answer(struct story *s, enum question_kind what)
{
	struct rec_answer *a = story_add(s, REC_ANSWER);

	a->what = what;
	return a;
}

void story_netns(struct story *s, uint32_t netns, const char *name)
{
	struct rec_netns rec;

	rec_init(&rec, REC_NETNS, netns, s->now);
	assert_true(str_copy(rec.name, sizeof(rec.name), name));
	assert_int_equal(world_add(s->world, &rec.hdr), 0);
}

/* ---- netfilter and BPF ----------------------------------------------------------------------- */

#define FAMILY_INET 1
#define FAMILY_IPV4 2

struct rec_hook *story_hook_found(struct story *s, enum hook_maker maker, const char *function)
{
	struct rec_hook *h = story_add(s, REC_HOOK);

	h->maker = (uint8_t)maker;
	h->pf = FAMILY_IPV4;
	h->hook = 1;
	h->policy = 1;
	h->function = symbol_add(s->world, function);
	h->priv = 0xffff888000000000ull + s->tl.recs.n;
	assert_true(str_copy(h->name, sizeof(h->name), function));
	return h;
}

struct rec_hook *story_chain(struct story *s, const char *chain, uint8_t policy)
{
	struct rec_hook *h = story_hook_found(s, HOOK_NFTABLES, "nft_do_chain_inet");

	h->family = FAMILY_INET;
	h->policy = policy;
	assert_true(str_copy(h->table, sizeof(h->table), "filter"));
	assert_true(str_copy(h->chain, sizeof(h->chain), chain));
	return h;
}

struct rec_rule *story_rule(struct story *s, enum rule_maker maker, uint64_t handle,
			    const char *text)
{
	bool nft = maker == RULE_NFTABLES;
	struct rec_rule *r = story_add(s, REC_RULE);

	r->maker = (uint8_t)maker;
	r->family = nft ? FAMILY_INET : FAMILY_IPV4;
	r->hook = 1;
	r->handle = handle;
	assert_true(str_copy(r->table, sizeof(r->table), "filter"));
	assert_true(str_copy(r->chain, sizeof(r->chain), nft ? "input" : "INPUT"));
	assert_true(str_copy(r->base, sizeof(r->base), r->chain));
	assert_true(str_copy(r->text, sizeof(r->text), text));
	return r;
}

struct rec_bpf_prog *story_program(struct story *s, enum bpf_place place, uint32_t id,
				   const char *name)
{
	struct rec_bpf_prog *p = story_add(s, REC_BPF_PROG);

	p->place = (uint8_t)place;
	p->id = id;
	assert_true(str_copy(p->name, sizeof(p->name), name));
	return p;
}

struct rec_nfqueue *story_queue(struct story *s, uint32_t queue, uint32_t pid)
{
	struct rec_nfqueue *q = story_add(s, REC_NFQUEUE);

	q->queue = queue;
	q->pid = pid;
	return q;
}

struct rec_ports *story_ports(struct story *s)
{
	return story_add(s, REC_PORTS);
}

struct rec_link *story_link(struct story *s, uint8_t port_state)
{
	struct rec_link *l = story_add(s, REC_LINK);

	l->port_state = port_state;
	l->ifindex = 7;
	assert_true(str_copy(l->ifname, sizeof(l->ifname), "eth0"));
	assert_true(str_copy(l->master_name, sizeof(l->master_name), "br0"));
	return l;
}

void story_entered(struct story *s, struct rec_event *e, const struct rec_hook *h)
{
	(void)s;
	e->nf.has = NF_HOOK | NF_COVERED;
	e->nf.function = h->function + 5;
	e->nf.priv = h->priv;
	e->nf.pf = h->pf;
	e->nf.hook = h->hook;
	if (h->maker != HOOK_NFTABLES)
		return;
	e->nf.has |= NF_CHAIN;
	e->nf.family = h->family;
	e->nf.policy = h->policy;
	assert_true(str_copy(e->nf.table, sizeof(e->nf.table), h->table));
	assert_true(str_copy(e->nf.base, sizeof(e->nf.base), h->chain));
}

/* ---- verdicts -------------------------------------------------------------------------------- */

const char *story_judge(struct story *s)
{
	static char text[64];
	int r;

	for (size_t i = 0; i < s->tl.recs.n; i++)
		assert_int_equal(record_validate(s->tl.recs.v[i], s->tl.recs.v[i]->size), 0);
	verdict_free(&s->v);
	r = diagnose(&s->tl, s->world, &s->loss, &s->v);
	assert_in_range(r, 0, 1);
	if (!r)
		return "no verdict";
	assert_non_null(s->v.explanation);
	assert_true(s->v.evidence.n > 0);
	snprintf(text, sizeof(text), "%s, %s", s->v.cause, certainty_name(s->v.certainty));
	return text;
}

bool story_offers(const struct story *s, const char *command)
{
	for (size_t i = 0; i < s->v.fix.n; i++)
		if (strstr(s->v.fix.v[i].command, command))
			return true;
	return false;
}

bool story_hits(const struct story *s, const char *text)
{
	for (size_t i = 0; i < s->v.hit.n; i++)
		if (strstr(s->v.hit.v[i], text))
			return true;
	return false;
}

bool story_says(const struct story *s, const char *text)
{
	if (s->v.explanation && strstr(s->v.explanation, text))
		return true;
	for (size_t i = 0; i < s->v.evidence.n; i++)
		if (strstr(s->v.evidence.v[i], text))
			return true;
	return false;
}
