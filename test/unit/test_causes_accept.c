/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Connections that their service never accepted: on both ends, and near misses. */
#include "timeline_fixture.h"

#define judged(s, text) assert_string_equal(story_judge(s), text)

static struct rec_tuple of_service(void)
{
	return tcp("10.0.2.2", 8080, "10.0.1.2", 50000);
}

static struct rec_tuple of_client(void)
{
	return tcp("10.0.1.2", 50000, "10.0.2.2", 8080);
}

/* ---- the service's end ----------------------------------------------------------------------- */

/* Its client closes a connection that has waited for 2 s. */
static struct rec_event *client_closes(struct story *s)
{
	struct rec_event *e = story_event(s, REC_STATE, of_service());

	e->old_state = TCP_ESTABLISHED;
	e->new_state = TCP_CLOSE_WAIT;
	story_own_socket(e, TCP_CLOSE_WAIT);
	e->sock.unread = 5;
	e->mem.handshake.established_ns = e->hdr.mono_ns - 2 * NSEC_PER_SEC;
	return e;
}

static void listener(struct story *s)
{
	struct rec_sock_info *l =
		story_socket(s, SOCK_MATCH_LISTEN, tcp("0.0.0.0", 8080, "0.0.0.0", 0), TCP_LISTEN);

	story_owner(l, HOST, 7, "httpd");
	l->rqueue = 3;
	l->wqueue = 128;
}

static void never_accepted_is_certain(void **state)
{
	struct story *s = *state;
	struct rec_event *e = client_closes(s);

	judged(s, "half-open-accept-queue, certain");
	listener(s);
	judged(s, "half-open-accept-queue, certain");
	assert_true(story_says(s, "10.0.1.2:50000 was connected to port 8080"));
	assert_true(story_says(s, "for 2.0 s"));
	assert_true(story_says(s, "then closed its side"));
	assert_true(story_says(s, "pid 7 httpd never accepted it"));
	assert_true(story_says(s, "5 bytes that it sent were never read"));
	assert_true(story_says(s, "holds 3 now (Recv-Q), its limit is 128 (Send-Q)"));
	assert_true(story_hits(s, "pid 7 httpd"));
	assert_true(story_offers(s, "strace -f -p 7"));
	assert_true(story_offers(s, "let pid 7 httpd call accept() again"));

	e->sock.inode = 77; /* somebody has it */
	judged(s, "no verdict");
	e->sock.inode = 0;
	e->sock.flags |= SOCK_DEAD_F; /* … had it */
	judged(s, "no verdict");
	e->sock.flags &= ~SOCK_DEAD_F;
	/* A probe, which connects and closes; or one whose beginning nobody watched. */
	e->mem.handshake.established_ns = e->hdr.mono_ns - NSEC_PER_SEC / 2;
	judged(s, "no verdict");
	e->mem.handshake.established_ns = 0;
	judged(s, "no verdict");
	e->mem.handshake.established_ns = e->hdr.mono_ns - 2 * NSEC_PER_SEC;
	e->new_state = TCP_FIN_WAIT1;
	judged(s, "no verdict");
}

static void never_accepted_and_reset(void **state)
{
	struct story *s = *state;
	struct rec_event *e = story_event(s, REC_RST_RECV, of_client());

	e->pkt.tcp_flags = RST;
	story_own_socket(e, TCP_ESTABLISHED);
	e->sock.tuple = of_service();
	e->mem.handshake.established_ns = e->hdr.mono_ns - 2 * NSEC_PER_SEC;
	judged(s, "half-open-accept-queue, certain");
	assert_true(story_says(s, "then reset the connection"));
	e->sock.inode = 77;
	judged(s, "peer-reset, certain");
}

/* ---- the client's end ------------------------------------------------------------------------ */

static struct rec_event *sends_again(struct story *s, uint8_t times, uint8_t synacks)
{
	struct rec_event *e = story_event(s, REC_RETRANS, of_client());

	story_own_socket(e, TCP_ESTABLISHED);
	e->sock.inode = 5;
	e->sock.retransmits = times;
	e->mem.peer_syns = synacks;
	e->segment = (struct rec_segment){.size = 100, .acked = 1, .mss = 1448, .path_mtu = 1500};
	return e;
}

static void half_open_is_likely(void **state)
{
	struct story *s = *state;
	struct rec_event *e = sends_again(s, 3, 2);

	judged(s, "half-open-accept-queue, likely");
	assert_true(story_says(s, "connect() to 10.0.2.2:8080 succeeded here"));
	assert_true(story_says(s, "the same SYN-ACK arrived 2 times"));
	assert_true(story_says(s, "the first 100 bytes were sent again 3 times"));
	assert_true(story_offers(s, "on 10.0.2.2: ss -ltnp 'sport = :8080'"));

	e->mem.peer_syns = 1; /* the SYN-ACK came once: the server may have the connection */
	judged(s, "no verdict");
	e->mem.peer_syns = 2;
	e->sock.retransmits = 2;
	judged(s, "no verdict");
	e->sock.retransmits = 3;
	e->segment.acked = 101; /* it has taken data */
	judged(s, "no verdict");
}

/* Where the server's end is watched, too, that tells more; where this host dropped the ACK, that is it. */
static void half_open_is_told_by_who_knows_better(void **state)
{
	struct story *s = *state;
	struct rec_event *drop;

	sends_again(s, 3, 2);
	drop = story_drop(s, of_client(), "NETFILTER_DROP");
	drop->pkt.tcp_flags = ACK;
	assert_null(strstr(story_judge(s), "half-open"));
	drop->pkt.tcp_flags = RST;
	judged(s, "half-open-accept-queue, likely");
	story_event(s, REC_SYNACK_RETRANS, of_service());
	assert_null(strstr(story_judge(s), "half-open"));
}

static void half_open_on_the_server_is_a_full_queue(void **state)
{
	struct story *s = *state;
	struct rec_event *e = story_event(s, REC_SYNACK_RETRANS, of_service());

	story_own_socket(e, TCP_STATE_NEW_SYN_RECV);
	e->sock.flags |= SOCK_REQUEST;
	e->sock.backlog = 5;
	e->sock.max_backlog = 5;
	judged(s, "no verdict"); /* the SYN-ACK may have got lost */
	e->sock.max_backlog = 4;
	story_counter(s, "TcpExtListenOverflows", 3);
	judged(s, "listen-overflow, certain");
	assert_true(story_says(s, "its client is connected, as far as it can tell"));
	assert_true(story_says(s, "because the client's ACK is ignored"));
	assert_false(story_says(s, "the oldest of them"));
	e->sock.oldest_ns = e->hdr.mono_ns - 3 * NSEC_PER_SEC;
	judged(s, "listen-overflow, certain");
	assert_true(story_says(s, "the oldest of them has waited for 3.0 s"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		story_test(never_accepted_is_certain),
		story_test(never_accepted_and_reset),
		story_test(half_open_is_likely),
		story_test(half_open_is_told_by_who_knows_better),
		story_test(half_open_on_the_server_is_a_full_queue),
	};

	return cmocka_run_group_tests_name("causes in the accept queue", tests, NULL, NULL);
}
