/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The queue of questions, the worker, its cache of answers, the rate limit. */
#include "enrich/enrich.h"

#include "enrich/counter.h"
#include "enrich/lookup.h"
#include "enrich/netns.h"
#include "enrich/process.h"
#include "enrich/thread.h"
#include "enrich/user_unwind.h"

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
ASSERT_QUESTION_AT(rec_process);
ASSERT_QUESTION_AT(rec_user_frame);
ASSERT_QUESTION_AT(rec_answer);

/* A kind of question. Questions of one price share a rate limit. */
enum price { CHEAP, EXPENSIVE, OF_PROCESS, PRICE_COUNT };

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
	[Q_USER_STACK_BIT] = {user_stack_answer, OF_PROCESS},
};

/* Nanoseconds per question on average; a second's worth may come at once. */
static const uint64_t price_ns[PRICE_COUNT] = {[CHEAP] = NSEC_PER_SEC / 5000,
					       [EXPENSIVE] = NSEC_PER_SEC / 500,
					       [OF_PROCESS] = NSEC_PER_SEC / 500};

struct cached {
	struct question q;
	uint64_t asked_ns; /* when the looking began */
	uint64_t mono_ns;
	struct strbuf out;
	uint32_t count;
	int err;
};

struct worker {
	struct enrich *e;
	pthread_t thread;
	bool started;
	pthread_cond_t wake; /* a question, room for answers, or the end */

	/* under the lock */
	bool busy; /* a question is being answered */
	struct question queue[QUEUE_MAX];
	size_t head, queued;

	/* its own */
	struct lookup l;
	struct cached cache[CACHE_MAX];
	size_t next_cached;
};

struct enrich {
	pthread_mutex_t lock;
	pthread_cond_t calm; /* who waits for it: it is settled */
	int event_fd;

	/* under lock */
	bool stop;
	bool settled; /* the base lines are taken of all namespaces that there were */
	struct strbuf out;
	uint64_t paid_until[PRICE_COUNT];

	struct worker kernel;
	/* A process may end at any moment, and to read the symbols of a large file takes long: neither waits for the other. */
	struct worker processes;
};

static struct worker *worker_for(struct enrich *e, uint32_t kind)
{
	return kind == Q_USER_STACK ? &e->processes : &e->kernel;
}

void lookup_add(struct lookup *l, void *rec, enum rec_kind kind, uint32_t netns)
{
	struct rec_hdr *hdr = rec;

	if (l->count >= LOOKUP_RECORDS_MAX)
		return;
	*hdr = record_hdr(kind);
	hdr->netns = netns;
	hdr->mono_ns = now_mono();
	hdr->wall_ns = now_wall();
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
	if (q->kind == Q_USER_STACK)
		return false;
	if (!c->mono_ns || now_mono() - c->mono_ns >= CACHE_NS || !question_same(&c->q, q))
		return false;
	return q->kind != Q_DROP_RULES || c->asked_ns >= q->event_ns;
}

static int question_answer(struct worker *w)
{
	struct lookup *l = &w->l;
	struct cached *c;

	for (size_t i = 0; i < CACHE_MAX; i++) {
		c = &w->cache[i];
		if (cached_serves(c, l->q)) {
			cached_copy(c, l);
			return c->err;
		}
	}
	c = &w->cache[w->next_cached++ % CACHE_MAX];
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
static bool worker_next(struct worker *w, struct question *q)
{
	struct enrich *e = w->e;
	bool idle_work = w->l.netns;

	pthread_mutex_lock(&e->lock);
	while (!e->stop && (!w->queued || e->out.len > OUT_MAX)) {
		if (!idle_work) {
			pthread_cond_wait(&w->wake, &e->lock);
			continue;
		}
		pthread_mutex_unlock(&e->lock);
		idle_work = counter_base_step(w->l.netns);
		pthread_mutex_lock(&e->lock);
		if (!idle_work && !e->settled) {
			e->settled = true;
			pthread_cond_broadcast(&e->calm);
		}
	}
	if (!e->stop) {
		*q = w->queue[w->head];
		w->head = (w->head + 1) % QUEUE_MAX;
		w->queued--;
		w->busy = true;
	}
	pthread_mutex_unlock(&e->lock);
	return w->busy;
}

/* The answer's time is when it can be taken: whoever takes what there is has all that is older. */
static void worker_done(struct worker *w, int err)
{
	struct enrich *e = w->e;

	pthread_mutex_lock(&e->lock);
	answer_add(&w->l, err);
	out_publish(e, &w->l.out);
	w->busy = false;
	pthread_mutex_unlock(&e->lock);
}

static void *worker_main(void *arg)
{
	struct worker *w = arg;
	struct question q;

	if (w->l.netns)
		netns_refresh(w->l.netns);
	w->l.q = &q;
	while (worker_next(w, &q)) {
		strbuf_reset(&w->l.out);
		w->l.out.oom = false;
		w->l.count = 0;
		if (w->l.netns)
			netns_need(w->l.netns, q.event_ns);
		worker_done(w, question_answer(w));
	}
	return NULL;
}

static void worker_init(struct worker *w, struct enrich *e)
{
	w->e = e;
	pthread_cond_init(&w->wake, NULL);
}

static int worker_start(struct worker *w, const char *name)
{
	int err = thread_start(&w->thread, name, worker_main, w);

	w->started = !err;
	return err;
}

static void worker_stop(struct worker *w)
{
	if (!w->started)
		return;
	pthread_mutex_lock(&w->e->lock);
	w->e->stop = true;
	pthread_cond_signal(&w->wake);
	pthread_mutex_unlock(&w->e->lock);
	pthread_join(w->thread, NULL);
}

static void worker_free(struct worker *w)
{
	for (size_t i = 0; i < CACHE_MAX; i++)
		strbuf_free(&w->cache[i].out);
	strbuf_free(&w->l.out);
	pthread_cond_destroy(&w->wake);
}

static void enrich_free(struct enrich *e)
{
	worker_free(&e->kernel);
	worker_free(&e->processes);
	strbuf_free(&e->out);
	owners_close(e->kernel.l.owners);
	netns_close(e->kernel.l.netns);
	user_files_close(e->processes.l.files);
	close_fd(&e->event_fd);
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
	worker_init(&e->kernel, e);
	worker_init(&e->processes, e);
	pthread_cond_init(&e->calm, NULL);
	e->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	err = e->event_fd < 0 ? -errno : 0;
	if (!err)
		err = netns_open(&e->kernel.l.netns);
	if (!err)
		err = owners_open(&e->kernel.l.owners);
	if (!err)
		err = user_files_open(&e->processes.l.files);
	if (!err)
		err = worker_start(&e->kernel, "tcpwhy-enrich");
	if (!err)
		err = worker_start(&e->processes, "tcpwhy-process");
	if (err) {
		worker_stop(&e->kernel);
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
	worker_stop(&e->kernel);
	worker_stop(&e->processes);
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
	struct worker *w = worker_for(e, q->kind);
	int bit = question_bit(q), err = 0;

	pthread_mutex_lock(&e->lock);
	if (bit < 0)
		err = -EINVAL;
	else if (w->queued == QUEUE_MAX ||
		 !rate_allows(&e->paid_until[subjects[bit].price], price_ns[subjects[bit].price]))
		err = -EBUSY;
	if (err) {
		question_refuse(e, q, err);
	} else {
		struct question *slot = &w->queue[(w->head + w->queued++) % QUEUE_MAX];

		*slot = *q;
		slot->name[sizeof(slot->name) - 1] = '\0';
		pthread_cond_signal(&w->wake);
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
		pthread_cond_signal(&e->kernel.wake);
		pthread_cond_signal(&e->processes.wake);
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
	n = e->kernel.queued + e->kernel.busy + e->processes.queued + e->processes.busy;
	pthread_mutex_unlock(&e->lock);
	return n;
}
