/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Why this host drops or ignores packets: each cause with what makes it that, and near misses. */
#include "timeline_fixture.h"

#define judged(s, text) assert_string_equal(story_judge(s), text)

static struct rec_tuple to_service(void)
{
	return tcp("10.0.1.2", 50000, "10.0.2.2", 5432);
}

/* ---- rp-filter ------------------------------------------------------------------------------- */

static void rp_filter_is_certain(void **state)
{
	struct story *s = *state;
	struct rec_event *e = story_drop(s, to_service(), "IP_RPFILTER");
	struct rec_route *back;

	e->pkt.tcp_flags = SYN;
	assert_true(str_copy(e->ifname, sizeof(e->ifname), "eth1"));
	judged(s, "rp-filter, certain");
	assert_true(story_says(s, "came in through eth1"));
	assert_true(story_offers(s, "sysctl -w net.ipv4.conf.eth1.rp_filter=2"));

	back = story_route(s, "10.0.1.2", 1, 0);
	assert_true(str_copy(back->ifname, sizeof(back->ifname), "eth0"));
	story_sysctl(s, "net.ipv4.conf.all.rp_filter", 1);
	story_sysctl(s, "net.ipv4.conf.eth1.rp_filter", 0);
	judged(s, "rp-filter, certain");
	assert_true(story_says(s, "answers to 10.0.1.2 through eth0"));
	assert_true(story_says(s, "rp_filter is 1 for all and 0 for eth1"));
	back->err = ENETUNREACH;
	judged(s, "rp-filter, certain");
	assert_true(story_says(s, "no route to 10.0.1.2: ENETUNREACH"));
}

static void rp_filter_is_not_any_bad_source(void **state)
{
	const char *const near[] = {"IP_INVALID_SOURCE", "IP_LOCAL_SOURCE", "IP_INVALID_DEST"};
	struct story *s = *state;
	struct rec_event *e = story_drop(s, to_service(), near[0]);

	e->pkt.tcp_flags = SYN;
	for (size_t i = 0; i < ARRAY_SIZE(near); i++) {
		assert_true(str_copy(e->reason_name, sizeof(e->reason_name), near[i]));
		judged(s, "syn-dropped-here, certain");
	}
}

/* ---- checksum -------------------------------------------------------------------------------- */

static void checksum_is_certain(void **state)
{
	const char *const reasons[] = {"TCP_CSUM", "IP_CSUM", "SKB_CSUM"};
	struct story *s = *state;
	struct rec_event *e = story_drop(s, to_service(), reasons[0]);

	assert_true(str_copy(e->ifname, sizeof(e->ifname), "eth1"));
	for (size_t i = 0; i < ARRAY_SIZE(reasons); i++) {
		assert_true(str_copy(e->reason_name, sizeof(e->reason_name), reasons[i]));
		judged(s, "checksum, certain");
		assert_true(story_says(s, reasons[i]));
		assert_true(story_offers(s, "ethtool -K IFACE tx off"));
		assert_true(story_offers(s, "ethtool -K eth1 rx off gro off"));
	}
	assert_false(story_says(s, "packets of this connection"));
	story_drop(s, to_service(), "SKB_CSUM");
	judged(s, "checksum, certain");
	assert_true(story_says(s, "2 packets of this connection had a bad checksum"));
}

static void checksum_is_not_any_bad_header(void **state)
{
	struct story *s = *state;

	story_drop(s, to_service(), "IP_INHDR");
	judged(s, "unknown, unknown");
}

/* ---- receive-buffer-full --------------------------------------------------------------------- */

static void receive_buffer_full_for_datagrams(void **state)
{
	struct story *s = *state;
	struct rec_event *e =
		story_drop(s, udp("10.0.1.2", 50000, "10.0.2.2", 514), "SOCKET_RCVBUFF");

	story_own_socket(e, TCP_CLOSE);
	e->sock.rmem = 213504;
	e->sock.rcvbuf = 212992;
	story_owner(story_socket(s, SOCK_MATCH_OWNER, e->sock.tuple, 0), HOST, 12, "syslogd");
	story_sysctl(s, "net.core.rmem_max", 212992);
	judged(s, "receive-buffer-full, certain");
	assert_true(story_says(s, "213504 bytes of memory, its limit (SO_RCVBUF) is 212992"));
	assert_true(story_hits(s, "pid 12 syslogd"));
	assert_true(story_offers(s, "net.core.rmem_max=851968   (now 212992)"));

	assert_true(str_copy(e->reason_name, sizeof(e->reason_name), "PROTO_MEM"));
	judged(s, "receive-buffer-full, certain");
	assert_false(story_offers(s, "rmem_max"));
	assert_true(story_offers(s, "net.ipv4.udp_mem"));
}

static void receive_buffer_full_is_not_a_closed_window(void **state)
{
	const char *const near[] = {"TCP_ZEROWINDOW", "TCP_OVERWINDOW", "TCP_OFO_DROP"};
	struct story *s = *state;
	struct rec_event *e = story_drop(s, to_service(), near[0]);

	for (size_t i = 0; i < ARRAY_SIZE(near); i++) {
		assert_true(str_copy(e->reason_name, sizeof(e->reason_name), near[i]));
		judged(s, "no verdict");
	}
}

static struct rec_event *sender_gives_up(struct story *s)
{
	struct rec_event *e = story_event(s, REC_SOCK_ERR, to_service());

	e->err = ETIMEDOUT;
	story_own_socket(e, TCP_CLOSE);
	e->sock.err = ETIMEDOUT;
	e->sock.snd_una = 5000;
	e->sock.write_seq = 9000;
	e->sock.probes = 6;
	return e;
}

static void receive_buffer_full_of_a_stream(void **state)
{
	const struct rec_tuple there = to_service();
	struct story *s = *state;
	struct rec_sock_info *peer;

	sender_gives_up(s);
	judged(s, "receive-buffer-full, likely");
	assert_true(story_says(s, "gave up waiting with 4000 bytes unsent"));
	peer = story_socket(s, SOCK_MATCH_EXACT, tuple_reverse(&there), TCP_ESTABLISHED);
	story_owner(peer, INSIDE, 12, "reader");
	judged(s, "receive-buffer-full, likely"); /* its queue is empty by now */
	peer->rqueue = 65536;
	judged(s, "receive-buffer-full, certain");
	assert_true(story_says(s, "The receiver pid 12 reader stopped reading"));
	assert_true(story_says(s, "65536 bytes wait unread"));
	assert_true(story_offers(s, "let pid 12 reader read its socket"));
}

static void receive_buffer_full_needs_a_closed_window(void **state)
{
	struct story *s = *state;
	struct rec_event *e = sender_gives_up(s);

	e->sock.snd_wnd = 512;
	judged(s, "no-local-cause, likely");
	e->sock.snd_wnd = 0;
	e->sock.write_seq = e->sock.snd_una;
	judged(s, "no-local-cause, likely");
}

/* ---- listen-overflow ------------------------------------------------------------------------- */

static struct rec_sock_info *listener(struct story *s, uint32_t queued, uint32_t limit)
{
	struct rec_sock_info *sock =
		story_socket(s, SOCK_MATCH_LISTEN, tcp("10.0.2.2", 5432, "0.0.0.0", 0), TCP_LISTEN);

	story_owner(sock, HOST, 44, "postgres");
	sock->rqueue = queued;
	sock->wqueue = limit;
	return sock;
}

static struct rec_event *syn_again(struct story *s)
{
	struct rec_event *e = story_event(s, REC_SYN_AGAIN, to_service());

	e->pkt.tcp_flags = SYN;
	e->repeats = 3;
	return e;
}

static void listen_overflow_needs_proof(void **state)
{
	struct story *s = *state;

	syn_again(s);
	judged(s, "no verdict");
	listener(s, 4, 4)->drops = 5; /* a queue at its limit still takes one more */
	judged(s, "no verdict");
	story_counter(s, "TcpExtListenOverflows", 5)->base_ns = 0; /* since ever */
	judged(s, "no verdict");
	story_counter(s, "TcpExtListenOverflows", 0);
	judged(s, "no verdict");
}

static void listen_overflow_is_likely_if_the_queue_is_full(void **state)
{
	struct story *s = *state;

	syn_again(s);
	listener(s, 5, 4);
	judged(s, "listen-overflow, likely");
	assert_true(story_says(s, "pid 44 postgres does not accept()"));
	assert_true(story_says(s, "5 wait in the queue of port 5432, and 4 is the limit"));
	assert_true(story_says(s, "arrived 3 times and was not answered"));
	assert_true(story_hits(s, "pid 44 postgres"));
}

static void listen_overflow_is_certain_if_it_was_counted(void **state)
{
	struct story *s = *state;

	syn_again(s);
	listener(s, 5, 4);
	story_counter(s, "TcpExtListenOverflows", 7);
	story_sysctl(s, "net.core.somaxconn", 4096);
	judged(s, "listen-overflow, certain");
	assert_true(story_says(s, "ListenOverflows grew by 7"));
	assert_true(story_offers(s, "let pid 44 postgres call accept() again"));
	assert_true(story_offers(s, "larger backlog in listen(): it has 4, up to 4096 is allowed"));
	assert_false(story_offers(s, "sysctl"));
}

static void listen_overflow_at_the_systems_limit(void **state)
{
	struct story *s = *state;

	syn_again(s);
	listener(s, 129, 128);
	story_counter(s, "TcpExtListenOverflows", 7);
	story_sysctl(s, "net.core.somaxconn", 128);
	judged(s, "listen-overflow, certain");
	assert_true(story_offers(s, "sysctl -w net.core.somaxconn=256   (now 128)"));
}

static void listen_overflow_that_is_over_needs_the_listeners_own_drops(void **state)
{
	struct story *s = *state;
	struct rec_sock_info *l;

	syn_again(s);
	l = listener(s, 0, 4);
	story_counter(s, "TcpExtListenOverflows", 7); /* perhaps another listener's */
	judged(s, "no verdict");
	l->drops = 7;
	judged(s, "listen-overflow, certain");
}

static void listen_overflow_of_another_namespace_is_not_it(void **state)
{
	struct story *s = *state;

	syn_again(s);
	listener(s, 5, 4)->hdr.netns = INSIDE;
	story_counter(s, "TcpExtListenOverflows", 7)->hdr.netns = INSIDE;
	judged(s, "no verdict");
}

static void listen_overflow_of_the_syn_queue(void **state)
{
	struct story *s = *state;

	syn_again(s);
	story_counter(s, "TcpExtTCPReqQFullDrop", 3);
	judged(s, "no verdict"); /* nobody listens: it's not this port's */
	listener(s, 0, 4);
	judged(s, "listen-overflow, certain");
	assert_true(story_says(s, "its SYN queue is full"));
	assert_true(story_says(s, "TCPReqQFullDrop grew by 3"));
	assert_true(story_offers(s, "net.ipv4.tcp_syncookies=1"));
}

static void listen_overflow_seen_from_the_service(void **state)
{
	const struct rec_tuple there = to_service();
	struct story *s = *state;
	struct rec_event *e = story_event(s, REC_SYNACK_RETRANS, tuple_reverse(&there));

	story_own_socket(e, TCP_STATE_NEW_SYN_RECV);
	e->sock.backlog = 4;
	e->sock.max_backlog = 4;
	judged(s, "no verdict");
	e->sock.backlog = 5;
	judged(s, "listen-overflow, likely");
	assert_true(story_says(s, "the queue of port 5432"));
	assert_true(story_says(s, "the SYN-ACK to 10.0.1.2:50000 had to be sent again"));
}

static void listen_overflow_in_the_kernels_words(void **state)
{
	struct story *s = *state;

	listener(s, 5, 4);
	story_drop(s, to_service(), "TCP_LISTEN_OVERFLOW");
	judged(s, "listen-overflow, certain");
}

static struct rec_event *syn_refused(struct story *s, uint8_t step)
{
	struct rec_event *e = story_event(s, REC_HANDSHAKE, to_service());

	e->pkt.tcp_flags = SYN;
	e->step = step;
	story_own_socket(e, TCP_LISTEN);
	e->sock.backlog = 5;
	e->sock.max_backlog = 4;
	e->sock.syn_queue = 17;
	return e;
}

static void listen_overflow_at_the_first_refused_syn(void **state)
{
	struct story *s = *state;
	struct rec_event *e = syn_refused(s, STEP_ACCEPT_QUEUE_FULL);

	listener(s, 5, 4);
	story_sysctl(s, "net.core.somaxconn", 4096);
	judged(s, "listen-overflow, certain");
	assert_true(story_says(s, "pid 44 postgres does not accept()"));
	assert_true(story_says(s, "5 wait in the queue of port 5432, and 4 is the limit"));
	assert_true(story_offers(s, "it has 4, up to 4096 is allowed"));
	e->step = STEP_SYN_QUEUE_FULL;
	judged(s, "listen-overflow, certain");
	assert_true(story_says(s, "its SYN queue is full"));
	assert_true(story_says(s, "17 connections are half open, and 4 is the limit"));
	assert_true(story_offers(s, "net.ipv4.tcp_syncookies=1"));
}

static void steps_of_a_handshake_are_no_failure(void **state)
{
	const uint8_t steps[] = {STEP_SYN, STEP_COOKIE_SENT, STEP_COOKIE_CHECKED, STEP_ACK_MATCHED};
	struct story *s = *state;
	struct rec_event *e = syn_refused(s, 0);

	for (size_t i = 0; i < ARRAY_SIZE(steps); i++) {
		e->step = steps[i];
		judged(s, "no verdict");
	}
}

/* ---- listen-abort-on-overflow ---------------------------------------------------------------- */

static struct rec_event *last_ack_reset(struct story *s)
{
	struct rec_event *e = story_event(s, REC_RST_SENT, to_service());

	e->pkt.tcp_flags = ACK;
	story_own_socket(e, TCP_LISTEN);
	e->sock.backlog = 5;
	e->sock.max_backlog = 4;
	return e;
}

static void listen_abort_on_overflow_by_the_stack(void **state)
{
	struct story *s = *state;
	struct rec_event *e = last_ack_reset(s);

	judged(s, "unknown, unknown");
	story_stack(s, e, "tcp_v4_send_reset", "tcp_check_req");
	judged(s, "listen-abort-on-overflow, certain");
	assert_true(story_says(s, "5 wait in the queue of port 5432, and 4 is the limit"));
	assert_true(story_offers(s, "sysctl -w net.ipv4.tcp_abort_on_overflow=0"));
	story_sysctl(s, "net.ipv4.tcp_abort_on_overflow", 1);
	listener(s, 5, 4);
	judged(s, "listen-abort-on-overflow, certain");
	assert_true(story_says(s, "net.ipv4.tcp_abort_on_overflow is 1"));
	assert_true(story_hits(s, "pid 44 postgres"));
	assert_true(story_offers(s, "let pid 44 postgres call accept() again"));
}

static void listen_abort_on_overflow_by_the_kernels_reason(void **state)
{
	struct story *s = *state;

	story_reason(last_ack_reset(s), "INVALID_SYN");
	judged(s, "listen-abort-on-overflow, certain");
}

static void listen_abort_on_overflow_is_likely_if_the_queue_has_room(void **state)
{
	struct story *s = *state;
	struct rec_event *e = last_ack_reset(s);

	story_stack(s, e, "tcp_v4_send_reset", "tcp_check_req");
	e->sock.backlog = 4;
	judged(s, "listen-abort-on-overflow, likely");
	assert_true(story_says(s, "for want of memory"));
	story_counter(s, "TcpExtListenOverflows", 1);
	judged(s, "listen-abort-on-overflow, certain");
	assert_true(story_says(s, "ListenOverflows grew by 1"));
}

static void a_syn_at_a_half_open_connection_is_not_an_overflow(void **state)
{
	struct story *s = *state;
	struct rec_event *e = last_ack_reset(s);

	story_stack(s, e, "tcp_v4_send_reset", "tcp_check_req");
	e->pkt.tcp_flags = SYN;
	judged(s, "unknown, unknown");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		story_test(rp_filter_is_certain),
		story_test(rp_filter_is_not_any_bad_source),
		story_test(checksum_is_certain),
		story_test(checksum_is_not_any_bad_header),
		story_test(receive_buffer_full_for_datagrams),
		story_test(receive_buffer_full_is_not_a_closed_window),
		story_test(receive_buffer_full_of_a_stream),
		story_test(receive_buffer_full_needs_a_closed_window),
		story_test(listen_overflow_needs_proof),
		story_test(listen_overflow_is_likely_if_the_queue_is_full),
		story_test(listen_overflow_is_certain_if_it_was_counted),
		story_test(listen_overflow_at_the_systems_limit),
		story_test(listen_overflow_that_is_over_needs_the_listeners_own_drops),
		story_test(listen_overflow_of_another_namespace_is_not_it),
		story_test(listen_overflow_of_the_syn_queue),
		story_test(listen_overflow_seen_from_the_service),
		story_test(listen_overflow_in_the_kernels_words),
		story_test(listen_overflow_at_the_first_refused_syn),
		story_test(steps_of_a_handshake_are_no_failure),
		story_test(listen_abort_on_overflow_by_the_stack),
		story_test(listen_abort_on_overflow_by_the_kernels_reason),
		story_test(listen_abort_on_overflow_is_likely_if_the_queue_has_room),
		story_test(a_syn_at_a_half_open_connection_is_not_an_overflow),
	};

	return cmocka_run_group_tests_name("causes of drops", tests, NULL, NULL);
}
