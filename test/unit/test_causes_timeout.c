/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Connections given up because the peer was silent: by which timer, and near misses. */
#include "timeline_fixture.h"

#define judged(s, text) assert_string_equal(story_judge(s), text)

static struct rec_tuple to_service(void)
{
	return tcp("10.0.1.2", 50000, "10.0.2.2", 8080);
}

/* ETIMEDOUT, with data on its way. */
static struct rec_event *gives_up(struct story *s)
{
	struct rec_event *e = story_event(s, REC_SOCK_ERR, to_service());

	story_own_socket(e, TCP_CLOSE);
	e->err = e->sock.err = ETIMEDOUT;
	e->sock.snd_wnd = 65536;
	e->sock.snd_una = 1000;
	e->sock.write_seq = 1500;
	e->sock.retransmits = 15;
	return e;
}

static void retransmits(struct story *s, struct rec_event *e)
{
	story_stack(s, e, "tcp_write_err", "tcp_retransmit_timer", "tcp_write_timer_handler");
}

static struct rec_event *probes(struct story *s, enum rec_kind kind)
{
	struct rec_event *e = story_event(s, kind, to_service());

	story_own_socket(e, kind == REC_SOCK_ERR ? TCP_CLOSE : TCP_ESTABLISHED);
	if (kind == REC_SOCK_ERR)
		e->err = e->sock.err = ETIMEDOUT;
	e->active = kind == REC_RST_SENT;
	e->sock.flags |= SOCK_KEEPALIVE;
	e->sock.probes = 9;
	story_stack(s, e, "tcp_keepalive_timer");
	return e;
}

/* ---- retransmit-timeout ---------------------------------------------------------------------- */

static void retransmit_timeout_is_certain_by_its_timer(void **state)
{
	struct story *s = *state;
	struct rec_event *e;

	story_event(s, REC_RETRANS, to_service());
	e = gives_up(s);
	judged(s, "no-local-cause, likely"); /* which timer is not known */
	retransmits(s, e);
	story_owner(story_socket(s, SOCK_MATCH_OWNER, to_service(), 0), HOST, 5, "client");
	judged(s, "retransmit-timeout, certain");
	assert_true(story_says(s, "10.0.2.2:8080 stopped acknowledging: 500 bytes"));
	assert_true(story_says(s, "retransmitted 15 times (1 seen, the first one before 1 ms)"));
	assert_true(story_hits(s, "pid 5 client"));
	assert_true(story_offers(s, "look at 10.0.2.2"));
	assert_true(story_offers(s, "net.ipv4.tcp_retries2=8"));
	story_sysctl(s, "net.ipv4.tcp_retries2", 2);
	judged(s, "retransmit-timeout, certain");
	assert_true(story_says(s, "net.ipv4.tcp_retries2 is 2"));
	assert_true(story_offers(s, "net.ipv4.tcp_retries2=15   (now 2"));
}

static void retransmit_timeout_is_not_a_connect(void **state)
{
	struct story *s = *state;
	struct rec_event *e = gives_up(s);

	retransmits(s, e);
	e->sock.state = TCP_SYN_SENT;
	assert_null(strstr(story_judge(s), "retransmit-timeout"));
}

static void retransmit_timeout_is_not_it_where_this_host_dropped(void **state)
{
	const char *const reasons[] = {"NETFILTER_DROP", "QDISC_DROP", "TC_EGRESS"};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(reasons); i++) {
		struct story s;

		story_start(&s);
		story_drop(&s, to_service(), reasons[i])->pkt.tcp_flags = ACK;
		retransmits(&s, gives_up(&s));
		assert_null(strstr(story_judge(&s), "retransmit-timeout"));
		assert_string_not_equal(story_judge(&s), "no verdict");
		story_end(&s);
	}
}

/* This end gave up, and the peer, who doesn't know, goes on: that is the time-out's story. */
static void retransmit_timeout_is_told_and_not_what_still_comes_after_it(void **state)
{
	struct story *s = *state;
	struct rec_tuple back = to_service();
	struct rec_event *e;

	retransmits(s, gives_up(s));
	back = tuple_reverse(&back);
	e = story_event(s, REC_RST_SENT, back);
	e->pkt.tcp_flags = ACK;
	judged(s, "retransmit-timeout, certain");
	story_own_socket(e, TCP_LISTEN);
	judged(s, "retransmit-timeout, certain");
}

static void retransmit_timeout_gives_way_to_a_closed_window(void **state)
{
	struct story *s = *state;
	struct rec_event *e = gives_up(s);

	retransmits(s, e);
	e->sock.snd_wnd = 0;
	judged(s, "receive-buffer-full, likely");
}

/* ---- user-timeout ---------------------------------------------------------------------------- */

static void user_timeout_is_certain_by_its_timer(void **state)
{
	struct story *s = *state;
	struct rec_event *e = gives_up(s);

	e->sock.user_timeout = 700;
	judged(s, "user-timeout, likely");
	assert_true(story_says(s, "is inferred"));
	retransmits(s, e);
	judged(s, "user-timeout, certain");
	assert_true(story_says(s, "TCP_USER_TIMEOUT to 700 ms"));
	assert_true(story_says(s, "did not acknowledge what was sent"));
	assert_true(story_says(s, "the retransmission timer ended it"));
	assert_true(story_offers(s, "a longer TCP_USER_TIMEOUT than 700 ms"));
}

static void user_timeout_takes_the_place_of_keepalives_count(void **state)
{
	struct story *s = *state;
	struct rec_event *e = probes(s, REC_RST_SENT);

	story_reason(e, "TCP_KEEPALIVE_TIMEOUT");
	e->sock.user_timeout = 700;
	e->sock.probes = 1;
	judged(s, "user-timeout, certain");
	assert_true(story_says(s, "the keepalive timer ended it"));
	assert_true(story_says(s, "did not answer probes"));
}

static void user_timeout_is_not_every_error(void **state)
{
	struct story *s = *state;
	struct rec_event *e = gives_up(s);

	e->sock.user_timeout = 700;
	e->err = e->sock.err = EPIPE;
	judged(s, "unknown, unknown");
}

/* ---- keepalive-timeout ----------------------------------------------------------------------- */

static void keepalive_timeout_by_its_error(void **state)
{
	struct story *s = *state;

	probes(s, REC_SOCK_ERR);
	judged(s, "keepalive-timeout, certain");
	assert_true(story_says(s, "10.0.2.2:8080 did not answer 9 keepalive probes"));
	story_sysctl(s, "net.ipv4.tcp_keepalive_time", 7200);
	story_sysctl(s, "net.ipv4.tcp_keepalive_intvl", 75);
	story_sysctl(s, "net.ipv4.tcp_keepalive_probes", 9);
	judged(s, "keepalive-timeout, certain");
	assert_true(story_says(s, "a first probe after 7200 s without traffic, one every 75 s"));
	assert_true(story_offers(s, "net.ipv4.tcp_keepalive_time=60"));
}

static void keepalive_timeout_by_its_reset(void **state)
{
	struct story *s = *state;
	struct rec_event *e = probes(s, REC_RST_SENT);

	judged(s, "keepalive-timeout, certain"); /* no reason told, before 6.12 */
	e->nr_kstack = 0;
	judged(s, "unknown, unknown");
	story_reason(e, "TCP_KEEPALIVE_TIMEOUT");
	judged(s, "keepalive-timeout, certain");
	assert_true(story_says(s, "the kernel's reason: TCP_KEEPALIVE_TIMEOUT"));
}

static void keepalives_timer_has_other_uses(void **state)
{
	struct story *s = *state;
	struct rec_event *e = probes(s, REC_RST_SENT);

	/* It also ends the wait of an orphan for the peer's FIN. */
	e->sock.state = TCP_FIN_WAIT2;
	e->sock.flags |= SOCK_DEAD_F;
	judged(s, "unknown, unknown");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		story_test(retransmit_timeout_is_certain_by_its_timer),
		story_test(retransmit_timeout_is_not_a_connect),
		story_test(retransmit_timeout_is_not_it_where_this_host_dropped),
		story_test(retransmit_timeout_is_told_and_not_what_still_comes_after_it),
		story_test(retransmit_timeout_gives_way_to_a_closed_window),
		story_test(user_timeout_is_certain_by_its_timer),
		story_test(user_timeout_takes_the_place_of_keepalives_count),
		story_test(user_timeout_is_not_every_error),
		story_test(keepalive_timeout_by_its_error),
		story_test(keepalive_timeout_by_its_reset),
		story_test(keepalives_timer_has_other_uses),
	};

	return cmocka_run_group_tests_name("causes of time-outs", tests, NULL, NULL);
}
