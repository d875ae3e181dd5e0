/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Why this host resets connections: each cause with what makes it that, and near misses. */
#include "timeline_fixture.h"

#define judged(s, text) assert_string_equal(story_judge(s), text)

/* ---- no-listener ----------------------------------------------------------------------------- */

static struct rec_event *refused_syn(struct story *s)
{
	struct rec_event *e =
		story_event(s, REC_RST_SENT, tcp("10.0.1.2", 50000, "10.0.2.2", 8080));

	e->pkt.tcp_flags = SYN;
	story_stack(s, e, "tcp_v4_send_reset", "tcp_v4_rcv");
	return e;
}

static void no_listener_is_certain(void **state)
{
	struct story *s = *state;

	refused_syn(s);
	story_answer(s, Q_LISTENERS);
	judged(s, "no-listener, certain");
	assert_true(story_says(s, "Nobody listens on tcp port 8080 of 10.0.2.2"));
	assert_true(story_says(s, "no socket listens for 10.0.2.2:8080"));
	assert_true(story_offers(s, "start the service for port 8080"));
}

static void no_listener_does_not_claim_what_it_did_not_ask(void **state)
{
	struct story *s = *state;

	refused_syn(s);
	story_answer(s, Q_LISTENERS)->err = -EBUSY;
	judged(s, "no-listener, certain");
	assert_false(story_says(s, "no socket listens for"));
}

static void no_listener_tells_the_nearest_miss(void **state)
{
	static const struct {
		enum sock_match match;
		const char *addr;
		uint16_t port;
		const char *says, *offers;
	} misses[] = {
		{SOCK_MATCH_LISTEN, "0.0.0.0", 8080, "By now pid 7 httpd", "try again"},
		{SOCK_MATCH_LISTEN_ADDR, "127.0.0.1", 8080, "listens on 127.0.0.1:8080 only",
		 "listen on 10.0.2.2"},
		{SOCK_MATCH_LISTEN_FAMILY, "::", 8080, "for IPv6 only", "listen on IPv4 too"},
		{SOCK_MATCH_LISTEN_NEAR, "0.0.0.0", 8081, "near by", "8080 is asked for, 8081"},
		{SOCK_MATCH_LISTEN_NETNS, "0.0.0.0", 8080, "another network namespace",
		 "publish port 8080"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(misses); i++) {
		struct story s;

		story_start(&s);
		refused_syn(&s);
		story_owner(story_socket(&s, misses[i].match,
					 tcp(misses[i].addr, misses[i].port, "0.0.0.0", 0),
					 TCP_LISTEN),
			    misses[i].match == SOCK_MATCH_LISTEN_NETNS ? INSIDE : HOST, 7, "httpd");
		judged(&s, "no-listener, certain");
		assert_true(story_says(&s, misses[i].says));
		assert_true(story_offers(&s, misses[i].offers));
		story_end(&s);
	}
}

static void no_listener_prefers_the_same_port(void **state)
{
	struct story *s = *state;

	refused_syn(s);
	story_socket(s, SOCK_MATCH_LISTEN_NEAR, tcp("0.0.0.0", 8081, "0.0.0.0", 0), TCP_LISTEN);
	story_socket(s, SOCK_MATCH_LISTEN_NETNS, tcp("0.0.0.0", 8080, "0.0.0.0", 0), TCP_LISTEN)
		->hdr.netns = INSIDE;
	judged(s, "no-listener, certain");
	assert_non_null(strstr(s->v.explanation, "another network namespace"));
	assert_null(strstr(s->v.explanation, "near by"));
}

static void no_listener_ignores_what_is_none(void **state)
{
	struct story *s = *state;

	refused_syn(s);
	/* Another port, and "elsewhere" that is here: brought for other reasons. */
	story_socket(s, SOCK_MATCH_LISTEN_ADDR, tcp("127.0.0.1", 50000, "0.0.0.0", 0), TCP_CLOSE);
	story_socket(s, SOCK_MATCH_LISTEN_NETNS, tcp("0.0.0.0", 8080, "0.0.0.0", 0), TCP_LISTEN);
	judged(s, "no-listener, certain");
	assert_false(story_says(s, "process listens on"));
	assert_true(story_offers(s, "start the service"));
}

static void no_listener_is_likely_where_no_reset_was_seen(void **state)
{
	struct story *s = *state;

	story_drop(s, tcp("10.0.1.2", 50000, "10.0.2.2", 8080), "NO_SOCKET")->pkt.tcp_flags = SYN;
	judged(s, "no-listener, likely");
	assert_true(story_says(s, "dropped the SYN, and no reset was seen"));
	story_event(s, REC_RST_OUT, tcp("10.0.2.2", 8080, "10.0.1.2", 50000));
	judged(s, "no-listener, certain");
}

static void no_listener_for_udp(void **state)
{
	struct story *s = *state;

	story_drop(s, udp("10.0.1.2", 50000, "10.0.2.2", 53), "NO_SOCKET");
	judged(s, "no-listener, certain");
	assert_true(story_says(s, "Nobody listens on udp port 53"));
}

static void no_listener_is_not_about_segments(void **state)
{
	const uint8_t flags[] = {ACK, SYN | ACK, FIN | ACK};
	struct story *s = *state;
	struct rec_event *e = refused_syn(s);

	for (size_t i = 0; i < ARRAY_SIZE(flags); i++) {
		e->pkt.tcp_flags = flags[i];
		judged(s, "closed-socket, likely");
	}
}

/* ---- closed-socket --------------------------------------------------------------------------- */

static void closed_socket_is_certain_if_the_close_was_seen(void **state)
{
	struct story *s = *state;
	struct rec_event *e = story_event(s, REC_RST_SENT, tcp("10.0.1.2", 5000, "10.0.2.2", 80));

	e->pkt.tcp_flags = ACK;
	e->pkt.payload = 100;
	judged(s, "closed-socket, likely");
	assert_true(story_says(s, "nobody was seen closing it"));

	e->mem.closed_ns = e->hdr.mono_ns - 12 * NSEC_PER_MSEC;
	e->mem.closed_pid = 3;
	assert_true(str_copy(e->mem.closed_comm, sizeof(e->mem.closed_comm), "server"));
	judged(s, "closed-socket, certain");
	assert_true(story_says(s, "pid 3 server closed the socket 12 ms before"));
	assert_true(story_hits(s, "pid 3 server"));
	assert_true(story_offers(s, "shutdown(SHUT_WR)"));

	e->mem.closed_ns = e->hdr.mono_ns + 1; /* of a later connection with the same ports */
	judged(s, "closed-socket, likely");
}

static void closed_socket_with_an_orphan(void **state)
{
	struct story *s = *state;
	struct rec_event *e = story_event(s, REC_RST_SENT, tcp("10.0.1.2", 5000, "10.0.2.2", 80));

	e->pkt.tcp_flags = ACK;
	e->pkt.payload = 100;
	story_own_socket(e, TCP_FIN_WAIT2);
	judged(s, "unknown, unknown"); /* a process holds it still */
	e->sock.flags |= SOCK_DEAD_F;
	judged(s, "unknown, unknown"); /* shutdown for sending only */
	e->sock.shutdown = 3;
	judged(s, "closed-socket, certain");
	assert_true(story_says(s, "100 bytes arrived for a connection that the process here had"));
	assert_true(story_says(s, "FIN_WAIT2"));
	e->sock.flags = SOCK_PRESENT | SOCK_TIMEWAIT;
	e->sock.shutdown = 0;
	judged(s, "closed-socket, certain");
	e->active = 1;
	judged(s, "unknown, unknown");
}

static void closed_socket_of_a_listener(void **state)
{
	struct story *s = *state;
	struct rec_event *e = story_event(s, REC_RST_SENT, tcp("10.0.2.2", 80, "10.0.1.2", 5000));

	e->active = 1;
	story_own_socket(e, TCP_ESTABLISHED);
	story_task(e, 3, "server");
	judged(s, "unknown, unknown");
	story_stack(s, e, "tcp_send_active_reset", "inet_csk_listen_stop", "tcp_close");
	judged(s, "closed-socket, certain");
	assert_true(story_says(s, "not yet accepted"));
	assert_true(story_says(s, "pid 3 server closed the listening socket"));
}

static void closed_socket_forgotten_by_a_restart(void **state)
{
	struct story *s = *state;
	struct rec_event *e = story_event(s, REC_RST_SENT, tcp("10.0.1.2", 5000, "10.0.2.2", 80));

	e->pkt.tcp_flags = ACK;
	story_own_socket(e, TCP_LISTEN);
	judged(s, "closed-socket, likely");
	assert_true(story_says(s, "not known here, though its service listens"));
	e->pkt.tcp_flags = SYN | ACK;
	judged(s, "unknown, unknown");
}

static void a_reset_that_finds_no_socket_is_no_failure(void **state)
{
	struct story *s = *state;

	story_drop(s, tcp("10.0.1.2", 5000, "10.0.2.2", 80), "NO_SOCKET")->pkt.tcp_flags = RST;
	judged(s, "no verdict");
}

/* ---- close-with-unread-data, linger-abort ---------------------------------------------------- */

static struct rec_event *abort_by_close(struct story *s)
{
	struct rec_event *e = story_event(s, REC_RST_SENT, tcp("10.0.2.2", 80, "10.0.1.2", 5000));

	e->active = 1;
	story_own_socket(e, TCP_CLOSE);
	story_task(e, 3, "server");
	story_stack(s, e, "tcp_send_active_reset", "__tcp_close");
	return e;
}

static void unread_data_is_certain(void **state)
{
	struct story *s = *state;
	struct rec_event *e = abort_by_close(s);

	e->sock.unread = 4096;
	judged(s, "close-with-unread-data, certain");
	assert_true(story_says(s, "closed the socket with 4096 received bytes still unread"));
	assert_true(story_says(s, "4096 bytes from 10.0.1.2:5000 were unread"));
	assert_true(story_hits(s, "pid 3 server"));
	assert_true(story_offers(s, "read to the end of the stream before close()"));
	e->active = 0;
	judged(s, "unknown, unknown");
}

static void unread_data_by_the_kernels_reason(void **state)
{
	struct story *s = *state;
	struct rec_event *e = abort_by_close(s);

	e->has_reason = 1;
	assert_true(str_copy(e->reason_name, sizeof(e->reason_name), "TCP_ABORT_ON_CLOSE"));
	judged(s, "close-with-unread-data, certain");
	assert_true(story_says(s, "the kernel's reason is TCP_ABORT_ON_CLOSE"));
	/* The kernel's word goes before what the socket looks like. */
	e->sock.unread = 4096;
	assert_true(str_copy(e->reason_name, sizeof(e->reason_name), "TCP_STATE"));
	judged(s, "unknown, unknown");
}

static void unread_data_tells_who_ended(void **state)
{
	struct story *s = *state;
	struct rec_event *e = abort_by_close(s);

	e->sock.unread = 1;
	story_stack(s, e, "do_exit");
	story_task(e, 3, "server");
	judged(s, "close-with-unread-data, certain");
	assert_true(story_says(s, "The process ended with"));
	assert_true(story_offers(s, "find out why the process ended"));
	story_stack(s, e, "do_group_exit", "get_signal");
	judged(s, "process-killed, certain");
	assert_true(story_says(s, "was killed by a signal"));
}

static void close_without_unread_data_is_another_thing(void **state)
{
	struct story *s = *state;

	abort_by_close(s);
	judged(s, "unknown, unknown");
}

static void linger_abort_is_certain(void **state)
{
	struct story *s = *state;
	struct rec_event *e = abort_by_close(s);

	story_stack(s, e, "tcp_disconnect");
	judged(s, "unknown, unknown");
	e->sock.flags |= SOCK_LINGER0;
	e->sock.unread = 7;
	e->sock.snd_una = 1000;
	e->sock.write_seq = 1300;
	judged(s, "linger-abort, certain");
	assert_true(story_says(s, "SO_LINGER is on with time 0"));
	assert_true(story_says(s, "7 bytes were received and not read"));
	assert_true(story_says(s, "300 bytes were sent or queued and not acknowledged"));
	assert_true(story_offers(s, "do not set SO_LINGER"));
}

static void linger_needs_the_close(void **state)
{
	struct story *s = *state;
	struct rec_event *e = abort_by_close(s);

	/* Set, but what aborted it was not the close with it: unread data did. */
	e->sock.flags |= SOCK_LINGER0;
	e->sock.unread = 7;
	judged(s, "close-with-unread-data, certain");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		story_test(no_listener_is_certain),
		story_test(no_listener_does_not_claim_what_it_did_not_ask),
		story_test(no_listener_tells_the_nearest_miss),
		story_test(no_listener_prefers_the_same_port),
		story_test(no_listener_ignores_what_is_none),
		story_test(no_listener_is_likely_where_no_reset_was_seen),
		story_test(no_listener_for_udp),
		story_test(no_listener_is_not_about_segments),
		story_test(closed_socket_is_certain_if_the_close_was_seen),
		story_test(closed_socket_with_an_orphan),
		story_test(closed_socket_of_a_listener),
		story_test(closed_socket_forgotten_by_a_restart),
		story_test(a_reset_that_finds_no_socket_is_no_failure),
		story_test(unread_data_is_certain),
		story_test(unread_data_by_the_kernels_reason),
		story_test(unread_data_tells_who_ended),
		story_test(close_without_unread_data_is_another_thing),
		story_test(linger_abort_is_certain),
		story_test(linger_needs_the_close),
	};

	return cmocka_run_group_tests_name("causes of resets", tests, NULL, NULL);
}
