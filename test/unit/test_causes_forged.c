/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Resets that somebody else may have sent: ignored ones, injected ones, and near misses. */
#include "timeline_fixture.h"

#define judged(s, text) assert_string_equal(story_judge(s), text)

static struct rec_tuple to_service(void)
{
	return tcp("10.0.1.2", 50000, "10.0.2.2", 8080);
}

static struct rec_tuple from_service(void)
{
	return tcp("10.0.2.2", 8080, "10.0.1.2", 50000);
}

/* The client's socket: it expects 5000, and has 500 bytes on their way. */
static void client_socket(struct rec_event *e, uint8_t state)
{
	story_own_socket(e, state);
	e->sock.tuple = to_service();
	e->sock.addr = 0xffff888000001000;
	e->sock.rcv_nxt = 5000;
	e->sock.rcv_wnd = 1000;
	e->sock.snd_una = 2000;
	e->sock.write_seq = 2500;
	e->sock.snd_wnd = 65536;
}

/* ---- rst-out-of-window-ignored --------------------------------------------------------------- */

static struct rec_event *ignored(struct story *s, uint32_t seq)
{
	struct rec_event *e = story_event(s, REC_RST_IGNORED, from_service());

	e->pkt.tcp_flags = RST;
	e->pkt.seq = seq;
	e->pkt.ttl = 47;
	client_socket(e, TCP_ESTABLISHED);
	return e;
}

static struct rec_event *times_out(struct story *s)
{
	struct rec_event *e = story_event(s, REC_SOCK_ERR, to_service());

	client_socket(e, TCP_CLOSE);
	e->err = e->sock.err = ETIMEDOUT;
	e->sock.retransmits = 15;
	story_stack(s, e, "tcp_write_err", "tcp_retransmit_timer", "tcp_write_timer_handler");
	return e;
}

static struct rec_event *retransmits(struct story *s, uint8_t times)
{
	struct rec_event *e = story_event(s, REC_RETRANS, to_service());

	client_socket(e, TCP_ESTABLISHED);
	e->sock.retransmits = times;
	return e;
}

static void ignored_reset_and_time_out(void **state)
{
	struct story *s = *state;
	struct rec_event *e = ignored(s, 4000), *out;

	judged(s, "no verdict");
	out = times_out(s);
	judged(s, "rst-out-of-window-ignored, certain");
	assert_true(story_says(s, "TTL 47"));
	assert_true(story_says(s, "is 4000, only 5000 would have been believed: it is 1000 below, "
				  "and "
				  "outside of the window (5000 to 6000)"));
	assert_true(story_says(s, "was given up (ETIMEDOUT); 500 bytes unacknowledged"));
	assert_false(story_offers(s, "ss -tK"));
	e->pkt.seq = 5100;
	judged(s, "rst-out-of-window-ignored, certain");
	assert_true(story_says(s, "is 100 above, and in the window"));

	/* Something of the peer was taken afterwards: it lives, and knows nothing of a reset. */
	out->sock.rcv_nxt++;
	judged(s, "retransmit-timeout, certain");
	out->sock.rcv_nxt--;
	out->sock.snd_una++;
	judged(s, "retransmit-timeout, certain");
	out->sock.snd_una--;
	/* Another connection of the same ends. */
	out->sock.addr++;
	judged(s, "retransmit-timeout, certain");
	out->sock.addr--;
	/* What ends it is no time-out. */
	out->err = out->sock.err = EHOSTUNREACH;
	assert_null(strstr(story_judge(s), "ignored"));
}

static void ignored_reset_after_the_time_out(void **state)
{
	struct story *s = *state;

	times_out(s);
	ignored(s, 4000);
	judged(s, "retransmit-timeout, certain");
}

static void ignored_reset_and_keepalive(void **state)
{
	struct story *s = *state;
	struct rec_event *e;

	ignored(s, 4000);
	e = story_event(s, REC_RST_SENT, to_service());
	client_socket(e, TCP_ESTABLISHED);
	e->active = 1;
	story_stack(s, e, "tcp_send_active_reset", "tcp_keepalive_timer");
	judged(s, "rst-out-of-window-ignored, certain");
}

static void ignored_reset_of_a_connection_that_hangs(void **state)
{
	struct story *s = *state;
	struct rec_event *e;

	ignored(s, 4000);
	retransmits(s, 1);
	e = retransmits(s, 2);
	judged(s, "no verdict");
	e->sock.retransmits = 3;
	judged(s, "rst-out-of-window-ignored, certain");
	assert_true(story_says(s, "and still waits"));
	assert_true(story_offers(s, "ss -tK src 10.0.1.2:50000 dst 10.0.2.2:8080"));
	e->sock.snd_una += 100; /* the peer acknowledged something since */
	judged(s, "no verdict");
}

/* The kernel's own word: Linux 6.0, with the socket since 6.11. */
static void ignored_reset_by_its_drop(void **state)
{
	const char *const reasons[] = {"TCP_INVALID_SEQUENCE", "TCP_OLD_SEQUENCE", "TCP_RESET"};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(reasons); i++) {
		struct rec_event *e, *hangs;
		struct story s;

		story_start(&s);
		e = story_drop(&s, from_service(), reasons[i]);
		e->pkt.tcp_flags = RST | ACK;
		e->pkt.seq = 4000;
		hangs = retransmits(&s, 3);
		judged(&s, "rst-out-of-window-ignored, likely");
		assert_true(story_says(&s, "as the socket stood later"));
		hangs->sock.rcv_nxt = 4000; /* then it would have been taken */
		judged(&s, "no verdict");
		hangs->sock.rcv_nxt = 5000;
		client_socket(e, TCP_ESTABLISHED);
		judged(&s, "rst-out-of-window-ignored, certain");
		e->sock.state = TCP_LISTEN;
		judged(&s, "no verdict");
		e->sock.state = TCP_ESTABLISHED;
		e->pkt.tcp_flags = ACK;
		judged(&s, "no verdict");
		story_end(&s);
	}
}

static void ignored_reset_is_not_it_where_this_host_dropped(void **state)
{
	struct story *s = *state;

	ignored(s, 4000);
	story_drop(s, to_service(), "NETFILTER_DROP")->pkt.tcp_flags = ACK;
	times_out(s);
	assert_null(strstr(story_judge(s), "ignored"));
	assert_string_not_equal(story_judge(s), "no verdict");
}

static void ignored_reset_tells_where_it_came_from(void **state)
{
	struct story *s = *state;
	struct rec_event *e = ignored(s, 4000);

	times_out(s);
	story_judge(s);
	assert_false(story_says(s, "had TTL"));
	e->mem.peer_ttl = 63;
	judged(s, "rst-out-of-window-ignored, certain");
	assert_true(story_says(s, "had TTL 63: it came another way"));
}

/* ---- rst-injected ---------------------------------------------------------------------------- */

static struct rec_event *taken(struct story *s, uint8_t ttl, uint8_t expected)
{
	struct rec_event *e = story_event(s, REC_RST_RECV, from_service());

	e->pkt.tcp_flags = RST;
	e->pkt.seq = 5000;
	e->pkt.ttl = ttl;
	client_socket(e, TCP_ESTABLISHED);
	e->mem.peer_ttl = expected;
	return e;
}

static void injected_reset_by_its_ttl(void **state)
{
	static const struct {
		uint8_t ttl, expected;
		const char *cause, *says;
	} cases[] = {
		{47, 63, "rst-injected, likely", "from 16 hops farther away"},
		{64, 52, "rst-injected, likely", "from 12 hops nearer"},
		{254, 50, "rst-injected, likely", "from 13 hops nearer"}, /* another system */
		{118, 117, "rst-injected, likely", "from 1 hop nearer"},
		{63, 63, "peer-reset, certain", "TTL 63"},
		{0, 0, "peer-reset, certain", "TTL 0"},
		{64, 0, "peer-reset, certain", "TTL 64"}, /* nobody watched the handshake */
		/* As far away, from another number: the same machine, perhaps. */
		{254, 63, "peer-reset, certain", "TTL 254"},
		{127, 63, "peer-reset, certain", "TTL 127"},
		{64, 255, "peer-reset, certain", "TTL 64"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct story s;

		story_start(&s);
		taken(&s, cases[i].ttl, cases[i].expected);
		judged(&s, cases[i].cause);
		assert_true(story_says(&s, cases[i].says));
		story_end(&s);
	}
}

static void injected_reset_is_not_what_this_host_sent(void **state)
{
	struct story *s = *state;
	struct rec_event *e = story_event(s, REC_RST_SENT, from_service());

	e->active = 1;
	taken(s, 47, 63);
	assert_null(strstr(story_judge(s), "rst-injected"));
}

/* The connection is gone then: what the peer still sends is answered with a reset. */
static void injected_reset_and_what_it_brings_about(void **state)
{
	struct story *s = *state;
	struct rec_event *e;

	taken(s, 47, 63);
	story_event(s, REC_SOCK_ERR, to_service())->err = ECONNRESET;
	e = story_event(s, REC_RST_SENT, from_service());
	story_reason(e, "NO_SOCKET");
	e->pkt.tcp_flags = ACK;
	judged(s, "rst-injected, likely");
}

static void injected_reset_by_a_program_of_this_host(void **state)
{
	struct story *s = *state;
	struct rec_event *e = story_event(s, REC_RST_OUT, from_service());

	e->hdr.netns = INSIDE;
	story_stack(s, e, "dev_queue_xmit", "raw_sendmsg");
	story_task(e, 9, "injector");
	taken(s, 47, 63);
	judged(s, "rst-injected, likely");
	assert_true(story_says(s, "sent by a process through a raw socket (pid 9 injector)"));
	assert_true(story_offers(s, "look why pid 9 injector in netns "));
	assert_false(story_offers(s, "hops from here")); /* it is known who did it */
}

static void peer_reset_from_a_packet_socket(void **state)
{
	struct story *s = *state;
	struct rec_event *out = story_event(s, REC_RST_OUT, from_service());

	story_stack(s, out, "__dev_queue_xmit", "packet_sendmsg");
	story_task(out, 66, "middlebox");
	client_socket(story_event(s, REC_RST_RECV, to_service()), TCP_ESTABLISHED);
	judged(s, "peer-reset, certain");
	assert_true(story_says(s, "sent by a process through a packet socket (pid 66 middlebox)"));
}

static void injected_reset_needs_the_packet(void **state)
{
	struct story *s = *state;

	taken(s, 47, 63)->pkt.has = 0;
	judged(s, "peer-reset, certain");
}

/* Refused while connecting: nothing of the peer was seen before. */
static void injected_reset_is_not_a_refusal(void **state)
{
	struct story *s = *state;

	taken(s, 47, 63)->sock.state = TCP_SYN_SENT;
	assert_null(strstr(story_judge(s), "rst-injected"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		story_test(ignored_reset_and_time_out),
		story_test(ignored_reset_after_the_time_out),
		story_test(ignored_reset_and_keepalive),
		story_test(ignored_reset_of_a_connection_that_hangs),
		story_test(ignored_reset_by_its_drop),
		story_test(ignored_reset_is_not_it_where_this_host_dropped),
		story_test(ignored_reset_tells_where_it_came_from),
		story_test(injected_reset_by_its_ttl),
		story_test(injected_reset_is_not_what_this_host_sent),
		story_test(injected_reset_and_what_it_brings_about),
		story_test(injected_reset_by_a_program_of_this_host),
		story_test(peer_reset_from_a_packet_socket),
		story_test(injected_reset_needs_the_packet),
		story_test(injected_reset_is_not_a_refusal),
	};

	return cmocka_run_group_tests_name("causes of forged resets", tests, NULL, NULL);
}
