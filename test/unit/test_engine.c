/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The engine: which cause wins, what loss does to certainty, what is asked, what is an incident. */
#include "timeline_fixture.h"

#define judged(s, text) assert_string_equal(story_judge(s), text)

static struct rec_tuple to_service(void)
{
	return tcp("10.0.1.2", 50000, "10.0.2.2", 8080);
}

/* The three events of one refused connection whose two ends are both here. */
static void server_resets(struct story *s)
{
	story_event(s, REC_RST_SENT, to_service())->pkt.tcp_flags = SYN;
}

static void client_is_reset(struct story *s)
{
	story_own_socket(story_event(s, REC_RST_RECV, to_service()), TCP_SYN_SENT);
}

static void client_fails(struct story *s)
{
	struct rec_event *e = story_event(s, REC_SOCK_ERR, to_service());

	story_own_socket(e, TCP_CLOSE);
	e->err = e->sock.err = ECONNREFUSED;
}

static void the_root_goes_before_what_follows_from_it(void **state)
{
	static void (*const events[])(struct story * s) = {server_resets, client_is_reset,
							   client_fails};
	static const uint8_t orders[][3] = {{0, 1, 2}, {0, 2, 1}, {1, 0, 2},
					    {1, 2, 0}, {2, 0, 1}, {2, 1, 0}};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(orders); i++) {
		struct story s;

		story_start(&s);
		for (size_t k = 0; k < 3; k++)
			events[orders[i][k]](&s);
		judged(&s, "no-listener, certain");
		assert_int_equal(s.v.events, 3);
		story_end(&s);
	}
}

static void a_consequence_goes_before_unknown(void **state)
{
	struct story *s = *state;

	story_drop(s, to_service(), "SECURITY_HOOK");
	judged(s, "unknown, unknown");
	story_own_socket(story_event(s, REC_RST_RECV, to_service()), TCP_ESTABLISHED);
	judged(s, "peer-reset, certain");
}

static void one_event_goes_to_the_first_cause_that_fits(void **state)
{
	struct story *s = *state;
	struct rec_event *e = story_event(s, REC_RST_SENT, to_service());
	const struct rec_tuple inside = tcp("172.17.0.2", 8080, "10.0.1.2", 50000);

	/* conntrack-invalid and closed-socket both fit this one. */
	e->pkt.tcp_flags = ACK;
	e->mem.closed_ns = e->hdr.mono_ns - 1;
	e->pkt.payload = 100; /* a pure ACK would be one that is merely late */
	judged(s, "closed-socket, certain");
	story_conntrack(s, to_service(), inside);
	judged(s, "conntrack-invalid, likely");
}

static void the_head_is_that_of_the_event(void **state)
{
	const struct rec_tuple t = to_service();
	struct story *s = *state;
	struct rec_event *e;

	client_fails(s);
	server_resets(s);
	e = (struct rec_event *)s->tl.recs.v[1];
	assert_true(str_copy(e->ifname, sizeof(e->ifname), "eth7"));
	e->hdr.wall_ns = 42;
	story_netns(s, HOST, "server");
	judged(s, "no-listener, certain");
	assert_true(s->v.mono_ns == e->hdr.mono_ns);
	assert_int_equal(s->v.wall_ns, 42);
	assert_string_equal(s->v.event, "reset sent by this host");
	assert_true(tuple_equal(&s->v.flow, &t));
	assert_int_equal(s->v.netns, HOST);
	assert_string_equal(s->v.netns_name, "server");
	assert_string_equal(s->v.ifname, "eth7");
}

static void the_namespace_has_the_best_name_there_is(void **state)
{
	struct story *s = *state;
	struct rec_netns rec;

	server_resets(s);
	judged(s, "no-listener, certain");
	assert_string_equal(s->v.netns_name, "");
	rec_init(&rec, REC_NETNS, HOST, s->now);
	rec.pid = 12;
	assert_true(str_copy(rec.comm, sizeof(rec.comm), "nginx"));
	assert_int_equal(world_add(s->world, &rec.hdr), 0);
	judged(s, "no-listener, certain");
	assert_string_equal(s->v.netns_name, "pid 12 (nginx)");
	assert_true(str_copy(rec.container, sizeof(rec.container), "docker 0123456789ab"));
	assert_int_equal(world_add(s->world, &rec.hdr), 0);
	judged(s, "no-listener, certain");
	assert_string_equal(s->v.netns_name, "docker 0123456789ab");
	assert_true(str_copy(rec.name, sizeof(rec.name), "blue"));
	assert_int_equal(world_add(s->world, &rec.hdr), 0);
	judged(s, "no-listener, certain");
	assert_string_equal(s->v.netns_name, "blue");
}

static void an_empty_timeline_has_no_verdict(void **state)
{
	struct story *s = *state;

	judged(s, "no verdict");
	story_socket(s, SOCK_MATCH_EXACT, to_service(), TCP_ESTABLISHED);
	story_answer(s, Q_SOCKETS);
	judged(s, "no verdict");
}

static void loss_lowers_what_it_could_contradict(void **state)
{
	struct story *s = *state;

	client_is_reset(s);
	judged(s, "connect-refused, certain");
	s->loss.lost = true;
	judged(s, "connect-refused, likely");
	assert_true(story_says(s, "events were lost while this was gathered"));
}

static void loss_does_not_touch_what_was_observed(void **state)
{
	struct story *s = *state;

	server_resets(s);
	s->loss.lost = true;
	judged(s, "no-listener, certain");
	assert_false(story_says(s, "events were lost"));
}

static void loss_does_not_raise_anything(void **state)
{
	struct story *s = *state;

	story_drop(s, to_service(), "SECURITY_HOOK");
	s->loss.lost = true;
	judged(s, "unknown, unknown");
}

static void the_same_records_give_the_same_verdict(void **state)
{
	struct story *s = *state;
	struct verdict again = {0};

	client_fails(s);
	server_resets(s);
	client_is_reset(s);
	judged(s, "no-listener, certain");
	assert_int_equal(diagnose(&s->tl, s->world, NULL, &again), 1);
	assert_string_equal(again.explanation, s->v.explanation);
	assert_int_equal(again.evidence.n, s->v.evidence.n);
	for (size_t i = 0; i < again.evidence.n; i++)
		assert_string_equal(again.evidence.v[i], s->v.evidence.v[i]);
	verdict_free(&again);
}

static void everybody_hit_is_told_once(void **state)
{
	struct story *s = *state;

	client_is_reset(s);
	for (int i = 0; i < 3; i++)
		story_owner(story_socket(s, SOCK_MATCH_EXACT, to_service(), TCP_SYN_SENT), HOST, 5,
			    "curl");
	judged(s, "connect-refused, certain");
	assert_int_equal(s->v.hit.n, 1);
}

static void every_cause_is_listed_and_has_what_it_needs(void **state)
{
	const struct cause *c;
	bool unknown_seen = false;
	size_t n = 0;

	(void)state;
	for (; (c = diagnose_cause(n)); n++) {
		assert_false(unknown_seen); /* it fits all: behind the others */
		assert_non_null(c->judge);
		assert_int_not_equal(c->kinds, 0);
		unknown_seen = strcmp(c->id, "unknown") == 0;
		assert_int_equal(c->rank == RANK_LAST, unknown_seen);
		for (size_t i = 0; i < n; i++)
			assert_string_not_equal(c->id, diagnose_cause(i)->id);
	}
	assert_int_equal(n, 54);
	assert_true(unknown_seen);
}

/* ---- questions ------------------------------------------------------------------------------- */

static bool asked(const question_vec *q, uint32_t kind, const char *name)
{
	unsigned n = 0;

	for (size_t i = 0; i < q->n; i++)
		n += q->v[i].kind == kind && strcmp(q->v[i].name, name) == 0;
	assert_in_range(n, 0, 1);
	return n;
}

static void needs_are_those_of_the_causes_that_are_concerned(void **state)
{
	const struct rec_tuple t = to_service();
	struct rec_event e = event_make(REC_RST_SENT, &t, 1);
	question_vec q = {0};

	(void)state;
	e.pkt.tcp_flags = ACK;
	diagnose_needs(&e, &q);
	assert_true(asked(&q, Q_NETNS, ""));
	assert_true(asked(&q, Q_SOCKETS, ""));
	assert_true(asked(&q, Q_CONNTRACK, ""));
	assert_true(asked(&q, Q_SOCKETS_BY_PORT, ""));
	assert_true(asked(&q, Q_SYSCTL, "net.netfilter.nf_conntrack_tcp_be_liberal"));
	assert_false(asked(&q, Q_LISTENERS, ""));
	assert_false(asked(&q, Q_OWNER, ""));
	for (size_t i = 0; i < q.n; i++) {
		assert_int_equal(q.v[i].netns, HOST);
		assert_true(tuple_equal(&q.v[i].tuple, &t));
	}
	vec_free(&q);

	e.pkt.tcp_flags = SYN;
	diagnose_needs(&e, &q);
	assert_true(asked(&q, Q_LISTENERS, ""));
	assert_false(asked(&q, Q_CONNTRACK, ""));
	vec_free(&q);
}

static void needs_name_the_interface(void **state)
{
	const struct rec_tuple t = to_service();
	struct rec_event e = event_make(REC_DROP, &t, 1);
	question_vec q = {0};

	(void)state;
	e.has_reason = 1;
	assert_true(str_copy(e.reason_name, sizeof(e.reason_name), "IP_RPFILTER"));
	diagnose_needs(&e, &q);
	assert_true(asked(&q, Q_SYSCTL, "net.ipv4.conf.all.rp_filter"));
	assert_false(asked(&q, Q_SYSCTL, "net.ipv4.conf..rp_filter"));
	vec_free(&q);
	assert_true(str_copy(e.ifname, sizeof(e.ifname), "eth1"));
	diagnose_needs(&e, &q);
	assert_true(asked(&q, Q_SYSCTL, "net.ipv4.conf.eth1.rp_filter"));
	assert_true(asked(&q, Q_ROUTE_BACK, ""));
	vec_free(&q);
}

static void needs_of_a_socket_ask_for_its_owner(void **state)
{
	const struct rec_tuple packet = tcp("10.0.2.2", 8080, "10.0.1.2", 50000);
	struct rec_event e = event_make(REC_RST_RECV, &packet, 1);
	question_vec q = {0};

	(void)state;
	e.sock.inode = 77;
	e.sock.tuple = to_service();
	diagnose_needs(&e, &q);
	assert_true(asked(&q, Q_OWNER, ""));
	for (size_t i = 0; i < q.n; i++) {
		assert_int_equal(q.v[i].inode, 77);
		if (q.v[i].kind == Q_OWNER)
			assert_true(tuple_equal(&q.v[i].tuple, &e.sock.tuple));
	}
	vec_free(&q);
}

static const struct question *question_of(const question_vec *q, uint32_t kind)
{
	for (size_t i = 0; i < q->n; i++)
		if (q->v[i].kind == kind)
			return &q->v[i];
	return NULL;
}

static void needs_about_netfilter_are_what_its_probes_leave_open(void **state)
{
	const struct rec_tuple t = to_service();
	struct rec_event e = event_make(REC_DROP, &t, 1);
	const struct question *rule;
	question_vec q = {0};

	(void)state;
	story_reason(&e, "NETFILTER_DROP");
	diagnose_needs(&e, &q);
	assert_int_equal(question_of(&q, Q_HOOKS)->nf_hook, NF_HOOK_ANY);
	assert_int_equal(question_of(&q, Q_DROP_RULES)->nf_hook, NF_HOOK_ANY);
	assert_null(question_of(&q, Q_RULE));
	vec_free(&q);

	e.nf = (struct rec_nf){.has = NF_HOOK, .pf = 2, .hook = 1};
	diagnose_needs(&e, &q); /* the last that was seen, of those that are watched */
	assert_int_equal(question_of(&q, Q_HOOKS)->nf_hook, NF_HOOK_ANY);
	vec_free(&q);
	e.nf.has |= NF_COVERED;
	diagnose_needs(&e, &q);
	assert_int_equal(question_of(&q, Q_HOOKS)->nf_family, 2);
	assert_int_equal(question_of(&q, Q_HOOKS)->nf_hook, 1);
	assert_int_equal(question_of(&q, Q_DROP_RULES)->nf_hook, 1);
	assert_null(question_of(&q, Q_RULE));
	vec_free(&q);

	e.nf.has |= NF_CHAIN | NF_RULE | NF_HANDLE;
	e.nf.family = 1; /* the table's, not the hook's */
	e.nf.handle = 12;
	assert_true(str_copy(e.nf.table, sizeof(e.nf.table), "filter"));
	assert_true(str_copy(e.nf.base, sizeof(e.nf.base), "input"));
	assert_true(str_copy(e.nf.chain, sizeof(e.nf.chain), "guests"));
	diagnose_needs(&e, &q);
	assert_null(question_of(&q, Q_DROP_RULES));
	rule = question_of(&q, Q_RULE);
	assert_non_null(rule);
	assert_int_equal(rule->nf_family, 1);
	assert_true(rule->handle == 12);
	assert_string_equal(rule->table, "filter");
	assert_string_equal(rule->chain, "guests");
	vec_free(&q);

	e.nf.has &= (uint8_t) ~(NF_RULE | NF_HANDLE); /* the policy: drop */
	diagnose_needs(&e, &q);
	rule = question_of(&q, Q_RULE);
	assert_non_null(rule);
	assert_true(rule->handle == 0);
	assert_string_equal(rule->chain, "input");
	vec_free(&q);
	e.nf.policy = 1; /* something in that chain, then */
	diagnose_needs(&e, &q);
	assert_null(question_of(&q, Q_RULE));
	assert_non_null(question_of(&q, Q_DROP_RULES));
	vec_free(&q);
}

/* Whose cgroup a packet that comes in belongs to, the task doesn't tell. */
static void needs_about_programs_take_the_cgroup_of_who_sends(void **state)
{
	const struct rec_tuple t = to_service();
	struct rec_event e = event_make(REC_DROP, &t, 1);
	question_vec q = {0};

	(void)state;
	e.ifindex = 7;
	e.task.cgroup = 4711;
	story_reason(&e, "BPF_CGROUP_EGRESS");
	diagnose_needs(&e, &q);
	assert_true(question_of(&q, Q_BPF_PROGS)->cgroup == 4711);
	vec_free(&q);
	story_reason(&e, "TC_INGRESS");
	diagnose_needs(&e, &q);
	assert_true(question_of(&q, Q_BPF_PROGS)->cgroup == 0);
	assert_int_equal(question_of(&q, Q_BPF_PROGS)->ifindex, 7);
	vec_free(&q);
	e.ifindex = 0;
	diagnose_needs(&e, &q);
	assert_null(question_of(&q, Q_BPF_PROGS));
	vec_free(&q);
}

/* What isn't there isn't in use; what can't be looked up is missing. */
static void a_setting_that_is_not_there_is_no_failed_lookup(void **state)
{
	struct story *s = *state;
	struct rec_answer *a;

	story_drop(s, to_service(), "SECURITY_HOOK")->pkt.tcp_flags = SYN;
	a = story_answer(s, Q_SYSCTL);
	a->err = -ENOENT;
	judged(s, "syn-dropped-here, certain");
	assert_false(story_says(s, "could not be made"));
	a->err = -EPERM;
	judged(s, "syn-dropped-here, certain");
	assert_true(story_says(s, "1 lookups could not be made (EPERM)"));
}

/* In a replay it is recorded; in a watch the question is still open. */
static void a_question_that_was_open_is_told(void **state)
{
	struct story *s = *state;

	story_drop(s, to_service(), "SECURITY_HOOK")->pkt.tcp_flags = SYN;
	judged(s, "syn-dropped-here, certain");
	assert_false(story_says(s, "answered in time"));
	story_answer(s, Q_SYSCTL)->err = REC_UNANSWERED;
	judged(s, "syn-dropped-here, certain");
	assert_true(story_says(s, "1 lookups were not answered in time"));
	assert_false(story_says(s, "could not be made"));
}

static void needs_are_none_without_a_namespace(void **state)
{
	const struct rec_tuple t = to_service();
	struct rec_event e = event_make(REC_RST_SENT, &t, 1);
	question_vec q = {0};

	(void)state;
	e.hdr.netns = 0;
	diagnose_needs(&e, &q);
	assert_int_equal(q.n, 0);
	vec_free(&q);
}

/* ---- incidents ------------------------------------------------------------------------------- */

static void key_of(struct rec_tuple t, const char *cause, uint32_t netns, char key[256])
{
	const struct verdict v = {.cause = cause, .flow = t, .netns = netns};

	verdict_incident_key(&v, key, 256);
}

static void the_same_client_and_service_are_one_incident(void **state)
{
	const struct rec_tuple again = tcp("10.0.1.2", 50001, "10.0.2.2", 8080);
	char key[256], other[256];

	(void)state;
	key_of(to_service(), "no-listener", HOST, key);
	key_of(again, "no-listener", HOST, other);
	assert_string_equal(key, other);
	key_of(tuple_reverse(&again), "no-listener", HOST, other); /* told by the other end */
	assert_string_equal(key, other);
}

static void other_ends_causes_and_namespaces_are_others(void **state)
{
	char key[256], other[256];

	(void)state;
	key_of(to_service(), "no-listener", HOST, key);
	key_of(to_service(), "peer-reset", HOST, other);
	assert_string_not_equal(key, other);
	key_of(to_service(), "no-listener", INSIDE, other);
	assert_string_not_equal(key, other);
	key_of(tcp("10.0.1.3", 50000, "10.0.2.2", 8080), "no-listener", HOST, other);
	assert_string_not_equal(key, other);
	key_of(tcp("10.0.1.2", 50000, "10.0.2.2", 8081), "no-listener", HOST, other);
	assert_string_not_equal(key, other);
	key_of(tcp("10.0.1.2", 50000, "10.0.2.3", 8080), "no-listener", HOST, other);
	assert_string_not_equal(key, other);
	key_of(udp("10.0.1.2", 50000, "10.0.2.2", 8080), "no-listener", HOST, other);
	assert_string_not_equal(key, other);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		story_test(the_root_goes_before_what_follows_from_it),
		story_test(a_consequence_goes_before_unknown),
		story_test(one_event_goes_to_the_first_cause_that_fits),
		story_test(the_head_is_that_of_the_event),
		story_test(the_namespace_has_the_best_name_there_is),
		story_test(an_empty_timeline_has_no_verdict),
		story_test(loss_lowers_what_it_could_contradict),
		story_test(loss_does_not_touch_what_was_observed),
		story_test(loss_does_not_raise_anything),
		story_test(the_same_records_give_the_same_verdict),
		story_test(everybody_hit_is_told_once),
		cmocka_unit_test(every_cause_is_listed_and_has_what_it_needs),
		cmocka_unit_test(needs_are_those_of_the_causes_that_are_concerned),
		cmocka_unit_test(needs_name_the_interface),
		cmocka_unit_test(needs_of_a_socket_ask_for_its_owner),
		cmocka_unit_test(needs_about_netfilter_are_what_its_probes_leave_open),
		cmocka_unit_test(needs_about_programs_take_the_cgroup_of_who_sends),
		story_test(a_setting_that_is_not_there_is_no_failed_lookup),
		story_test(a_question_that_was_open_is_told),
		cmocka_unit_test(needs_are_none_without_a_namespace),
		cmocka_unit_test(the_same_client_and_service_are_one_incident),
		cmocka_unit_test(other_ends_causes_and_namespaces_are_others),
	};

	return cmocka_run_group_tests_name("engine", tests, NULL, NULL);
}
