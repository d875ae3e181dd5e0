/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "cli/session.h"

#include "cli/recorder.h"
#include "cli/replay.h"
#include "cli/sources.h"
#include "diagnose/engine.h"
#include "record/record.h"
#include "sym/modules.h"

#include <malloc.h>

/*
 * Modules and BPF programs come and go: an unknown address is worth reading the symbols again, but
 * not all the time.
 */
#define SYMBOLS_AGAIN_NS NSEC_PER_SEC
/* As long a verdict waits for the source lines of its stack: the first take that on a slow machine. */
#define SOURCES_NS (5 * NSEC_PER_SEC)
#define LARGE (128 * 1024) /* bytes */

static void print_repeat(void *arg, const struct verdict *v, uint64_t count, uint64_t total)
{
	struct session *s = arg;

	if (s->o->diff)
		return;
	if (s->o->json)
		jsonl_repeat(&s->out, v, count, total);
	else
		text_repeat(&s->out, v, count, total);
}

static void repeat_event(void *arg, uint64_t verdict_id)
{
	struct session *s = arg;

	incidents_event(s->incidents, verdict_id);
}

static bool want_color(const struct watch_options *o, FILE *to)
{
	if (o->color != COLOR_AUTO)
		return o->color == COLOR_ALWAYS;
	return isatty(fileno(to)) && !getenv("NO_COLOR");
}

int session_open(struct session *s, const struct watch_options *o)
{
	int err;

	/*
	 * What is large, the symbols above all, is the system's again once it is freed: else what the limit grows
	 * to by itself would stay (mallopt(3)).
	 */
	(void)mallopt(M_MMAP_THRESHOLD, LARGE);
	s->o = o;
	s->started_ns = now_mono();
	/* A command's own output stays alone on stdout. */
	s->out.to = o->command && !o->json ? stderr : stdout;
	s->out.color = want_color(o, s->out.to);
	s->out.stacks = o->stacks;
	err = world_new(&s->world);
	if (!err)
		err = track_new(diagnose_needs, s->world, &s->track);
	if (!err)
		err = incidents_new(print_repeat, s, &s->incidents);
	if (!err)
		track_on_repeat(s->track, repeat_event, s);
	return err;
}

void session_close(struct session *s)
{
	enrich_close(s->enrich);
	nft_trace_close(s->trace);
	live_close(s->live);
	sources_close(s->sources);
	lines_close(s->lines);
	recorder_close(s->recorder);
	incidents_free(s->incidents);
	track_free(s->track);
	world_free(s->world);
	ksyms_free(s->ksyms);
}

/* ---- symbols --------------------------------------------------------------------------------- */

void session_load_symbols(struct session *s)
{
	struct ksyms *again = NULL;

	s->ksyms_ns = now_mono();
	s->modules = modules_fingerprint(NULL);
	if (ksyms_load(NULL, &again) < 0)
		return;
	ksyms_free(s->ksyms);
	s->ksyms = again;
	ksyms_locate(again, (const char *const[]){"_stext"}, 1, &s->stext);
}

/* Code of the kernel itself stays where it is; modules come, and take the place of others' init code. */
static bool is_current(const struct session *s, bool found, const struct rec_symbol *sym)
{
	if (found && !sym->module[0])
		return true;
	if (modules_fingerprint(NULL) != s->modules)
		return false;
	return found || now_mono() < s->ksyms_ns + SYMBOLS_AGAIN_NS;
}

bool session_find_symbol(struct session *s, uint64_t addr, bool call, struct rec_symbol *ret)
{
	bool found;

	if (!s->ksyms)
		return false;
	found = ksyms_find(s->ksyms, addr - call, ret) == 0;
	if (!is_current(s, found, ret)) {
		session_load_symbols(s);
		found = ksyms_find(s->ksyms, addr - call, ret) == 0;
	}
	if (found)
		ret->offset += call;
	return found;
}

static void resolve(struct session *s, uint64_t addr, bool call)
{
	struct rec_symbol sym = {0};

	if (!addr || world_symbol(s->world, addr) || !session_find_symbol(s, addr, call, &sym))
		return;
	sym.hdr = record_hdr(REC_SYMBOL);
	sym.addr = addr;
	track_add(s->track, &sym.hdr);
}

static void resolve_event(struct session *s, const struct rec_event *e)
{
	resolve(s, e->location, true);
	for (unsigned i = 0; i < e->nr_kstack; i++)
		resolve(s, e->kstack[i], true);
	for (unsigned i = 0; i < e->nr_hooks; i++)
		resolve(s, e->hooks[i], false);
	for (unsigned i = 0; i < e->mem.ct_end.nr_stack; i++)
		resolve(s, e->mem.ct_end.stack[i], true);
	resolve(s, e->nf.function, false);
	resolve(s, e->nf.expr_function, false);
}

/* ---- source lines ---------------------------------------------------------------------------- */

static void want_sources(struct session *s, const uint64_t *addrs, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		const struct rec_symbol *sym = world_symbol(s->world, addrs[i]);

		if (sym)
			sources_ask(s->sources, sym, s->stext);
	}
}

/* Of what may get a verdict, or is shown with its stack. */
static void want_event_sources(struct session *s, const struct rec_event *e)
{
	if (track_weight(e, s->world) == WEIGHT_NONE && !(s->o->all && s->o->stacks))
		return;
	want_sources(s, &e->location, 1);
	want_sources(s, e->kstack, e->nr_kstack);
	want_sources(s, e->mem.ct_end.stack, e->mem.ct_end.nr_stack);
}

static void add_source(void *session, const struct rec_symbol *sym)
{
	struct session *s = session;

	track_add(s->track, &sym->hdr);
}

void session_take_sources(struct session *s)
{
	if (s->sources)
		sources_take(s->sources, add_source, s);
}

uint64_t session_sources_until(const struct session *s)
{
	uint64_t since = s->sources ? sources_busy_since(s->sources) : 0;

	return since ? since + SOURCES_NS : 0;
}

/* now: the step's time, which at the end is the end of all times. */
static bool waits_for_sources(const struct session *s, uint64_t now)
{
	uint64_t until = session_sources_until(s);

	return now < until && now_mono() < until;
}

bool session_holds(const struct session *s, uint64_t ns)
{
	return waits_for_sources(s, ns) && track_next_ns(s->track) <= ns;
}

static const struct rec_symbol *find_symbol(void *arg, uint64_t addr)
{
	const struct session *s = arg;

	return world_symbol(s->world, addr);
}

/* ---- records in ------------------------------------------------------------------------------ */

static void print_record(struct session *s, const struct rec_hdr *rec)
{
	struct out_symbols syms = {find_symbol, s};

	if (!s->o->all || s->o->diff ||
	    (s->wanted && REC_KIND_IS_EVENT(rec->kind) &&
	     !s->wanted(s, (const struct rec_event *)rec, NULL)))
		return;
	if (s->o->json)
		jsonl_record(&s->out, rec, &syms);
	else
		text_record(&s->out, rec, &syms);
	if (ferror(s->out.to))
		s->broken_output = true;
}

void session_event(void *session, struct rec_hdr *rec)
{
	struct session *s = session;

	s->events++;
	resolve_event(s, (const struct rec_event *)rec);
	reason_derive(&s->derive, s->world, (struct rec_event *)rec);
	if (s->trace)
		nft_trace_fill(s->trace, (struct rec_event *)rec);
	print_record(s, rec);
	if (s->recorder)
		recorder_record(s->recorder, rec, s->world);
	track_add(s->track, rec);
	if (s->sources)
		want_event_sources(s, (const struct rec_event *)rec);
}

void session_lookup(void *session, const struct rec_hdr *rec)
{
	struct session *s = session;

	if (record_validate(rec, rec->size) < 0) {
		s->invalid_lookups++;
		return;
	}
	if (rec->kind == REC_HOOK)
		resolve(s, ((const struct rec_hook *)rec)->function, false);
	print_record(s, rec);
	if (s->recorder)
		recorder_record(s->recorder, rec, s->world);
	track_add(s->track, rec);
}

/* ---- questions and verdicts out -------------------------------------------------------------- */

/* Without enrich nobody answers; with it, it says itself that it refused. */
static void refuse(struct session *s, const struct question *q)
{
	struct rec_answer a = {
		.question = q->id, .asked_ns = q->event_ns, .what = q->kind, .err = -EBUSY};

	s->refused++;
	if (s->enrich)
		return;
	a.hdr = record_hdr(REC_ANSWER);
	a.hdr.netns = q->netns;
	track_add(s->track, &a.hdr);
}

static void ask_all(struct session *s)
{
	struct question q;

	while (track_question(s->track, &q))
		if (s->replay)
			replay_ask(s->replay, &q);
		else if (!s->enrich || enrich_ask(s->enrich, &q) < 0)
			refuse(s, &q);
}

static void print_verdict(struct session *s, const struct verdict *v)
{
	if (s->tell)
		s->tell(s->tell_arg, v);
	if (s->o->diff)
		return;
	if (s->o->json)
		jsonl_verdict(&s->out, v);
	else
		text_verdict(&s->out, v);
	if (ferror(s->out.to))
		s->broken_output = true;
}

/* A connection is wanted if any event of it is: its others may be from behind a NAT. */
static bool is_wanted(const struct session *s, const struct timeline *tl)
{
	timeline_each_event(tl, e) {
		if (!s->wanted || s->wanted(s, e, tl))
			return true;
	}
	return false;
}

/* It had its verdict while its connect() went on. */
static void tell_end(struct session *s, const struct timeline *tl)
{
	const struct verdict *v = incidents_get(s->incidents, tl->verdict_id);
	struct ledger l = {0};

	judge_ledger(&(struct judge){.tl = tl, .world = s->world}, &l);
	if (s->recorder && v)
		recorder_end(s->recorder, tl, s->world, v);
	if (v && l.over && !s->o->diff)
		(s->o->json ? jsonl_connect_end : text_connect_end)(&s->out, v, &l);
	ledger_free(&l);
}

static void judge(struct session *s, struct timeline *tl)
{
	struct diagnose_loss loss = {.lost = tl->cut > 0 || track_forgot(s->track, tl) ||
					     (s->lost && s->lost_ns >= tl->first_ns)};
	struct verdict v = {0};
	const struct verdict *told;
	bool repeats, goes_on;
	uint64_t id;

	if (tl->verdict_id) {
		tell_end(s, tl);
		track_judged(s->track, tl, tl->verdict_id);
		return;
	}
	if (!is_wanted(s, tl) || diagnose(tl, s->world, &loss, &v) <= 0) {
		track_judged(s->track, tl, 0);
		return;
	}
	if (s->host)
		str_copy(v.host, sizeof(v.host), s->host);
	if (s->recorder)
		recorder_verdict(s->recorder, tl, s->world, &v, loss.lost);
	goes_on = v.connect.known && !v.connect.over;
	id = incidents_add(s->incidents, &v, &repeats);
	told = incidents_get(s->incidents, id);
	if (!repeats)
		print_verdict(s, told ? told : &v);
	verdict_free(&v);
	tl->awaits_end = goes_on && !repeats;
	track_judged(s->track, tl, id);
}

void session_step(struct session *s, uint64_t now)
{
	uint64_t lost = s->live ? live_lost(s->live) : s->lost;
	struct timeline *tl;

	if (lost != s->lost) {
		s->lost = lost;
		s->lost_ns = now_mono();
	}
	if (s->live && now >= session_cover_next_ns(s))
		(void)session_cover_hooks(s);
	ask_all(s);
	while (!waits_for_sources(s, now) && !session_enough(s) && (tl = track_ripe(s->track, now)))
		judge(s, tl);
	incidents_tell(s->incidents, now);
}

uint64_t session_next_ns(const struct session *s)
{
	uint64_t ripe = track_next_ns(s->track);
	uint64_t cover = s->live ? session_cover_next_ns(s) : UINT64_MAX;

	if (waits_for_sources(s, ripe))
		ripe = session_sources_until(s);
	return ripe < cover ? ripe : cover;
}

void session_step_to(struct session *s, uint64_t ns)
{
	uint64_t next, stepped = 0;

	/* Times near the end of the clock, from a hostile recording, never come. */
	for (; (next = session_next_ns(s)) <= ns && next > stepped; stepped = next)
		session_step(s, next);
}

bool session_enough(const struct session *s)
{
	return s->broken_output || (s->recorder && recorder_failed(s->recorder)) ||
	       (s->o->count && incidents_count(s->incidents) >= s->o->count);
}

/* ---- summary --------------------------------------------------------------------------------- */

struct summing {
	struct session *s;
	struct out_summary sum;
};

static void netns_name(const struct rec_netns *ns, char *ret, size_t size)
{
	str_copy(ret, size, world_is_host(ns) ? "host" : ns->name[0] ? ns->name : ns->container);
}

static void add_count(void *arg, const struct count_key *key, const struct count_value *v,
		      const char *reason)
{
	struct summing *sum = arg;
	struct session *s = sum->s;
	struct out_count *row = vec_push(&sum->sum.counts);
	const struct rec_netns *ns = world_netns(s->world, key->netns);
	const struct rec_symbol *sym;

	sum->sum.seen += v->seen;
	sum->sum.shown += v->shown;
	sum->sum.suppressed += v->suppressed;
	sum->sum.lost += v->lost;
	if (!row)
		return;
	row->key = *key;
	row->value = *v;
	str_copy(row->reason, sizeof(row->reason), reason);
	if (key->kind == REC_DROP) {
		resolve(s, key->location, true);
		sym = world_symbol(s->world, key->location);
		if (sym)
			snprintf(row->location, sizeof(row->location), "%s+0x%llx", sym->name,
				 (unsigned long long)sym->offset);
	}
	if (ns)
		netns_name(ns, row->netns, sizeof(row->netns));
}

struct connects {
	struct session *s;
	VEC(struct out_connects) rows;
};

static void add_connects(void *arg, const struct connect_key *key, const struct connect_value *v)
{
	struct connects *c = arg;
	struct out_connects *row = vec_push(&c->rows);
	const struct rec_netns *ns = world_netns(c->s->world, key->netns);

	if (!row)
		return;
	*row = (struct out_connects){.key = *key, .value = *v};
	if (ns)
		netns_name(ns, row->netns, sizeof(row->netns));
}

static void ask_name(void *session, const struct connect_key *key, const struct connect_value *v)
{
	struct session *s = session;
	struct question q = {.kind = Q_NETNS, .netns = key->netns};

	(void)v;
	if (world_netns_wanted(s->world, key->netns))
		(void)enrich_ask(s->enrich, &q);
}

void session_ask_names(struct session *s)
{
	if (s->enrich && s->o->connect_latency)
		(void)live_connects(s->live, ask_name, s);
}

static int most_connects(const void *a, const void *b)
{
	const struct connect_value *x = &((const struct out_connects *)a)->value;
	const struct connect_value *y = &((const struct out_connects *)b)->value;
	uint64_t m = x->connected + x->failed, n = y->connected + y->failed;

	return m < n ? 1 : m > n ? -1 : 0;
}

static void print_connects(struct session *s)
{
	struct connects c = {.s = s};

	(void)live_connects(s->live, add_connects, &c);
	if (c.rows.n)
		qsort(c.rows.v, c.rows.n, sizeof(c.rows.v[0]), most_connects);
	for (size_t i = 0; i < c.rows.n; i++)
		(s->o->json ? jsonl_connects : text_connects)(&s->out, &c.rows.v[i]);
	vec_free(&c.rows);
}

void session_print_summary(struct session *s, bool command, int status)
{
	struct summing sum = {.s = s};

	incidents_tell(s->incidents, UINT64_MAX);
	if (s->live && s->o->connect_latency)
		print_connects(s);
	if (s->live)
		live_counts(s->live, add_count, &sum);
	else
		sum.sum.seen = sum.sum.shown = s->events;
	sum.sum.questions_unanswered = s->refused;
	sum.sum.evicted = track_evicted(s->track);
	sum.sum.duration_ns = s->live ? now_mono() - s->started_ns : 0;
	sum.sum.command = command;
	sum.sum.command_status = status;
	incidents_summary(s->incidents, &sum.sum);
	if (s->o->json)
		jsonl_summary(&s->out, &sum.sum);
	else if (!s->o->quiet)
		text_summary(&s->out, &sum.sum);
	if (s->live && live_payloads_lost(s->live))
		fprintf(stderr,
			"tcpwhy: --snaplen: of %llu packets only the headers are recorded: they "
			"came too fast\n",
			(unsigned long long)live_payloads_lost(s->live));
	vec_free(&sum.sum.counts);
	vec_free(&sum.sum.verdicts);
}
