/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Recordings from files, and when each record came. */
#include "cli/replay_private.h"
#include "cli/zst.h"
#include "record/record.h"
#include "source/capture_flow.h"
#include "source/pcapng_read.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>

/* ---- loading --------------------------------------------------------------------------------- */

struct loading {
	struct replay_set *set;
	struct replay *run; /* of the records that follow */
};

static int name_host(struct replay *run, const char *host)
{
	free(run->host);
	run->host = strdup(host);
	return run->host ? 0 : -ENOMEM;
}

int replay_new_run(struct replay_set *set, const char *name, struct replay **ret)
{
	struct replay *run = calloc(1, sizeof(*run)), **slot = run ? vec_push(&set->runs) : NULL;

	if (!slot) {
		free(run);
		return -ENOMEM;
	}
	*slot = *ret = run;
	run->run = strdup(name);
	return run->run ? name_host(run, "") : -ENOMEM;
}

static int take_recording(void *arg, const struct recording *recording)
{
	struct loading *l = arg;
	struct replay *run;
	int err;

	for (size_t i = 0; i < l->set->runs.n; i++) {
		run = l->set->runs.v[i];
		if (run->capture || strcmp(run->run, recording->run) != 0)
			continue;
		l->run = run;
		return *run->host || !*recording->host ? 0 : name_host(run, recording->host);
	}
	err = replay_new_run(l->set, recording->run, &l->run);
	return err ? err : name_host(l->run, recording->host);
}

/* Symbols, and who a namespace is, if that is no answer: what recorder.c puts before what speaks of it. */
static bool is_known(const struct rec_hdr *rec)
{
	return rec->kind == REC_SYMBOL ||
	       (rec->kind == REC_NETNS && !((const struct rec_netns *)rec)->question);
}

int replay_add(struct replay *r, const struct rec_hdr *rec, uint64_t arrival)
{
	struct rec_hdr *copy = rec ? malloc(rec->size) : NULL;
	struct item *slot = copy || !rec ? vec_push(&r->items) : NULL;

	if (!slot) {
		free(copy);
		return -ENOMEM;
	}
	if (copy)
		memcpy(copy, rec, rec->size);
	*slot = (struct item){copy, arrival, r->items.n, rec && is_known(rec)};
	return 0;
}

static int add_item(struct loading *l, const struct rec_hdr *rec, uint64_t arrival)
{
	static const struct recording unknown = {"", "", ""};
	int err = l->run ? 0 : take_recording(l, &unknown);

	return err ? err : replay_add(l->run, rec, arrival);
}

static int take_record(void *arg, const struct rec_hdr *rec, const char *run)
{
	struct loading *l = arg;
	int err = 0;

	if (run && (!l->run || strcmp(l->run->run, run)))
		err = take_recording(l, &(struct recording){.host = "", .run = run});
	return err ? err : add_item(l, rec, rec->mono_ns);
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

/* One of our own: what it holds that this version can't use is told, too. */
static int load_recording(struct replay_set *set, const void *file, size_t size,
			  struct pcapng_stats *stats, struct strbuf *why)
{
	struct loading l = {.set = set};
	const struct pcapng_sink sink = {take_recording, take_record, take_loss, &l};
	struct codec *codec;
	int err = codec_new(&codec);

	if (err)
		return err;
	err = pcapng_read(codec, file, size, &sink, stats, why);
	codec_free(codec);
	if (!err && stats->bad + stats->unknown) {
		strbuf_addf(why, "%llu records left out, %llu of a newer version",
			    (unsigned long long)(stats->bad + stats->unknown),
			    (unsigned long long)stats->unknown);
		return -EBADMSG;
	}
	return err;
}

/* A recording, or what another program has captured. */
static int load_plain(struct replay_set *set, const char *path, const void *file, size_t size,
		      struct strbuf *why)
{
	struct pcapng_stats stats = {0};
	bool pcap = replay_is_pcap(file, size);
	int err = pcap ? 0 : load_recording(set, file, size, &stats, why);

	if (stats.entries || (!pcap && !stats.packets))
		return err;
	strbuf_reset(why);
	return replay_load_capture(set, path, file, size, why);
}

static int load_packed(struct replay_set *set, const char *path, const void *file, size_t size,
		       struct strbuf *why)
{
	_cleanup_free_ void *plain = NULL;
	_cleanup_strbuf_ struct strbuf packed = {0};
	size_t n = 0;
	int cut = zst_unpack(file, size, &plain, &n, &packed), err;

	if (cut && !n) {
		strbuf_add(why, packed.s ? packed.s : strerror(-cut));
		return cut;
	}
	err = load_plain(set, path, plain, n, why);
	if (!cut || (err && err != -EBADMSG))
		return err;
	/* Why it ends there is the better reason than that it does. */
	strbuf_reset(why);
	strbuf_add(why, packed.s);
	return cut;
}

int replay_load(struct replay_set *set, const char *path, struct strbuf *why)
{
	size_t size = 0;
	void *file;
	int err = file_map(path, &file, &size);

	if (err == -ESPIPE)
		strbuf_add(why, "only files can be replayed, no pipes: write it to a file first");
	if (err)
		return err;
	err = (zst_is(file, size) ? load_packed : load_plain)(set, path, file, size, why);
	if (file)
		munmap(file, size);
	return err;
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

/* Of one event among those of the same nanosecond; a hostile recording may have any number of these. */
#define DOUBLES_AMONG 64

static bool is_double(const struct replay *r, size_t n, const struct item *item)
{
	for (size_t i = n; is_event(item) && i-- && n - i <= DOUBLES_AMONG;) {
		const struct item *other = &r->items.v[i];

		if (other->arrival != item->arrival)
			return false;
		if (is_event(other) && other->rec->seq && other->rec->seq == item->rec->seq)
			return true;
	}
	return false;
}

/* The same file twice, or one that another one was made from. */
static void drop_doubles(struct replay *r)
{
	size_t n = 0;

	for (size_t i = 0; i < r->items.n; i++) {
		if (is_double(r, n, &r->items.v[i]))
			free(r->items.v[i].rec);
		else
			r->items.v[n++] = r->items.v[i];
	}
	r->items.n = n;
}

int asked_order(const void *a, const void *b)
{
	const struct asked *x = a, *y = b;

	if (x->ns != y->ns)
		return x->ns < y->ns ? -1 : 1;
	if (x->what != y->what)
		return x->what < y->what ? -1 : 1;
	return x->netns < y->netns ? -1 : x->netns > y->netns;
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
		qsort(r->asked.v, r->asked.n, sizeof(*r->asked.v), asked_order);
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

int replay_order(struct replay *r)
{
	int err = r->capture ? capture_flows_end(r->capture) : 0;

	if (err || !r->items.n)
		return err;
	lookups_arrive(r);
	qsort(r->items.v, r->items.n, sizeof(*r->items.v), by_arrival);
	drop_doubles(r);
	find_clock(r);
	return index_questions(r);
}
