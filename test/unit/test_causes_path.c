/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Packets that are too large for the path: what makes it a black hole, and near misses. */
#include "timeline_fixture.h"

#include <linux/icmp.h>

#define judged(s, text) assert_string_equal(story_judge(s), text)

static struct rec_tuple upload(void)
{
	return tcp("10.0.1.2", 50000, "10.0.2.2", 8080);
}

static void socket_of(struct rec_event *e, uint8_t state)
{
	story_own_socket(e, state);
	e->sock.addr = 0xffff888000001000;
	e->sock.snd_una = 1000;
	e->sock.write_seq = 6000;
	e->sock.snd_wnd = 65536;
	e->sock.rcv_nxt = 500;
}

/* A full segment sent again; the peer has a smaller one. */
static struct rec_event *sends_again(struct story *s, uint8_t times)
{
	struct rec_event *e = story_event(s, REC_RETRANS, upload());

	socket_of(e, TCP_ESTABLISHED);
	e->sock.retransmits = times;
	e->segment = (struct rec_segment){
		.size = 1448, .acked = 6, .sacked = 700, .mss = 1448, .path_mtu = 1500};
	return e;
}

static struct rec_event *gives_up(struct story *s)
{
	struct rec_event *e = story_event(s, REC_SOCK_ERR, upload());

	socket_of(e, TCP_CLOSE);
	e->err = e->sock.err = ETIMEDOUT;
	e->sock.retransmits = 15;
	story_stack(s, e, "tcp_write_err", "tcp_retransmit_timer", "tcp_write_timer_handler");
	return e;
}

static void blackhole_is_likely_if_smaller_ones_pass(void **state)
{
	struct story *s = *state;

	sends_again(s, 0);
	sends_again(s, 2);
	judged(s, "no verdict");
	sends_again(s, 3);
	judged(s, "pmtu-blackhole, likely");
	assert_true(story_says(s, "Segments of 1448 bytes to 10.0.2.2:8080 do not arrive"));
	assert_true(story_says(s, "sent again 3 times within 2 ms"));
	assert_true(story_says(s, "the peer has 700 bytes that were sent after it (SACK)"));
	assert_true(story_says(s, "it acknowledged 6 bytes in all"));
	assert_true(story_says(s, "takes 1500 for the path's MTU"));
	assert_true(story_offers(s, "ping -4 -M do -c 2 -s 1472 10.0.2.2"));
	assert_true(story_offers(s, "net.ipv4.tcp_mtu_probing=1"));
	gives_up(s);
	judged(s, "pmtu-blackhole, likely");
}

/* Nothing comes from the peer, whatever the size: it is gone, as far as is known. */
static void blackhole_is_not_a_peer_that_is_gone(void **state)
{
	struct story *s = *state;
	struct rec_event *first = sends_again(s, 1), *last = sends_again(s, 3);

	first->segment.sacked = last->segment.sacked = 0;
	judged(s, "no verdict");
	gives_up(s);
	judged(s, "retransmit-timeout, certain");
	assert_true(story_says(s, "nothing as large was ever acknowledged"));
	last->segment.acked = 100000;
	judged(s, "retransmit-timeout, certain");
	assert_false(story_says(s, "nothing as large was ever acknowledged"));
	/* What was sacked may have been as large. */
	last->segment.sacked = 1448;
	judged(s, "retransmit-timeout, certain");
}

static void blackhole_is_likely_if_the_peer_goes_on(void **state)
{
	struct story *s = *state;
	struct rec_event *first = sends_again(s, 1), *last = sends_again(s, 3);

	first->segment.sacked = last->segment.sacked = 0;
	last->sock.rcv_nxt += 40;
	judged(s, "pmtu-blackhole, likely");
	assert_true(story_says(s, "the peer sent 40 bytes meanwhile"));
	last->segment.acked = 20000; /* among them full segments, perhaps */
	judged(s, "no verdict");
}

static void blackhole_is_not_of_small_segments(void **state)
{
	struct story *s = *state;
	struct rec_event *e = sends_again(s, 5);

	e->segment.size = 536;
	e->segment.sacked = 100;
	judged(s, "no verdict");
	e->segment.size = 1220;
	judged(s, "pmtu-blackhole, likely");
	e->sock.tuple.family = 6;
	judged(s, "no verdict");
}

static void blackhole_is_not_what_a_probing_kernel_repairs(void **state)
{
	struct story *s = *state;
	struct rec_event *e = sends_again(s, 3);

	story_sysctl(s, "net.ipv4.tcp_mtu_probing", 0);
	judged(s, "pmtu-blackhole, likely");
	s->tl.recs.n--;
	free(s->tl.recs.v[s->tl.recs.n]);
	story_sysctl(s, "net.ipv4.tcp_mtu_probing", 1);
	judged(s, "no verdict");
	e->sock.retransmits = 8; /* not even with that */
	judged(s, "pmtu-blackhole, likely");
	assert_false(story_offers(s, "tcp_mtu_probing=1"));
	story_sysctl(s, "net.ipv4.ip_no_pmtu_disc", 1); /* routers may fragment */
	judged(s, "no verdict");
}

static void blackhole_is_not_it_if_the_error_came(void **state)
{
	struct story *s = *state;
	struct rec_event *e;

	e = story_event(s, REC_ICMP_RECV, upload());
	e->pkt.icmp_type = ICMP_DEST_UNREACH;
	e->pkt.icmp_code = ICMP_FRAG_NEEDED;
	sends_again(s, 3);
	judged(s, "no verdict");
	e->hdr.netns = INSIDE; /* it came to another namespace */
	judged(s, "pmtu-blackhole, likely");
}

static void blackhole_is_certain_where_this_host_is_the_router(void **state)
{
	struct story *s = *state;
	struct rec_event *drop = story_drop(s, upload(), "PKT_TOO_BIG");

	drop->hdr.netns = INSIDE;
	drop->pkt.tcp_flags = ACK;
	sends_again(s, 3)->segment.sacked = 0;
	judged(s, "pmtu-blackhole, certain");
	assert_true(story_says(s, "larger than the next link takes"));
}

static void the_rule_that_drops_the_error_is_told_instead(void **state)
{
	struct story *s = *state;
	struct rec_event *e = story_drop(s, upload(), "NETFILTER_DROP");

	e->pkt.icmp_type = ICMP_DEST_UNREACH;
	e->pkt.icmp_code = ICMP_FRAG_NEEDED;
	story_stack(s, e, "nf_hook_slow", "ip_local_deliver");
	sends_again(s, 3);
	assert_null(strstr(story_judge(s), "pmtu-blackhole"));
	assert_true(story_says(s, "a path MTU black hole"));
	assert_true(story_says(s, "a segment of 1448 bytes was sent again after it"));
	e->pkt.icmp_code = ICMP_HOST_UNREACH;
	story_judge(s);
	assert_false(story_says(s, "black hole"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		story_test(blackhole_is_likely_if_smaller_ones_pass),
		story_test(blackhole_is_not_a_peer_that_is_gone),
		story_test(blackhole_is_likely_if_the_peer_goes_on),
		story_test(blackhole_is_not_of_small_segments),
		story_test(blackhole_is_not_what_a_probing_kernel_repairs),
		story_test(blackhole_is_not_it_if_the_error_came),
		story_test(blackhole_is_certain_where_this_host_is_the_router),
		story_test(the_rule_that_drops_the_error_is_told_instead),
	};

	return cmocka_run_group_tests_name("causes on the path", tests, NULL, NULL);
}
