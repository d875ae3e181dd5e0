/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Whose connect() or close() it was, and which of its functions called it. */
#include "diagnose/judge.h"
#include "record/question.h"

#include <inttypes.h>

static const struct rec_answer *answer_of(const struct timeline *tl, uint64_t event_ns)
{
	timeline_each(tl, REC_ANSWER, struct rec_answer, a) {
		if (a->what == Q_USER_STACK && a->err != REC_UNANSWERED && a->asked_ns == event_ns)
			return a;
	}
	return NULL;
}

/* The event itself was a call; or another of its connection was, which was looked at. *ret: NULL, it ends. */
static const struct rec_event *called(const struct judge *j, const struct rec_answer **ret)
{
	const struct rec_event *best = j->ev;
	const struct rec_answer *a;

	*ret = answer_of(j->tl, j->ev->hdr.mono_ns);
	if (j->ev->task.ending != TASK_RUNS)
		return j->ev;
	timeline_each_event(j->tl, e) {
		a = *ret && !(*ret)->err ? NULL : answer_of(j->tl, e->hdr.mono_ns);
		if (a) {
			*ret = a;
			best = e;
		}
	}
	return *ret ? best : NULL;
}

/* Whose stack e has: of the one who called connect(), or of the task that ran. */
static uint32_t pid_of(const struct rec_event *e)
{
	return e->mem.connect.tid ? e->mem.connect.pid : e->task.pid;
}

static const char *file_name(const struct rec_user_frame *f)
{
	const char *slash = strrchr(f->object, '/');

	return slash ? slash + 1 : f->object;
}

/* "connect+0x14 libc.so.6", "+0x1234 client" of a file without a name for it. */
static void frame_add(const struct rec_user_frame *f, struct verdict *v)
{
	if (f->at == USER_IN_MEMORY && !*f->object)
		verdict_user_frame(v, "0x%" PRIx64 " (code without a file or a name)", f->addr);
	else if (f->at == USER_IN_PERF_MAP)
		verdict_user_frame(v, "%s+0x%" PRIx64 " (perf map)", f->name, f->offset);
	else
		verdict_user_frame(v, "%s+0x%" PRIx64 " %s%s", f->name, f->offset, file_name(f),
				   f->at == USER_FILE_UNREAD ? " (not read)" : "");
}

static const char *function_of(const struct rec_user_frame *f)
{
	return *f->name ? f->name : *f->object ? file_name(f) : "it";
}

static void end_text(const struct rec_user_frame *last, const struct rec_user_frame *unsure,
		     struct strbuf *out)
{
	if (unsure)
		strbuf_addf(out,
			    "%s has no unwind tables, only its frame pointer tells its caller: one "
			    "may be missing. ",
			    function_of(unsure));
	if (last->end == USER_NO_POINTER)
		strbuf_addf(out,
			    "The rest is not known: %s keeps no frame pointer, and its caller's "
			    "address lies too far up the stack.",
			    function_of(last));
	else if (last->end == USER_NO_CODE)
		strbuf_addf(out,
			    "The rest is not known: where %s should return to is no code. Was "
			    "something here built without frame pointers?",
			    function_of(last));
	else if (last->end == USER_FULL)
		strbuf_add(out, "There may be more: the rest was not kept.");
	while (out->len && out->s[out->len - 1] == ' ')
		out->s[--out->len] = '\0';
}

static void frames_add(const struct judge *j, const struct rec_event *e, struct verdict *v)
{
	const struct rec_user_frame *last = NULL, *unsure = NULL;
	_cleanup_strbuf_ struct strbuf end = {0};

	timeline_each(j->tl, REC_USER_FRAME, struct rec_user_frame, f) {
		if (f->event_ns != e->hdr.mono_ns || f->pid != pid_of(e))
			continue;
		frame_add(f, v);
		last = f;
		if (f->unsure && !unsure)
			unsure = f;
	}
	if (last)
		end_text(last, unsure, &end);
	else
		strbuf_add(&end, "Its stack is not known: where it was at is no code.");
	if (end.len)
		v->user_stack_end = strdup(end.s);
}

void judge_caller(const struct judge *j, struct verdict *v)
{
	const struct rec_answer *a;
	const struct rec_event *e = called(j, &a);

	if (!e || !pid_of(e))
		return;
	if (!a && !(e->hdr.kind == REC_RST_SENT && e->active))
		return;
	v->process.pid = pid_of(e);
	str_copy(v->process.comm, sizeof(v->process.comm),
		 e->mem.connect.tid ? e->mem.connect.comm : e->task.comm);
	timeline_each(j->tl, REC_PROCESS, struct rec_process, p) {
		if (p->pid == pid_of(e))
			v->process = *p;
	}
	if (!a)
		v->user_stack_end = strdup("The process was ending: it had no stack any more.");
	else if (a->err == -ESRCH)
		v->user_stack_end = strdup("The process was gone, or another program, before its "
					   "stack could be read.");
	else if (a->err)
		v->user_stack_end = strdup("Its stack could not be read.");
	else
		frames_add(j, e, v);
}
