/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "timeline_fixture.h"

#include "diagnose/judge.h"
#include "record/question.h"

#define PID 77

static const struct rec_tuple *flow(void)
{
	static struct rec_tuple t;

	t = tcp("10.0.0.1", 40000, "10.0.0.2", 80);
	return &t;
}

/* A connect() that was refused, and what was found out of its caller. */
struct caller {
	struct rec_event e;
	VEC(struct rec_user_frame) frames;
	struct rec_answer answer;
	struct rec_process process;
	bool answered, named;
	struct world *world;
	struct verdict v;
};

static int setup(void **state)
{
	struct caller *c = calloc(1, sizeof(*c));

	assert_non_null(c);
	assert_int_equal(world_new(&c->world), 0);
	c->e = event_make(REC_CONNECT, flow(), 1000);
	story_task(&c->e, PID, "client");
	rec_init(&c->answer, REC_ANSWER, HOST, 2000);
	c->answer.what = Q_USER_STACK;
	c->answer.asked_ns = 1000;
	c->answered = true;
	*state = c;
	return 0;
}

static int teardown(void **state)
{
	struct caller *c = *state;

	verdict_free(&c->v);
	world_free(c->world);
	vec_free(&c->frames);
	free(c);
	return 0;
}

static struct rec_user_frame *frame(struct caller *c, uint8_t at, const char *name,
				    const char *object)
{
	struct rec_user_frame *f = vec_push(&c->frames);

	assert_non_null(f);
	rec_init(f, REC_USER_FRAME, HOST, 1500);
	f->event_ns = 1000;
	f->pid = PID;
	f->addr = 0xabc0;
	f->offset = 0x10;
	f->at = at;
	str_copy(f->name, sizeof(f->name), name);
	str_copy(f->object, sizeof(f->object), object);
	return f;
}

static const struct verdict *judged(struct caller *c)
{
	struct timeline tl = {0};
	struct judge j = {.tl = &tl, .world = c->world, .ev = &c->e};
	struct rec_hdr **slot;

	verdict_free(&c->v);
	slot = vec_push(&tl.recs);
	*slot = &c->e.hdr;
	for (size_t i = 0; i < c->frames.n; i++) {
		slot = vec_push(&tl.recs);
		*slot = &c->frames.v[i].hdr;
	}
	if (c->named) {
		slot = vec_push(&tl.recs);
		*slot = &c->process.hdr;
	}
	if (c->answered) {
		slot = vec_push(&tl.recs);
		*slot = &c->answer.hdr;
	}
	for (size_t i = 0; i < tl.recs.n; i++)
		assert_int_equal(record_validate(tl.recs.v[i], tl.recs.v[i]->size), 0);
	judge_caller(&j, &c->v);
	vec_free(&tl.recs);
	return &c->v;
}

static void frames_are_told_in_order(void **state)
{
	struct caller *c = *state;
	const struct verdict *v;

	frame(c, USER_IN_FILE, "connect", "/usr/lib/libc.so.6");
	frame(c, USER_IN_FILE, "", "/opt/client");
	frame(c, USER_IN_PERF_MAP, "js:f", "");
	frame(c, USER_IN_MEMORY, "", "");
	frame(c, USER_FILE_UNREAD, "", "/opt/lost.so");
	frame(c, USER_IN_FILE, "main", "/opt/client")->end = USER_OUTERMOST;
	v = judged(c);
	assert_int_equal(v->user_stack.n, 6);
	assert_string_equal(v->user_stack.v[0], "connect+0x10 libc.so.6");
	assert_string_equal(v->user_stack.v[1], "+0x10 client");
	assert_string_equal(v->user_stack.v[2], "js:f+0x10 (perf map)");
	assert_string_equal(v->user_stack.v[3], "0xabc0 (code without a file or a name)");
	assert_string_equal(v->user_stack.v[4], "+0x10 lost.so (not read)");
	assert_null(v->user_stack_end);
	assert_int_equal(v->process.pid, PID);
	assert_string_equal(v->process.comm, "client");
}

static void what_is_not_known_is_said(void **state)
{
	struct caller *c = *state;
	struct rec_user_frame *f;

	frame(c, USER_IN_FILE, "connect", "/usr/lib/libc.so.6");
	frame(c, USER_IN_FILE, "dial", "/opt/client")->end = USER_NO_POINTER;
	assert_non_null(strstr(judged(c)->user_stack_end, "dial keeps no frame pointer"));
	f = &c->frames.v[1];
	f->end = USER_NO_CODE;
	assert_non_null(strstr(judged(c)->user_stack_end, "where dial should return to is no "
							  "code"));
	f->name[0] = '\0';
	assert_non_null(strstr(judged(c)->user_stack_end, "where client should return to is no "
							  "code"));
	f->end = USER_FULL;
	assert_non_null(strstr(judged(c)->user_stack_end, "There may be more"));
	f->end = USER_OUTERMOST;
	c->frames.v[0].unsure = 1;
	assert_non_null(strstr(judged(c)->user_stack_end, "connect has no unwind tables"));
}

static void who_is_gone_is_said(void **state)
{
	struct caller *c = *state;

	c->answer.err = -ESRCH;
	assert_int_equal(judged(c)->user_stack.n, 0);
	assert_non_null(strstr(c->v.user_stack_end, "gone"));
	assert_int_equal(c->v.process.pid, PID);
	c->answer.err = -EBUSY;
	assert_string_equal(judged(c)->user_stack_end, "Its stack could not be read.");
}

static void what_was_not_asked_is_not_told(void **state)
{
	struct caller *c = *state;

	c->answered = false;
	assert_null(judged(c)->user_stack_end);
	assert_int_equal(c->v.process.pid, 0);
	c->answered = true;
	c->answer.err = REC_UNANSWERED;
	assert_null(judged(c)->user_stack_end);
	assert_int_equal(c->v.process.pid, 0);
}

/* Both ends may be on this host, and what ran in a softirq is nobody's. */
static void frames_of_another_event_or_process_are_not_its_own(void **state)
{
	struct caller *c = *state;

	frame(c, USER_IN_FILE, "connect", "/usr/lib/libc.so.6")->event_ns = 999;
	frame(c, USER_IN_FILE, "close", "/usr/lib/libc.so.6")->pid = PID + 1;
	assert_int_equal(judged(c)->user_stack.n, 0);
	assert_non_null(strstr(c->v.user_stack_end, "is not known"));
	c->e.task.pid = 0;
	assert_null(judged(c)->user_stack_end);
}

/* The connection failed when the call had returned: the task that ran then is not the one. */
static void the_stack_of_connect_is_its_callers(void **state)
{
	struct caller *c = *state;

	c->e = event_make(REC_STATE, flow(), 1000);
	c->e.mem.connect.pid = PID;
	c->e.mem.connect.tid = PID + 1;
	str_copy(c->e.mem.connect.comm, sizeof(c->e.mem.connect.comm), "thread");
	frame(c, USER_IN_FILE, "connect", "/usr/lib/libc.so.6");
	assert_int_equal(judged(c)->user_stack.n, 1);
	assert_int_equal(c->v.process.pid, PID);
	assert_string_equal(c->v.process.comm, "thread");
}

static void a_process_that_ends_has_no_stack(void **state)
{
	struct caller *c = *state;

	c->e = event_make(REC_RST_SENT, flow(), 1000);
	c->e.active = 1;
	story_task(&c->e, PID, "client");
	c->answered = false;
	assert_int_equal(judged(c)->process.pid, 0);
	c->e.task.ending = TASK_KILLED;
	assert_string_equal(judged(c)->user_stack_end, "The process was ending: it had no stack "
						       "any more.");
}

static void the_process_is_named_as_it_was_found(void **state)
{
	struct caller *c = *state;

	rec_init(&c->process, REC_PROCESS, HOST, 1500);
	c->process.pid = PID;
	c->process.args = 3;
	str_copy(c->process.comm, sizeof(c->process.comm), "client");
	str_copy(c->process.program, sizeof(c->process.program), "/opt/client");
	c->named = true;
	assert_string_equal(judged(c)->process.program, "/opt/client");
	assert_int_equal(c->v.process.args, 3);
	c->process.pid = PID + 1;
	assert_string_equal(judged(c)->process.program, "");
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(frames_are_told_in_order),
		TEST(what_is_not_known_is_said),
		TEST(who_is_gone_is_said),
		TEST(what_was_not_asked_is_not_told),
		TEST(frames_of_another_event_or_process_are_not_its_own),
		TEST(the_stack_of_connect_is_its_callers),
		TEST(a_process_that_ends_has_no_stack),
		TEST(the_process_is_named_as_it_was_found),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
