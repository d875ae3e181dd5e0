/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "cli/replay.h"
#include "cli/replay_filter.h"
#include "record/record.h"
#include "source/pcapng_read.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <uthash.h>

struct item {
	struct rec_hdr *rec; /* owned; NULL: events were lost here */
	uint64_t arrival;    /* when it came, CLOCK_MONOTONIC */
	size_t order;	     /* in the files */
	bool known;	     /* to the world only: no answer to a question */
};

/* A question that was answered. */
struct asked {
	uint64_t ns; /* of the event that raised it */
	uint32_t what;
	uint32_t netns;
	uint64_t id; /* of the timeline, when it was recorded */
	uint64_t arrival;
	bool taken; /* one answer, one question */
};

/* A timeline's id as recorded, and what it is now. */
struct renamed {
	uint64_t was, is;
	UT_hash_handle hh;
};

struct replay {
	char *run, *host;
	VEC(struct item) items;
	VEC(struct asked) asked; /* in order */
	struct renamed *renamed;
	size_t at;
	uint64_t now_ns;     /* on the run's clock */
	uint64_t to_wall_ns; /* from the run's clock to the time of day */
	struct session s;
};

static bool is_event(const struct item *i)
{
	return i->rec && REC_KIND_IS_EVENT(i->rec->kind);
}

static bool is_lookup(const struct item *i)
{
	return i->rec && !REC_KIND_IS_EVENT(i->rec->kind) && !i->known;
}

/* Every lookup's struct has the question right behind the header. */
static uint64_t *question_of(struct rec_hdr *rec)
{
	return &((struct rec_answer *)rec)->question;
}

/* ---- loading --------------------------------------------------------------------------------- */

struct loading {
	struct replay_set *set;
	struct replay *run; /* of the records that follow */
};

static int take_recording(void *arg, const struct recording *recording)
{
	struct loading *l = arg;
	struct replay *run, **slot;

	for (size_t i = 0; i < l->set->runs.n; i++)
		if (!strcmp(l->set->runs.v[i]->run, recording->run)) {
			l->run = l->set->runs.v[i];
			return 0;
		}
	run = calloc(1, sizeof(*run));
	slot = run ? vec_push(&l->set->runs) : NULL;
	if (!slot) {
		free(run);
		return -ENOMEM;
	}
	*slot = l->run = run;
	run->run = strdup(recording->run);
	run->host = strdup(recording->host);
	return run->run && run->host ? 0 : -ENOMEM;
}

/* Symbols, and who a namespace is, if that is no answer: what recorder.c puts before what speaks of it. */
static bool is_known(const struct rec_hdr *rec)
{
	return rec->kind == REC_SYMBOL ||
	       (rec->kind == REC_NETNS && !((const struct rec_netns *)rec)->question);
}

static int add_item(struct loading *l, const struct rec_hdr *rec, uint64_t arrival)
{
	static const struct recording unknown = {"", "", ""};
	struct rec_hdr *copy = rec ? malloc(rec->size) : NULL;
	struct item *slot;
	int err = l->run ? 0 : take_recording(l, &unknown);

	slot = !err && (copy || !rec) ? vec_push(&l->run->items) : NULL;
	if (!slot) {
		free(copy);
		return -ENOMEM;
	}
	if (copy)
		memcpy(copy, rec, rec->size);
	*slot = (struct item){copy, arrival, l->run->items.n, rec && is_known(rec)};
	return 0;
}

static int take_record(void *arg, const struct rec_hdr *rec)
{
	return add_item(arg, rec, rec->mono_ns);
}

static int take_loss(void *arg, uint64_t mono_ns)
{
	return add_item(arg, NULL, mono_ns);
}

static int file_map(const char *path, void **ret, size_t *ret_size)
{
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode))
		return S_ISDIR(st.st_mode) ? -EISDIR : -ESPIPE;
	*ret_size = (size_t)st.st_size;
	*ret = NULL;
	if (!st.st_size)
		return 0;
	*ret = mmap(NULL, *ret_size, PROT_READ, MAP_PRIVATE, fd, 0);
	return *ret == MAP_FAILED ? -errno : 0;
}

int replay_load(struct replay_set *set, const char *path, struct strbuf *why)
{
	struct loading l = {.set = set};
	const struct pcapng_sink sink = {take_recording, take_record, take_loss, &l};
	struct pcapng_stats stats = {0};
	struct codec *codec;
	size_t size = 0;
	void *file;
	int err = file_map(path, &file, &size);

	if (err)
		return err;
	err = codec_new(&codec);
	if (!err) {
		err = pcapng_read(codec, file, size, &sink, &stats, why);
		codec_free(codec);
	}
	if (file)
		munmap(file, size);
	if (!err && !stats.records && stats.packets) {
		strbuf_add(why, "packets of another program, and no records of tcpwhy");
		return -ENODATA;
	}
	if (!err && stats.bad + stats.unknown) {
		strbuf_addf(why, "%llu records left out, %llu of a newer version",
			    (unsigned long long)(stats.bad + stats.unknown),
			    (unsigned long long)stats.unknown);
		return -EBADMSG;
	}
	return err;
}

void replay_free(struct replay_set *set)
{
	for (size_t i = 0; i < set->runs.n; i++) {
		struct replay *r = set->runs.v[i];
		struct renamed *n, *next;

		for (size_t k = 0; k < r->items.n; k++)
			free(r->items.v[k].rec);
		HASH_ITER(hh, r->renamed, n, next) {
			HASH_DEL(r->renamed, n);
			free(n);
		}
		vec_free(&r->items);
		vec_free(&r->asked);
		session_close(&r->s);
		free(r->run);
		free(r->host);
		free(r);
	}
	vec_free(&set->runs);
}

/* ---- order ----------------------------------------------------------------------------------- */

static int by_question(const void *a, const void *b)
{
	const struct item *x = a, *y = b;
	uint64_t p = is_lookup(x) ? *question_of(x->rec) : 0,
		 q = is_lookup(y) ? *question_of(y->rec) : 0;

	if (p != q)
		return p < q ? -1 : 1;
	return x->order < y->order ? -1 : x->order > y->order;
}

static int by_arrival(const void *a, const void *b)
{
	const struct item *x = a, *y = b;

	if (x->arrival != y->arrival)
		return x->arrival < y->arrival ? -1 : 1;
	return x->order < y->order ? -1 : x->order > y->order;
}

static int by_asked(const void *a, const void *b)
{
	const struct asked *x = a, *y = b;

	if (x->ns != y->ns)
		return x->ns < y->ns ? -1 : 1;
	if (x->what != y->what)
		return x->what < y->what ? -1 : 1;
	return x->netns < y->netns ? -1 : x->netns > y->netns;
}

/*
 * What a lookup found came with the answer that closes it, however long it had been known: enrich keeps
 * what it finds for a moment.
 */
static void lookups_arrive(struct replay *r)
{
	uint64_t question = 0, arrival = 0;

	qsort(r->items.v, r->items.n, sizeof(*r->items.v), by_question);
	for (size_t i = r->items.n; i--;) {
		struct item *item = &r->items.v[i];

		if (!is_lookup(item))
			continue;
		if (*question_of(item->rec) != question) {
			question = *question_of(item->rec);
			arrival = 0;
		}
		if (item->rec->kind == REC_ANSWER)
			arrival = item->arrival;
		else if (arrival)
			item->arrival = arrival;
	}
}

/* The same file twice, or one that another one was made from. */
static void drop_doubles(struct replay *r)
{
	size_t n = 0;

	for (size_t i = 0; i < r->items.n; i++) {
		struct item *item = &r->items.v[i], *last = n ? &r->items.v[n - 1] : NULL;

		if (last && is_event(item) && is_event(last) && item->rec->seq &&
		    item->rec->seq == last->rec->seq) {
			free(item->rec);
			continue;
		}
		r->items.v[n++] = *item;
	}
	r->items.n = n;
}

static int index_questions(struct replay *r)
{
	for (size_t i = 0; i < r->items.n; i++) {
		const struct rec_answer *a = (const struct rec_answer *)r->items.v[i].rec;
		struct asked *slot;

		if (!a || a->hdr.kind != REC_ANSWER)
			continue;
		slot = vec_push(&r->asked);
		if (!slot)
			return -ENOMEM;
		*slot = (struct asked){.ns = a->asked_ns,
				       .what = a->what,
				       .netns = a->hdr.netns,
				       .id = a->question,
				       .arrival = r->items.v[i].arrival};
	}
	if (r->asked.n)
		qsort(r->asked.v, r->asked.n, sizeof(*r->asked.v), by_asked);
	return 0;
}

static void find_clock(struct replay *r)
{
	for (size_t i = 0; i < r->items.n && !r->to_wall_ns; i++) {
		const struct rec_hdr *rec = r->items.v[i].rec;

		if (rec && rec->mono_ns && rec->wall_ns > rec->mono_ns)
			r->to_wall_ns = rec->wall_ns - rec->mono_ns;
	}
}

static int prepare(struct replay *r, const struct watch_options *o)
{
	int err = session_open(&r->s, o);

	if (err)
		return err;
	r->s.replay = r;
	if (!r->items.n)
		return 0;
	lookups_arrive(r);
	qsort(r->items.v, r->items.n, sizeof(*r->items.v), by_arrival);
	drop_doubles(r);
	find_clock(r);
	return index_questions(r);
}

/* ---- questions ------------------------------------------------------------------------------- */

static struct renamed *renamed_find(const struct replay *r, uint64_t was)
{
	struct renamed *n;

	HASH_FIND(hh, r->renamed, &was, sizeof(was), n);
	return n;
}

/* From now on what is recorded for the one timeline is meant for the other. */
static bool rename_to(struct replay *r, uint64_t was, uint64_t is)
{
	struct renamed *n = renamed_find(r, was);

	if (n)
		return n->is == is;
	n = calloc(1, sizeof(*n));
	if (!n)
		return false;
	n->was = was;
	n->is = is;
	HASH_ADD(hh, r->renamed, was, sizeof(n->was), n);
	return true;
}

/* One event may have asked the same more than once: of several sysctls, say. */
void replay_ask(struct replay *r, const struct question *q)
{
	const struct asked key = {.ns = q->event_ns, .what = q->kind, .netns = q->netns};
	const struct asked *end = r->asked.v + r->asked.n;
	struct asked *found = NULL;

	if (r->asked.n)
		found = bsearch(&key, r->asked.v, r->asked.n, sizeof(key), by_asked);
	while (found && found > r->asked.v && !by_asked(found - 1, &key))
		found--;
	for (; found && found < end && !by_asked(found, &key); found++) {
		if (found->taken || found->arrival < r->now_ns || !rename_to(r, found->id, q->id))
			continue;
		found->taken = true;
		return;
	}
	track_unanswered(r->s.track, q);
}

/* ---- playing --------------------------------------------------------------------------------- */

static void play_item(struct replay *r, struct item *item)
{
	struct session *s = &r->s;
	uint64_t next;

	while ((next = session_next_ns(s)) <= item->arrival && !session_enough(s))
		session_step(s, next);
	r->now_ns = item->arrival;
	if (item->known) {
		world_add(s->world, item->rec);
	} else if (!item->rec) {
		s->lost++;
		s->lost_ns = item->arrival;
	} else if (is_event(item)) {
		session_event(s, item->rec);
	} else {
		if (is_lookup(item)) {
			const struct renamed *n = renamed_find(r, *question_of(item->rec));

			*question_of(item->rec) = n ? n->is : 0;
		}
		session_lookup(s, item->rec);
	}
	session_step(s, item->arrival);
}

/* The run whose turn it is by the time of day; NULL: all are over. */
static struct replay *next_run(const struct replay_set *set)
{
	struct replay *first = NULL;
	uint64_t first_ns = 0;

	for (size_t i = 0; i < set->runs.n; i++) {
		struct replay *r = set->runs.v[i];
		uint64_t ns;

		if (r->at >= r->items.n || session_enough(&r->s))
			continue;
		ns = r->items.v[r->at].arrival + r->to_wall_ns;
		if (first && ns >= first_ns)
			continue;
		first = r;
		first_ns = ns;
	}
	return first;
}

int replay_play(struct replay_set *set, const struct watch_options *o)
{
	struct replay *r;
	int err = 0;

	for (size_t i = 0; i < set->runs.n && !err; i++) {
		r = set->runs.v[i];
		err = prepare(r, o);
		r->s.wanted = replay_wanted;
		r->s.tell = set->tell;
		r->s.tell_arg = set->arg;
		if (set->runs.n > 1)
			r->s.host = *r->host ? r->host : r->run;
	}
	if (err)
		return err;
	while ((r = next_run(set)))
		play_item(r, &r->items.v[r->at++]);
	for (size_t i = 0; i < set->runs.n; i++) {
		track_flush(set->runs.v[i]->s.track);
		session_step(&set->runs.v[i]->s, UINT64_MAX - 1);
		if (!o->diff)
			session_print_summary(&set->runs.v[i]->s, false, 0);
	}
	return 0;
}
