/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The queue of questions, the worker, its cache of answers, the rate limit. */
#include "enrich/enrich.h"

#include "enrich/counter.h"
#include "enrich/lookup.h"
#include "enrich/netns.h"
#include "enrich/process.h"
#include "enrich/thread.h"

#include <sys/eventfd.h>

#define QUEUE_MAX 1024
#define OUT_MAX (1024 * 1024) /* bytes of answers that wait; the worker then waits too */

#define CACHE_MAX 64
#define CACHE_NS (50 * NSEC_PER_MSEC)

/* The question's id is at the same place in every record of an answer. */
#define QUESTION_AT sizeof(struct rec_hdr)
#define ASSERT_QUESTION_AT(type)                                         \
	_Static_assert(offsetof(struct type, question) == QUESTION_AT && \
			       sizeof(struct type) % 8 == 0,             \
		       #type)
ASSERT_QUESTION_AT(rec_sock_info);
ASSERT_QUESTION_AT(rec_ct);
ASSERT_QUESTION_AT(rec_netns);
ASSERT_QUESTION_AT(rec_route);
ASSERT_QUESTION_AT(rec_neigh);
ASSERT_QUESTION_AT(rec_sysctl);
ASSERT_QUESTION_AT(rec_counter);
ASSERT_QUESTION_AT(rec_hook);
ASSERT_QUESTION_AT(rec_rule);
ASSERT_QUESTION_AT(rec_bpf_prog);
ASSERT_QUESTION_AT(rec_nfqueue);
ASSERT_QUESTION_AT(rec_link);
ASSERT_QUESTION_AT(rec_ct_top);
ASSERT_QUESTION_AT(rec_ports);
ASSERT_QUESTION_AT(rec_answer);

/* A kind of question. Questions of one price share a rate limit. */
enum price { CHEAP, EXPENSIVE, PRICE_COUNT };

static const struct {
	int (*answer)(struct lookup *l);
	enum price price;
} subjects[Q_COUNT] = {
	[Q_NETNS_BIT] = {netns_answer, CHEAP},
	[Q_CONNTRACK_BIT] = {conntrack_answer, CHEAP},
	[Q_SOCKETS_BIT] = {socket_answer, CHEAP},
	[Q_SOCKETS_BY_PORT_BIT] = {socket_ports_answer, EXPENSIVE},
	[Q_LISTENERS_BIT] = {listener_answer, EXPENSIVE},
	[Q_ROUTE_BIT] = {route_answer, CHEAP},
	[Q_ROUTE_BACK_BIT] = {route_answer, CHEAP},
	[Q_OWNER_BIT] = {owner_answer, CHEAP},
	[Q_SYSCTL_BIT] = {sysctl_answer, CHEAP},
	[Q_COUNTER_BIT] = {counter_answer, CHEAP},
	[Q_HOOKS_BIT] = {hooks_answer, CHEAP},
	[Q_RULE_BIT] = {rule_answer, CHEAP},
	[Q_DROP_RULES_BIT] = {drop_rules_answer, EXPENSIVE},
	[Q_BPF_PROGS_BIT] = {bpf_progs_answer, EXPENSIVE},
	[Q_NFQUEUES_BIT] = {nfqueues_answer, EXPENSIVE},
	[Q_CONNTRACK_TOP_BIT] = {conntrack_top_answer, EXPENSIVE},
	[Q_LINK_BIT] = {link_answer, CHEAP},
	[Q_PORTS_BIT] = {ports_answer, EXPENSIVE},
};

/* Nanoseconds per question on average; a second's worth may come at once. */
static const uint64_t price_ns[PRICE_COUNT] = {
	[CHEAP] = NSEC_PER_SEC / 5000, [EXPENSIVE] = NSEC_PER_SEC / 500};

struct cached {
	struct question q;
	uint64_t asked_ns; /* when the looking began */
	uint64_t mono_ns;
	struct strbuf out;
	uint32_t count;
	int err;
};

struct enrich {
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t wake; /* the worker: a question, room for answers, or the end */
	pthread_cond_t calm; /* who waits for it: it is settled */
	int event_fd;

	/* under lock */
	bool stop;
	bool settled; /* the base lines are taken of all namespaces that there were */
	bool busy;    /* a question is being answered */
	struct question queue[QUEUE_MAX];
	size_t head, queued;
	struct strbuf out;
	uint64_t paid_until[PRICE_COUNT];

	/* the worker's */
	struct lookup l;
	struct cached cache[CACHE_MAX];
	size_t next_cached;
};

void lookup_add(struct lookup *l, void *rec, enum rec_kind kind, uint32_t netns)
{
	struct rec_hdr *hdr = rec;

	if (l->count >= LOOKUP_RECORDS_MAX)
		return;
	*hdr = (struct rec_hdr){
		.magic = REC_MAGIC,
		.version = REC_VERSION,
		.kind = (uint16_t)kind,
		.size = (uint32_t)record_kind_size(kind),
		.netns = netns,
		.mono_ns = now_mono(),
		.wall_ns = now_wall(),
	};
	memcpy((char *)rec + QUESTION_AT, &l->q->id, sizeof(l->q->id));
	strbuf_addn(&l->out, rec, hdr->size);
	l->count++;
}

/* The index in subjects, or -1 for a kind that there isn't. */
static int question_bit(const struct question *q)
{
	int bit = __builtin_popcount(q->kind) == 1 ? __builtin_ctz(q->kind) : Q_COUNT;

	return bit < Q_COUNT && subjects[bit].answer ? bit : -1;
}

static void answer_add(struct lookup *l, int err)
{
	const struct question *q = l->q;
	uint64_t now = now_mono();
	uint64_t late_us =
		q->event_ns && now > q->event_ns ? (now - q->event_ns) / NSEC_PER_USEC : 0;
	struct rec_answer rec = {
		.asked_ns = q->event_ns,
		.what = q->kind,
		.err = err,
		.count = l->count,
		.late_us = late_us < UINT32_MAX ? (uint32_t)late_us : UINT32_MAX,
	};

	l->count = 0; /* the limit isn't for this one */
	lookup_add(l, &rec, REC_ANSWER, q->netns);
}

/* Hands over answers; call with the lock held. */
static void out_publish(struct enrich *e, const struct strbuf *out)
{
	uint64_t one = 1;
	bool first = !e->out.len;

	strbuf_addn(&e->out, out->s, out->len);
	if (first && e->out.len && write(e->event_fd, &one, sizeof(one)) < 0)
		return; /* an eventfd that is read whenever it isn't 0 can't overflow */
}

static bool question_same(const struct question *a, const struct question *b)
{
	return a->kind == b->kind && a->netns == b->netns && a->ifindex == b->ifindex &&
	       a->inode == b->inode && a->nf_family == b->nf_family && a->nf_hook == b->nf_hook &&
	       a->cgroup == b->cgroup && a->handle == b->handle &&
	       tuple_equal(&a->tuple, &b->tuple) && !strcmp(a->name, b->name) &&
	       !strcmp(a->table, b->table) && !strcmp(a->chain, b->chain);
}

/* The records of c once more, as answer to l's question. */
static void cached_copy(const struct cached *c, struct lookup *l)
{
	strbuf_addn(&l->out, c->out.s, c->out.len);
	l->count = c->count;
	for (size_t at = 0; at < l->out.len; at += ((struct rec_hdr *)(l->out.s + at))->size)
		memcpy(l->out.s + at + QUESTION_AT, &l->q->id, sizeof(l->q->id));
}

/* What rules have counted since the event is no use if it was looked up before. */
static bool cached_serves(const struct cached *c, const struct question *q)
{
	if (!c->mono_ns || now_mono() - c->mono_ns >= CACHE_NS || !question_same(&c->q, q))
		return false;
	return q->kind != Q_DROP_RULES || c->asked_ns >= q->event_ns;
}

static int question_answer(struct enrich *e)
{
	struct lookup *l = &e->l;
	struct cached *c;

	for (size_t i = 0; i < CACHE_MAX; i++) {
		c = &e->cache[i];
		if (cached_serves(c, l->q)) {
			cached_copy(c, l);
			return c->err;
		}
	}
	c = &e->cache[e->next_cached++ % CACHE_MAX];
	strbuf_free(&c->out);
	c->q = *l->q;
	c->asked_ns = now_mono();
	c->err = subjects[question_bit(l->q)].answer(l);
	if (l->out.oom)
		c->err = -ENOMEM;
	c->mono_ns = now_mono();
	c->count = l->count;
	strbuf_addn(&c->out, l->out.s, l->out.len);
	return c->err;
}

/*
 * The next question, in q; false at the end. While none waits, the counters' base lines of the
 * namespaces are taken, one after the other.
 */
static bool worker_next(struct enrich *e, struct question *q)
{
	bool idle_work = true;

	pthread_mutex_lock(&e->lock);
	while (!e->stop && (!e->queued || e->out.len > OUT_MAX)) {
		if (!idle_work) {
			pthread_cond_wait(&e->wake, &e->lock);
			continue;
		}
		pthread_mutex_unlock(&e->lock);
		idle_work = counter_base_step(e->l.netns);
		pthread_mutex_lock(&e->lock);
		if (!idle_work && !e->settled) {
			e->settled = true;
			pthread_cond_broadcast(&e->calm);
		}
	}
	if (!e->stop) {
		*q = e->queue[e->head];
		e->head = (e->head + 1) % QUEUE_MAX;
		e->queued--;
		e->busy = true;
	}
	pthread_mutex_unlock(&e->lock);
	return e->busy;
}

/* The answer's time is when it can be taken: whoever takes what there is has all that is older. */
static void worker_done(struct enrich *e, int err)
{
	pthread_mutex_lock(&e->lock);
	answer_add(&e->l, err);
	out_publish(e, &e->l.out);
	e->busy = false;
	pthread_mutex_unlock(&e->lock);
}

static void *worker_main(void *arg)
{
	struct enrich *e = arg;
	struct question q;

	netns_refresh(e->l.netns);
	e->l.q = &q;
	while (worker_next(e, &q)) {
		strbuf_reset(&e->l.out);
		e->l.out.oom = false;
		e->l.count = 0;
		netns_need(e->l.netns, q.event_ns);
		worker_done(e, question_answer(e));
	}
	return NULL;
}

static void enrich_free(struct enrich *e)
{
	for (size_t i = 0; i < CACHE_MAX; i++)
		strbuf_free(&e->cache[i].out);
	strbuf_free(&e->l.out);
	strbuf_free(&e->out);
	owners_close(e->l.owners);
	netns_close(e->l.netns);
	close_fd(&e->event_fd);
	pthread_cond_destroy(&e->wake);
	pthread_cond_destroy(&e->calm);
	pthread_mutex_destroy(&e->lock);
	free(e);
}

int enrich_open(struct enrich **ret)
{
	struct enrich *e = calloc(1, sizeof(*e));
	int err;

	if (!e)
		return -ENOMEM;
	pthread_mutex_init(&e->lock, NULL);
	pthread_cond_init(&e->wake, NULL);
	pthread_cond_init(&e->calm, NULL);
	e->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	err = e->event_fd < 0 ? -errno : 0;
	if (!err)
		err = netns_open(&e->l.netns);
	if (!err)
		err = owners_open(&e->l.owners);
	if (!err)
		err = thread_start(&e->thread, "tcpwhy-enrich", worker_main, e);
	if (err) {
		enrich_free(e);
		return err;
	}
	*ret = e;
	return 0;
}

void enrich_settle(struct enrich *e, uint64_t max)
{
	uint64_t until = now_wall() + max;
	struct timespec end = {.tv_sec = (time_t)(until / NSEC_PER_SEC),
			       .tv_nsec = (long)(until % NSEC_PER_SEC)};

	pthread_mutex_lock(&e->lock);
	while (!e->settled && !pthread_cond_timedwait(&e->calm, &e->lock, &end))
		;
	pthread_mutex_unlock(&e->lock);
}

void enrich_close(struct enrich *e)
{
	if (!e)
		return;
	pthread_mutex_lock(&e->lock);
	e->stop = true;
	pthread_cond_signal(&e->wake);
	pthread_mutex_unlock(&e->lock);
	pthread_join(e->thread, NULL);
	enrich_free(e);
}

/*
 * A leaky bucket that holds a second's worth (GCRA: the time until which all questions so far are
 * paid for).
 */
static bool rate_allows(uint64_t *paid_until, uint64_t cost_ns)
{
	uint64_t now = now_mono(), from = *paid_until > now ? *paid_until : now;

	if (from + cost_ns > now + NSEC_PER_SEC)
		return false;
	*paid_until = from + cost_ns;
	return true;
}

static void question_refuse(struct enrich *e, const struct question *q, int err)
{
	struct lookup l = {.q = q};

	answer_add(&l, err);
	out_publish(e, &l.out);
	strbuf_free(&l.out);
}

int enrich_ask(struct enrich *e, const struct question *q)
{
	int bit = question_bit(q), err = 0;

	pthread_mutex_lock(&e->lock);
	if (bit < 0)
		err = -EINVAL;
	else if (e->queued == QUEUE_MAX ||
		 !rate_allows(&e->paid_until[subjects[bit].price], price_ns[subjects[bit].price]))
		err = -EBUSY;
	if (err) {
		question_refuse(e, q, err);
	} else {
		struct question *slot = &e->queue[(e->head + e->queued++) % QUEUE_MAX];

		*slot = *q;
		slot->name[sizeof(slot->name) - 1] = '\0';
		pthread_cond_signal(&e->wake);
	}
	pthread_mutex_unlock(&e->lock);
	return err;
}

int enrich_fd(const struct enrich *e)
{
	return e->event_fd;
}

int enrich_take(struct enrich *e, void (*fn)(void *arg, const struct rec_hdr *rec), void *arg)
{
	_cleanup_strbuf_ struct strbuf out = {0};
	uint64_t ignored;
	int n = 0;

	pthread_mutex_lock(&e->lock);
	if (read(e->event_fd, &ignored, sizeof(ignored)) > 0 || e->out.len) {
		out = e->out;
		e->out = (struct strbuf){0};
		pthread_cond_signal(&e->wake);
	}
	pthread_mutex_unlock(&e->lock);
	for (size_t at = 0; at < out.len; n++) {
		const struct rec_hdr *rec = (const struct rec_hdr *)(out.s + at);

		at += rec->size;
		fn(arg, rec);
	}
	return n;
}

size_t enrich_pending(struct enrich *e)
{
	size_t n;

	pthread_mutex_lock(&e->lock);
	n = e->queued + e->busy;
	pthread_mutex_unlock(&e->lock);
	return n;
}
