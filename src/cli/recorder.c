/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "cli/recorder.h"

#include "cli/payloads.h"
#include "cli/zst.h"
#include "enrich/thread.h"
#include "out/pcapng.h"
#include "record/record.h"

#include <fcntl.h>
#include <sys/utsname.h>

/* Connections that failed a moment ago, of which more is written. */
#define FAILED_MAX 256

struct failed {
	struct rec_tuple tuple; /* canonical */
	uint32_t netns;
	uint64_t until_ns;
};

struct recorder {
	const struct record_options *o;
	int fd;
	uint64_t bytes; /* in the current file */
	struct pcapng_writer writer;
	struct world *written; /* what the current file has of symbols and namespaces */
	struct failed failed[FAILED_MAX];
	size_t next;
	char run[64];
	bool broken, told;
	pthread_t packer;
	bool packs; /* the thread is there */
	struct payloads payloads;
};

bool recorder_failed(const struct recorder *r)
{
	return r->broken;
}

/* ---- files ----------------------------------------------------------------------------------- */

/* Of one's own: it tells who talks to whom. */
static int file_create(const char *path)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);

	return fd < 0 ? -errno : fd;
}

static void broken(struct recorder *r, const char *doing, int err)
{
	fprintf(stderr, "tcpwhy: %s %s: %s; nothing more is recorded\n", doing, r->o->path,
		strerror(err));
	r->broken = true;
}

/* All at once: whatever happens to the process, the file ends behind a whole block. */
static void flush(struct recorder *r)
{
	struct strbuf *to = &r->writer.to;
	size_t at = 0;

	while (at < to->len && !r->broken) {
		ssize_t n = write(r->fd, to->s + at, to->len - at);

		if (n < 0 && errno != EINTR)
			broken(r, "writing", errno);
		at += n > 0 ? (size_t)n : 0;
	}
	r->bytes += at;
	strbuf_reset(to);
}

static int section(struct recorder *r)
{
	struct utsname uts;
	char os[256];

	world_free(r->written);
	r->written = NULL;
	if (uname(&uts) < 0)
		return -errno;
	snprintf(os, sizeof(os), "%s %s %s", uts.sysname, uts.release, uts.machine);
	pcapng_section(&r->writer, &(struct pcapng_host){.name = uts.nodename,
							 .os = os,
							 .run = r->run,
							 .wall_ns = now_wall()});
	return world_new(&r->written);
}

#define PACKED ".zst"

static void name_of(const struct recorder *r, uint64_t number, const char *ending,
		    struct strbuf *name)
{
	strbuf_reset(name);
	strbuf_add(name, r->o->path);
	if (number)
		strbuf_addf(name, ".%llu", (unsigned long long)number);
	strbuf_add(name, ending);
}

/* FILE becomes FILE.1, FILE.1 becomes FILE.2…; the oldest goes. */
static int make_older(const struct recorder *r, const char *ending)
{
	_cleanup_strbuf_ struct strbuf from = {0};
	_cleanup_strbuf_ struct strbuf to = {0};
	uint64_t first = *ending ? 1 : 0;

	name_of(r, r->o->files - 1, ending, &from);
	if (r->o->files > first && unlink(from.s) < 0 && errno != ENOENT)
		return -errno;
	for (uint64_t n = r->o->files - 1; n-- > first;) {
		name_of(r, n, ending, &from);
		name_of(r, n + 1, ending, &to);
		if (rename(from.s, to.s) < 0 && errno != ENOENT)
			return -errno;
	}
	return 0;
}

/* ---- compression ----------------------------------------------------------------------------- */

/* Under another name until it is whole: at any time one of both can be read. */
static int pack(const char *from, const char *part, const char *to)
{
	_cleanup_close_ int in = open(from, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	_cleanup_close_ int out = -1;
	int err;

	if (in < 0)
		return -errno;
	if (unlink(part) < 0 && errno != ENOENT)
		return -errno;
	out = file_create(part);
	err = out < 0 ? out : zst_compress(in, out);
	if (!err && (rename(part, to) < 0 || unlink(from) < 0))
		err = -errno;
	if (err)
		(void)unlink(part);
	return err;
}

/* A thread: it takes longer than events may wait. What fails stays as it is. */
static void *packing(void *recorder)
{
	const struct recorder *r = recorder;
	_cleanup_strbuf_ struct strbuf from = {0};
	_cleanup_strbuf_ struct strbuf part = {0};
	_cleanup_strbuf_ struct strbuf to = {0};
	int err;

	name_of(r, 1, "", &from);
	name_of(r, 1, PACKED ".part", &part);
	name_of(r, 1, PACKED, &to);
	err = pack(from.s, part.s, to.s);
	if (err)
		fprintf(stderr, "tcpwhy: %s could not be compressed: %s\n", from.s, strerror(-err));
	return NULL;
}

static void pack_older(struct recorder *r)
{
	if (r->o->compress && r->o->files > 1)
		r->packs = thread_start(&r->packer, "pack", packing, r) == 0;
}

static void await_packer(struct recorder *r)
{
	if (r->packs)
		pthread_join(r->packer, NULL);
	r->packs = false;
}

/* ---- rotation -------------------------------------------------------------------------------- */

/* In a folder of another user nothing can be renamed once privileges are dropped. */
static int start_over(struct recorder *r, int err)
{
	if (!r->told)
		fprintf(stderr, "tcpwhy: %s can't become %s.1 (%s): it starts over instead\n",
			r->o->path, r->o->path, strerror(-err));
	r->told = true;
	return ftruncate(r->fd, 0) < 0 || lseek(r->fd, 0, SEEK_SET) < 0 ? -errno : 0;
}

static void rotate(struct recorder *r)
{
	int err;

	await_packer(r);
	err = make_older(r, PACKED);
	if (!err)
		err = make_older(r, "");
	r->bytes = 0;
	if (err == -EACCES || err == -EPERM) {
		err = start_over(r, err);
	} else if (!err) {
		close_fd(&r->fd);
		r->fd = file_create(r->o->path);
		err = r->fd < 0 ? r->fd : 0;
		if (!err)
			pack_older(r);
	}
	if (!err)
		err = section(r);
	if (err)
		broken(r, "rotating", -err);
}

static void make_room(struct recorder *r)
{
	if (!r->broken && r->bytes >= r->o->size)
		rotate(r);
}

int recorder_open(const struct record_options *o, struct recorder **ret, struct strbuf *why)
{
	struct recorder *r = calloc(1, sizeof(*r));
	int err;

	if (!r)
		return -ENOMEM;
	r->o = o;
	snprintf(r->run, sizeof(r->run), "%llx-%x", (unsigned long long)now_wall(),
		 (unsigned)getpid());
	r->fd = file_create(o->path);
	err = r->fd < 0 ? r->fd : pcapng_writer_open(&r->writer);
	r->writer.snaplen = (uint32_t)o->snaplen;
	if (!err)
		err = section(r);
	if (!err)
		flush(r);
	if (!err) {
		*ret = r;
		return 0;
	}
	strbuf_addf(why, "-o %s: %s", o->path,
		    err == -EEXIST ? "there is such a file; remove it, or give another name"
				   : strerror(-err));
	recorder_close(r);
	return err;
}

void recorder_close(struct recorder *r)
{
	if (!r)
		return;
	await_packer(r);
	close_fd(&r->fd);
	pcapng_writer_close(&r->writer);
	payloads_clear(&r->payloads);
	world_free(r->written);
	free(r);
}

/* ---- what is written ------------------------------------------------------------------------- */

/* What a record speaks of stands before it, once in each file. */
static void add_symbol(struct recorder *r, const struct world *w, uint64_t addr)
{
	const struct rec_symbol *sym = addr ? world_symbol(w, addr) : NULL;

	const struct rec_symbol *written = sym ? world_symbol(r->written, addr) : NULL;

	/* Its source line may have been found since. */
	if (!sym || (written && (written->source[0] || !sym->source[0])))
		return;
	pcapng_record(&r->writer, &sym->hdr, NULL, NULL);
	world_add(r->written, &sym->hdr);
}

/*
 * As no question's answer. Known from when it was found out: until then who needs it asks, and waits for the
 * answer.
 */
static void add_netns(struct recorder *r, const struct world *w, const struct rec_hdr *of)
{
	const struct rec_netns *ns = of->netns ? world_netns(w, of->netns) : NULL;
	struct rec_netns known;

	if (!ns || world_netns(r->written, of->netns))
		return;
	known = *ns;
	known.question = 0;
	if (known.hdr.mono_ns < of->mono_ns) {
		known.hdr.mono_ns = of->mono_ns;
		known.hdr.wall_ns = of->wall_ns;
	}
	pcapng_record(&r->writer, &known.hdr, NULL, NULL);
	world_add(r->written, &ns->hdr);
}

static void add_symbols(struct recorder *r, const struct world *w, const uint64_t *addr, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		add_symbol(r, w, addr[i]);
}

static void add_event_symbols(struct recorder *r, const struct world *w, const struct rec_event *e)
{
	add_symbol(r, w, e->location);
	add_symbols(r, w, e->kstack, e->nr_kstack);
	add_symbols(r, w, e->hooks, e->nr_hooks);
	add_symbols(r, w, e->mem.ct_end.stack, e->mem.ct_end.nr_stack);
	add_symbol(r, w, e->nf.function);
	add_symbol(r, w, e->nf.expr_function);
}

static const struct rec_symbol *find_symbol(void *arg, uint64_t addr)
{
	return world_symbol(arg, addr);
}

static void set_payload(struct recorder *r, const struct rec_event *e)
{
	const struct payload *p = payloads_find(&r->payloads, e->hdr.mono_ns, e->cpu);

	r->writer.payload = p ? p->bytes : NULL;
	r->writer.payload_len = p ? p->len : 0;
}

static void add_record(struct recorder *r, const struct rec_hdr *rec, const struct world *w,
		       const struct verdict *v)
{
	const struct out_symbols syms = {find_symbol, (void *)w};

	r->writer.wall_ns = rec->wall_ns;
	if (REC_KIND_IS_EVENT(rec->kind)) {
		add_event_symbols(r, w, (const struct rec_event *)rec);
		set_payload(r, (const struct rec_event *)rec);
	}
	if (rec->kind == REC_HOOK)
		add_symbol(r, w, ((const struct rec_hook *)rec)->function);
	add_netns(r, w, rec);
	pcapng_record(&r->writer, rec, &syms, v);
}

void recorder_payload(void *recorder, const struct rec_payload *p, const uint8_t *bytes)
{
	struct recorder *r = recorder;

	payloads_add(&r->payloads, p, bytes);
}

static bool has_failed(const struct recorder *r, const struct rec_event *e)
{
	struct rec_tuple t = tuple_canonical(&e->pkt.tuple);

	for (size_t i = 0; i < FAILED_MAX; i++)
		if (e->hdr.mono_ns < r->failed[i].until_ns && r->failed[i].netns == e->hdr.netns &&
		    tuple_equal(&r->failed[i].tuple, &t))
			return true;
	return false;
}

/* From now on, and for a while. */
static void note_failed(struct recorder *r, const struct rec_event *e, uint64_t until_ns)
{
	struct failed *f;

	if (has_failed(r, e))
		return;
	f = &r->failed[r->next++ % FAILED_MAX];
	f->tuple = tuple_canonical(&e->pkt.tuple);
	f->netns = e->hdr.netns;
	f->until_ns = until_ns;
}

void recorder_record(struct recorder *r, const struct rec_hdr *rec, const struct world *w)
{
	if (r->broken)
		return;
	if (!r->o->everything &&
	    (!REC_KIND_IS_EVENT(rec->kind) || !has_failed(r, (const struct rec_event *)rec)))
		return;
	make_room(r);
	add_record(r, rec, w, NULL);
	flush(r);
}

/* So that a replay waits as long as the watch did, and misses the same. */
static void add_unanswered(struct recorder *r, const struct timeline *tl, const struct world *w,
			   const struct verdict *v)
{
	uint64_t now = now_mono();

	for (size_t i = 0; i < tl->open.n; i++) {
		const struct open_question *a = &tl->open.v[i];
		struct rec_answer rec = {.hdr = record_hdr(REC_ANSWER),
					 .question = tl->id,
					 .asked_ns = a->event_ns,
					 .what = a->kind,
					 .err = REC_UNANSWERED};

		rec.hdr.netns = a->netns;
		rec.hdr.mono_ns = now;
		rec.hdr.wall_ns = v->wall_ns + (now - v->mono_ns);
		add_record(r, &rec.hdr, w, NULL);
	}
}

void recorder_verdict(struct recorder *r, const struct timeline *tl, const struct world *w,
		      const struct verdict *v, bool lost)
{
	uint64_t from = v->mono_ns > r->o->before ? v->mono_ns - r->o->before : 0;

	if (r->broken)
		return;
	make_room(r);
	for (size_t i = 0; i < tl->recs.n && !r->o->everything; i++) {
		const struct rec_hdr *rec = tl->recs.v[i];
		bool event = REC_KIND_IS_EVENT(rec->kind);

		if (event && rec->mono_ns < from)
			continue;
		add_record(r, rec, w, event && rec->mono_ns == v->mono_ns ? v : NULL);
		if (event)
			note_failed(r, (const struct rec_event *)rec, v->mono_ns + r->o->after);
	}
	add_unanswered(r, tl, w, v);
	if (lost)
		pcapng_loss(&r->writer, tl->last_ns, v->wall_ns);
	pcapng_verdict(&r->writer, v);
	flush(r);
}

void recorder_end(struct recorder *r, const struct timeline *tl, const struct world *w,
		  const struct verdict *v)
{
	if (r->broken || r->o->everything)
		return;
	make_room(r);
	/* What came before the verdict is written, and of what came then that of ends known by then. */
	for (size_t i = 0; i < tl->recs.n; i++)
		if (REC_KIND_IS_EVENT(tl->recs.v[i]->kind) && tl->recs.v[i]->mono_ns > v->mono_ns &&
		    !has_failed(r, (const struct rec_event *)tl->recs.v[i]))
			add_record(r, tl->recs.v[i], w, NULL);
	flush(r);
}
