/* SPDX-License-Identifier: GPL-2.0-or-later */
/* tcpwhy replay: the verdicts of recordings, and what differs between two. */
#include "cli/cli.h"
#include "cli/replay.h"
#include "out/fields_out.h"
#include "record/record.h"

/* What of a verdict is compared and joined. */
struct told {
	struct out_end end;
	struct rec_tuple flow; /* to the service, where that is known */
	char ends[160];	       /* "tcp 10.0.0.1 -> 10.0.0.2:80" */
	char community[48];    /* "" not known */
	bool matched;
};

typedef VEC(struct told) told_vec;

/* A file may hold anything, and some of it is quoted. */
static void say(const char *path, const char *what, const char *then)
{
	_cleanup_strbuf_ struct strbuf text = {0};

	escape_text(what, &text);
	fprintf(stderr, "tcpwhy: %s: %s%s\n", path, text.s ? text.s : "", then);
}

static int fail(const char *path, const char *why)
{
	say(path, why, "");
	return EXIT_FAILURE;
}

/* What is damaged or cut off is replayed as far as it goes. */
static int load(struct replay_set *set, const char *path)
{
	_cleanup_strbuf_ struct strbuf why = {0};
	int err = replay_load(set, path, &why);

	if (!err && why.len)
		say(path, why.s, "");
	if (!err)
		return 0;
	if (err != -EBADMSG || !set->runs.n)
		return fail(path, why.s ? why.s : strerror(-err));
	say(path, why.s, "; the rest is replayed");
	return 0;
}

/* ---- verdicts -------------------------------------------------------------------------------- */

/* The client's port is another one each time. */
static void ends_text(const struct verdict *v, struct rec_tuple t, struct strbuf *out)
{
	if (v->service)
		t.sport = 0;
	strbuf_addf(out, "%s ", proto_name(t.proto));
	tuple_text(&t, out);
}

static void tell(void *arg, const struct verdict *v)
{
	_cleanup_strbuf_ struct strbuf ends = {0};
	_cleanup_strbuf_ struct strbuf community = {0};
	struct told *t = vec_push((told_vec *)arg);

	if (!t)
		return;
	t->flow = v->service < 0 ? tuple_reverse(&v->flow) : v->flow;
	t->end.verdict = v->id;
	ends_text(v, t->flow, &ends);
	if (tuple_is_whole(&v->flow))
		community_id(&v->flow, &community);
	str_copy(t->end.cause, sizeof(t->end.cause), v->cause);
	str_copy(t->end.certainty, sizeof(t->end.certainty), certainty_name(v->certainty));
	str_copy(t->end.host, sizeof(t->end.host), v->host);
	str_copy(t->ends, sizeof(t->ends), ends.s ? ends.s : "");
	str_copy(t->community, sizeof(t->community), community.s ? community.s : "");
}

static void print_pair(const struct told *a, const struct told *b, bool json)
{
	_cleanup_strbuf_ struct strbuf host_a = {0}, host_b = {0};
	struct out_joined joined = {
		.flow = a->flow,
		.ends = {.v = (struct out_end[]){a->end, b->end}, .n = 2, .cap = 2}};

	str_copy(joined.community, sizeof(joined.community), a->community);
	if (json) {
		jsonl_joined(&(struct out_options){.to = stdout}, &joined);
		return;
	}
	escape_text(a->end.host, &host_a);
	escape_text(b->end.host, &host_b);
	printf("both ends of %s (%s): %s says %s (%s), %s says %s (%s)\n", a->ends, a->community,
	       host_a.s ? host_a.s : "", a->end.cause, a->end.certainty, host_b.s ? host_b.s : "",
	       b->end.cause, b->end.certainty);
}

/* What one host says of a connection, and what the other end says. */
static void print_joined(const told_vec *told, bool json)
{
	for (size_t i = 0; i < told->n; i++) {
		const struct told *a = &told->v[i];

		for (size_t k = i + 1; k < told->n; k++) {
			const struct told *b = &told->v[k];

			if (*a->community && strcmp(a->community, b->community) == 0 &&
			    strcmp(a->end.host, b->end.host) != 0)
				print_pair(a, b, json);
		}
	}
}

/* ---- differences ----------------------------------------------------------------------------- */

static struct told *find(told_vec *in, const struct told *t, bool same)
{
	for (size_t i = 0; i < in->n; i++) {
		struct told *b = &in->v[i];

		if (b->matched || strcmp(b->ends, t->ends) != 0)
			continue;
		if (!same || (strcmp(b->end.cause, t->end.cause) == 0 &&
			      strcmp(b->end.certainty, t->end.certainty) == 0))
			return b;
	}
	return NULL;
}

static size_t print_one_sided(char sign, const told_vec *told)
{
	size_t n = 0;

	for (size_t i = 0; i < told->n; i++) {
		const struct told *t = &told->v[i];

		if (t->matched)
			continue;
		printf("%c %s (%s)  %s\n", sign, t->end.cause, t->end.certainty, t->ends);
		n++;
	}
	return n;
}

/* 0: the same; 1: not, as diff(1) has it. */
static int print_diff(told_vec *a, told_vec *b)
{
	size_t n = 0;

	for (int same = 1; same >= 0; same--) {
		for (size_t i = 0; i < a->n; i++) {
			struct told *was = &a->v[i], *is = was->matched ? NULL : find(b, was, same);

			if (!is)
				continue;
			was->matched = is->matched = true;
			if (same)
				continue;
			printf("~ %s (%s) became %s (%s)  %s\n", was->end.cause, was->end.certainty,
			       is->end.cause, is->end.certainty, was->ends);
			n++;
		}
	}
	n += print_one_sided('-', a) + print_one_sided('+', b);
	return n ? EXIT_FAILURE : EXIT_SUCCESS;
}

/* ---- commands -------------------------------------------------------------------------------- */

static int play(const struct watch_options *o, size_t n, char *const *files, told_vec *told)
{
	struct replay_set set = {.tell = tell, .arg = told};
	int status = EXIT_SUCCESS, err;

	for (size_t i = 0; i < n && status == EXIT_SUCCESS; i++)
		status = load(&set, files[i]);
	if (status == EXIT_SUCCESS) {
		err = replay_play(&set, o);
		if (err)
			status = fail(files[0], strerror(-err));
	}
	if (status == EXIT_SUCCESS && set.runs.n > 1 && !o->diff)
		print_joined(told, o->json);
	replay_free(&set);
	return status;
}

int cmd_replay(const struct watch_options *o, int n, char *const *files)
{
	told_vec a = {0}, b = {0};
	int status;

	if (o->diff) {
		status = play(o, 1, files, &a);
		if (status == EXIT_SUCCESS)
			status = play(o, 1, files + 1, &b);
		if (status == EXIT_SUCCESS)
			status = print_diff(&a, &b);
	} else {
		status = play(o, (size_t)n, files, &a);
	}
	if (fflush(stdout) || ferror(stdout))
		status = EXIT_FAILURE;
	vec_free(&a);
	vec_free(&b);
	return status;
}
