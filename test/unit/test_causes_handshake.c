/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Connections that fail while they begin: each cause with what makes it that, and near misses. */
#include "timeline_fixture.h"

#define judged(s, text) assert_string_equal(story_judge(s), text)

#define MS NSEC_PER_MSEC

static struct rec_tuple to_service(void)
{
	return tcp("10.0.1.2", 50000, "10.0.2.2", 8080);
}

static struct rec_tuple from_service(void)
{
	const struct rec_tuple t = to_service();

	return tuple_reverse(&t);
}

/* An ACK that met the listening socket only, and was reset. */
static struct rec_event *ack_meets_listener(struct story *s)
{
	struct rec_event *e = story_event(s, REC_RST_SENT, to_service());

	e->pkt.tcp_flags = ACK;
	e->pkt.payload = 100;
	story_own_socket(e, TCP_LISTEN);
	story_stack(s, e, "tcp_v4_send_reset", "tcp_v4_do_rcv", "tcp_v4_rcv");
	return e;
}

/* ---- handshake-race -------------------------------------------------------------------------- */

static struct rec_event *established(struct story *s, uint64_t ns)
{
	struct rec_event *e = story_event(s, REC_STATE, from_service());

	e->hdr.mono_ns = ns;
	e->old_state = TCP_SYN_RECV;
	e->new_state = TCP_ESTABLISHED;
	story_own_socket(e, TCP_SYN_RECV);
	e->sock.addr++;
	e->mem.handshake.established_ns = ns;
	e->cpu = 3;
	return e;
}

static void handshake_race_is_certain_in_between(void **state)
{
	struct story *s = *state;
	struct rec_event *e = ack_meets_listener(s), *state_event;
	uint64_t now = e->hdr.mono_ns;

	story_reason(e, "TCP_FLAGS");
	e->mem.handshake.acked_ns = now - 20000;
	state_event = established(s, now + 30000);
	judged(s, "handshake-race, certain");
	assert_true(story_says(s, "an ACK had found the half-open connection 20 us before"));
	assert_true(story_says(s, "became ESTABLISHED 30 us after the reset"));
	assert_true(story_says(s, "the reset was made on CPU 0, the connection on CPU 3"));
	assert_true(story_offers(s, "inet_ehash_insert"));
	state_event->sock.snd_una++; /* it acknowledges something else */
	assert_null(strstr(story_judge(s), "handshake-race"));
	state_event->sock.snd_una--;
	/* No socket at all: the listener is bound to a device, say. */
	e->sock = (struct rec_sock){0};
	story_reason(e, "NO_SOCKET");
	judged(s, "handshake-race, certain");
}

static void handshake_race_is_likely_if_only_its_end_is_known(void **state)
{
	struct story *s = *state;
	struct rec_event *e = ack_meets_listener(s);

	e->mem.handshake.established_ns = e->hdr.mono_ns - 2 * MS;
	judged(s, "handshake-race, likely");
	assert_true(story_says(s, "became ESTABLISHED 2 ms before the reset"));
	assert_true(story_says(s, "is inferred from how near it was"));
	e->mem.handshake.acked_ns = e->mem.handshake.established_ns - 20000;
	judged(s, "handshake-race, likely"); /* the gap was closed again long since */
}

static void handshake_race_is_over_soon(void **state)
{
	struct story *s = *state;
	struct rec_event *e = ack_meets_listener(s);

	e->mem.handshake.established_ns = e->hdr.mono_ns - 20 * MS;
	judged(s, "closed-socket, likely");
	e->mem.handshake.established_ns = e->hdr.mono_ns + 20 * MS; /* of the next attempt */
	judged(s, "closed-socket, likely");
}

static void handshake_race_is_not_a_close(void **state)
{
	struct story *s = *state;
	struct rec_event *e = ack_meets_listener(s);

	e->mem.handshake.established_ns = e->hdr.mono_ns - 2 * MS;
	e->mem.closed_ns = e->hdr.mono_ns - MS;
	judged(s, "closed-socket, likely");
	/* The one before it, with the same ports, was closed: that says nothing. */
	e->mem.closed_ns = e->hdr.mono_ns - 3 * MS;
	judged(s, "handshake-race, likely");
}

static void handshake_race_is_not_an_end_by_the_peer(void **state)
{
	struct story *s = *state;
	struct rec_event *rst = story_event(s, REC_RST_RECV, from_service()), *e;

	story_own_socket(rst, TCP_ESTABLISHED);
	e = ack_meets_listener(s);
	e->mem.handshake.established_ns = rst->hdr.mono_ns - 1000;
	assert_null(strstr(story_judge(s), "handshake-race"));
}

static void handshake_race_is_this_connections_own(void **state)
{
	struct story *s = *state;
	struct rec_event *e = ack_meets_listener(s), *other = established(s, e->hdr.mono_ns + 1000);

	other->hdr.netns = INSIDE; /* another world with the same addresses, or behind a NAT */
	judged(s, "closed-socket, likely");
	other->hdr.netns = HOST;
	other->pkt.tuple.dport++;
	judged(s, "closed-socket, likely");
	other->pkt.tuple.dport--;
	judged(s, "handshake-race, likely");
	e->pkt.tcp_flags = SYN;
	assert_null(strstr(story_judge(s), "handshake-race"));
}

/* ---- syncookie-failed ------------------------------------------------------------------------ */

static void syncookie_failed_is_certain_if_it_was_checked(void **state)
{
	struct story *s = *state;
	struct rec_event *e = ack_meets_listener(s);

	judged(s, "closed-socket, likely");
	e->mem.handshake.checked_ns = e->hdr.mono_ns - 3000;
	judged(s, "syncookie-failed, certain");
	assert_true(story_says(s, "Port 8080 uses SYN cookies"));
	assert_true(story_says(s, "checked against the SYN cookies 3 us before"));
	assert_true(story_says(s, "no cookie was seen being sent to it"));
	e->mem.handshake.cookie_ns = e->hdr.mono_ns - 130 * NSEC_PER_SEC;
	judged(s, "syncookie-failed, certain");
	assert_true(story_says(s, "was answered with a cookie 130.0 s before"));
	e->mem.handshake.checked_ns = e->hdr.mono_ns - 30 * MS; /* that was another ACK */
	judged(s, "closed-socket, likely");
}

static void syncookie_failed_is_likely_if_it_was_counted(void **state)
{
	struct story *s = *state;

	ack_meets_listener(s);
	story_counter(s, "TcpExtSyncookiesFailed", 1);
	judged(s, "syncookie-failed, likely");
	assert_true(story_says(s, "SyncookiesFailed grew by 1"));
}

static void syncookie_failed_is_not_an_old_connection(void **state)
{
	struct story *s = *state;
	struct rec_event *e = ack_meets_listener(s);

	e->mem.handshake.checked_ns = e->hdr.mono_ns - 3000;
	e->mem.handshake.established_ns = e->hdr.mono_ns - NSEC_PER_SEC;
	judged(s, "closed-socket, likely");
	e->mem.handshake.established_ns = 0;
	e->mem.closed_ns = e->hdr.mono_ns - NSEC_PER_SEC;
	judged(s, "closed-socket, likely");
}

/* ---- challenge-ack --------------------------------------------------------------------------- */

static struct rec_event *syn_meets(struct story *s, enum rec_kind kind, uint8_t socket_state)
{
	struct rec_event *e = story_event(s, kind, to_service());

	e->pkt.tcp_flags = SYN;
	e->pkt.seq = 9000;
	story_own_socket(e, socket_state);
	e->sock.tuple = from_service();
	e->sock.rcv_nxt = 5000;
	return e;
}

static struct rec_event *syn_again(struct story *s, uint32_t seq)
{
	struct rec_event *e = story_event(s, REC_SYN_AGAIN, to_service());

	e->pkt.tcp_flags = SYN;
	e->pkt.seq = seq;
	e->repeats = 2;
	return e;
}

static void challenge_ack_if_the_syn_comes_again(void **state)
{
	struct story *s = *state;
	struct rec_event *e = syn_meets(s, REC_CHALLENGE, TCP_ESTABLISHED);

	judged(s, "no verdict"); /* a stray or forged one, perhaps */
	syn_again(s, 9000);
	story_owner(story_socket(s, SOCK_MATCH_OWNER, e->sock.tuple, 0), HOST, 12, "service");
	e->mem.handshake.established_ns = e->hdr.mono_ns - 3 * NSEC_PER_SEC;
	judged(s, "challenge-ack, certain");
	assert_true(story_says(s, "10.0.1.2:50000 -> 10.0.2.2:8080 met an old one"));
	assert_true(story_says(s, "still ESTABLISHED"));
	assert_true(story_says(s, "the old connection was established 3.0 s before"));
	assert_true(story_says(s, "no reset was seen"));
	assert_true(story_hits(s, "pid 12 service"));
	assert_true(story_offers(s, "ss -tK src 10.0.2.2:8080 dst 10.0.1.2:50000"));
}

static void challenge_ack_by_the_drop(void **state)
{
	struct story *s = *state;
	struct rec_event *e = syn_meets(s, REC_DROP, TCP_FIN_WAIT2);

	story_reason(e, "TCP_INVALID_SYN");
	judged(s, "no verdict");
	syn_again(s, 9000);
	judged(s, "challenge-ack, certain");
	assert_true(story_says(s, "still FIN_WAIT2"));
	assert_true(story_says(s, "it was dropped with reason TCP_INVALID_SYN"));
}

static void challenge_ack_where_the_socket_is_not_told(void **state)
{
	struct story *s = *state;
	struct rec_event *e = syn_meets(s, REC_DROP, 0), *again; /* before 6.11 */

	e->sock = (struct rec_sock){0};
	story_reason(e, "TCP_INVALID_SYN");
	judged(s, "no verdict");
	again = syn_meets(s, REC_DROP, 0);
	again->sock = (struct rec_sock){0};
	story_reason(again, "TCP_INVALID_SYN");
	judged(s, "challenge-ack, certain");
	assert_true(story_says(s, "which here is still alive"));
	story_socket(s, SOCK_MATCH_EXACT, from_service(), TCP_CLOSE_WAIT);
	judged(s, "challenge-ack, certain");
	assert_true(story_says(s, "which here is still CLOSE_WAIT"));
	again->pkt.seq++;
	judged(s, "no verdict");
}

static void challenge_ack_twice_is_once_too_often(void **state)
{
	struct story *s = *state;
	struct rec_event *e = syn_meets(s, REC_CHALLENGE, TCP_ESTABLISHED),
			 *again = syn_meets(s, REC_CHALLENGE, TCP_ESTABLISHED);

	judged(s, "challenge-ack, certain");
	/* Below what was received: perhaps the SYN that began the connection, twice more. */
	e->pkt.seq = again->pkt.seq = 3000;
	judged(s, "no verdict");
	syn_again(s, 3000);
	judged(s, "challenge-ack, certain");
}

static void challenge_ack_is_the_root_of_the_clients_reset(void **state)
{
	struct story *s = *state;
	struct rec_event *e = syn_meets(s, REC_CHALLENGE, TCP_ESTABLISHED), *rst;

	rst = story_event(s, REC_RST_SENT, from_service());
	rst->pkt.tcp_flags = ACK;
	story_own_socket(rst, TCP_SYN_SENT);
	rst->sock.addr++;
	judged(s, "challenge-ack, certain");
	story_own_socket(story_event(s, REC_RST_RECV, from_service()), TCP_ESTABLISHED);
	judged(s, "challenge-ack, certain");
	assert_true(story_says(s, "a reset ended the old connection"));
	(void)e;
}

static void a_stray_duplicate_of_its_own_syn_is_no_failure(void **state)
{
	struct story *s = *state;
	struct rec_event *e;

	syn_again(s, 3000);
	e = syn_meets(s, REC_CHALLENGE, TCP_ESTABLISHED);
	e->pkt.seq = 3000;
	judged(s, "no verdict");
	syn_again(s, 3000);
	judged(s, "no verdict");
	e->sock.rcv_nxt = 3001; /* nothing was received since */
	judged(s, "no verdict");
}

static void a_reset_much_later_has_nothing_to_do_with_it(void **state)
{
	struct story *s = *state;
	struct rec_event *e = syn_meets(s, REC_CHALLENGE, TCP_ESTABLISHED),
			 *rst = story_event(s, REC_RST_RECV, from_service());

	story_own_socket(rst, TCP_ESTABLISHED);
	rst->hdr.mono_ns = e->hdr.mono_ns + 5 * NSEC_PER_SEC;
	judged(s, "peer-reset, certain");
}

/* ---- time-wait-answer ------------------------------------------------------------------------ */

static struct rec_event *tw_answers(struct story *s, uint8_t step)
{
	struct rec_event *e = syn_meets(s, REC_TW_ANSWER, TCP_TIME_WAIT);

	e->sock.flags = SOCK_PRESENT | SOCK_TIMEWAIT;
	e->step = step;
	return e;
}

static void time_wait_answer_if_the_syn_comes_again(void **state)
{
	const uint8_t steps[] = {TW_ACK, TW_ACK_OOW, TW_NOTHING};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(steps); i++) {
		struct story s;

		story_start(&s);
		tw_answers(&s, steps[i]);
		judged(&s, "no verdict"); /* a stray duplicate is what TIME_WAIT is for */
		syn_again(&s, 9000);
		story_sysctl(&s, "net.ipv4.tcp_rfc1337", 1);
		judged(&s, "time-wait-answer, certain");
		assert_true(story_says(&s, "in TIME_WAIT"));
		assert_true(story_says(&s, steps[i] == TW_NOTHING ? "dropped it without a word"
								  : "with an ACK of the old "
								    "connection"));
		assert_true(story_offers(&s, "net.ipv4.tcp_rfc1337=0"));
		story_end(&s);
	}
}

static void time_wait_answer_that_lets_it_in_is_none(void **state)
{
	struct story *s = *state;

	tw_answers(s, TW_SYN);
	syn_again(s, 9000);
	judged(s, "no verdict");
}

static void time_wait_answer_with_a_reset(void **state)
{
	struct story *s = *state;
	struct rec_event *e = syn_meets(s, REC_RST_SENT, TCP_TIME_WAIT);

	e->sock.flags = SOCK_PRESENT | SOCK_TIMEWAIT;
	judged(s, "time-wait-answer, certain");
	assert_true(story_says(s, "answered it with a reset, and forgot the old one"));
	assert_true(story_offers(s, "let the client try again"));
	e->pkt.tcp_flags = ACK; /* data for a connection that was closed */
	judged(s, "closed-socket, certain");
}

static void time_wait_answer_by_the_drop(void **state)
{
	struct story *s = *state;
	struct rec_event *e = syn_meets(s, REC_DROP, TCP_TIME_WAIT), *again;

	e->sock.flags = SOCK_PRESENT | SOCK_TIMEWAIT;
	story_reason(e, "NOT_SPECIFIED");
	judged(s, "no verdict");
	again = syn_meets(s, REC_DROP, TCP_TIME_WAIT);
	again->sock.flags = e->sock.flags;
	story_reason(again, "NOT_SPECIFIED");
	judged(s, "time-wait-answer, certain");
	e->sock.flags = again->sock.flags = SOCK_PRESENT;
	judged(s, "no verdict");
}

static void time_wait_answer_is_likely_by_a_lookup(void **state)
{
	struct story *s = *state;
	struct rec_sock_info *tw;

	syn_again(s, 9000);
	tw = story_socket(s, SOCK_MATCH_EXACT, from_service(), TCP_TIME_WAIT);
	judged(s, "time-wait-answer, likely");
	assert_true(story_says(s, "is inferred from that"));
	tw->hdr.netns = INSIDE;
	judged(s, "no verdict");
	tw->hdr.netns = HOST;
	tw->tuple = to_service(); /* the client's end: that is none of the SYN's business */
	judged(s, "no verdict");
}

/* ---- bad-ack-in-handshake -------------------------------------------------------------------- */

static struct rec_event *client_refuses(struct story *s, uint8_t flags, uint32_t ack)
{
	struct rec_event *e = story_event(s, REC_RST_SENT, from_service());

	e->pkt.tcp_flags = flags;
	e->pkt.ack = ack;
	story_own_socket(e, TCP_SYN_SENT);
	e->sock.snd_una = 500;
	e->sock.snd_nxt = 501;
	return e;
}

static void bad_ack_at_the_client(void **state)
{
	struct story *s = *state;
	struct rec_event *e = client_refuses(s, SYN | ACK, 1001);

	judged(s, "bad-ack-in-handshake, certain"); /* no reason told */
	assert_true(story_says(s, "it should acknowledge 501"));
	assert_true(story_says(s, "Something on the way changes the sequence numbers"));
	assert_true(story_offers(s, "tcpdump -nSi any 'tcp port 8080 and host 10.0.2.2'"));
	story_reason(e, "TCP_INVALID_ACK_SEQUENCE");
	judged(s, "bad-ack-in-handshake, certain");
	e->pkt.tcp_flags = ACK;
	judged(s, "bad-ack-in-handshake, certain");
	assert_true(story_says(s, "have an old connection of the same addresses"));
	assert_true(story_offers(s, "on 10.0.2.2: ss -tK src 10.0.2.2:8080 dst 10.0.1.2:50000"));
}

static void bad_ack_or_bad_timestamp(void **state)
{
	struct story *s = *state;

	story_reason(client_refuses(s, SYN | ACK, 501), "TCP_RFC7323_PAWS");
	judged(s, "bad-ack-in-handshake, certain");
	assert_true(story_says(s, "the timestamp that it echoes was never sent"));
}

static void bad_ack_gives_way_to_what_is_in_the_way(void **state)
{
	struct story *s = *state;
	struct rec_event *e = tw_answers(s, TW_ACK);

	client_refuses(s, ACK, 1001);
	judged(s, "time-wait-answer, certain");
	e->step = TW_SYN;
	e->hdr.kind = REC_CHALLENGE;
	e->sock.flags = SOCK_PRESENT;
	e->sock.state = TCP_CLOSE_WAIT;
	judged(s, "challenge-ack, certain");
}

static void bad_ack_gives_way_to_a_time_wait_that_was_looked_up(void **state)
{
	struct story *s = *state;

	client_refuses(s, ACK, 1001);
	story_socket(s, SOCK_MATCH_EXACT, from_service(), TCP_TIME_WAIT)->hdr.netns = INSIDE;
	judged(s, "time-wait-answer, likely");
}

static void bad_ack_at_the_server(void **state)
{
	struct story *s = *state;
	struct rec_event *e = ack_meets_listener(s);

	story_reason(e, "TCP_FLAGS");
	e->mem.handshake.syn_ns = e->hdr.mono_ns - 10 * MS;
	e->mem.handshake.acked_ns = e->hdr.mono_ns - 2000;
	judged(s, "bad-ack-in-handshake, certain");
	assert_true(story_says(s, "it acknowledges what was never sent"));
	assert_true(story_says(s, "it found its half-open connection"));
	established(s, e->hdr.mono_ns + 1000)->old_state = TCP_SYN_SENT; /* the client's own end */
	s->tl.recs.v[1]->netns = INSIDE;
	judged(s, "bad-ack-in-handshake, certain");
	established(s, e->hdr.mono_ns + 1000);
	judged(s, "handshake-race, certain");
}

static void bad_ack_at_the_server_by_a_lookup(void **state)
{
	struct story *s = *state;
	struct rec_sock_info *half_open;

	ack_meets_listener(s);
	half_open = story_socket(s, SOCK_MATCH_EXACT, from_service(), TCP_SYN_RECV);
	judged(s, "bad-ack-in-handshake, likely");
	half_open->state = TCP_ESTABLISHED;
	judged(s, "closed-socket, likely");
	half_open->state = TCP_SYN_RECV;
	half_open->hdr.netns = INSIDE;
	judged(s, "closed-socket, likely");
}

static void bad_ack_in_syn_recv(void **state)
{
	struct story *s = *state;
	struct rec_event *e = ack_meets_listener(s);

	e->sock.state = TCP_SYN_RECV;
	judged(s, "bad-ack-in-handshake, certain");
	e->sock.state = TCP_ESTABLISHED;
	judged(s, "unknown, unknown");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		story_test(handshake_race_is_certain_in_between),
		story_test(handshake_race_is_likely_if_only_its_end_is_known),
		story_test(handshake_race_is_over_soon),
		story_test(handshake_race_is_not_a_close),
		story_test(handshake_race_is_not_an_end_by_the_peer),
		story_test(handshake_race_is_this_connections_own),
		story_test(syncookie_failed_is_certain_if_it_was_checked),
		story_test(syncookie_failed_is_likely_if_it_was_counted),
		story_test(syncookie_failed_is_not_an_old_connection),
		story_test(challenge_ack_if_the_syn_comes_again),
		story_test(challenge_ack_by_the_drop),
		story_test(challenge_ack_where_the_socket_is_not_told),
		story_test(challenge_ack_twice_is_once_too_often),
		story_test(challenge_ack_is_the_root_of_the_clients_reset),
		story_test(a_stray_duplicate_of_its_own_syn_is_no_failure),
		story_test(a_reset_much_later_has_nothing_to_do_with_it),
		story_test(time_wait_answer_if_the_syn_comes_again),
		story_test(time_wait_answer_that_lets_it_in_is_none),
		story_test(time_wait_answer_with_a_reset),
		story_test(time_wait_answer_by_the_drop),
		story_test(time_wait_answer_is_likely_by_a_lookup),
		story_test(bad_ack_at_the_client),
		story_test(bad_ack_or_bad_timestamp),
		story_test(bad_ack_gives_way_to_what_is_in_the_way),
		story_test(bad_ack_gives_way_to_a_time_wait_that_was_looked_up),
		story_test(bad_ack_at_the_server),
		story_test(bad_ack_at_the_server_by_a_lookup),
		story_test(bad_ack_in_syn_recv),
	};

	return cmocka_run_group_tests_name("causes of failed handshakes", tests, NULL, NULL);
}
