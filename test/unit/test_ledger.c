/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What became of a connect(): its SYNs, what came back, its end. */
#include "timeline_fixture.h"

#include "out/fields_out.h"

#define SECOND NSEC_PER_SEC

static struct strbuf said;

static void add_line(void *arg, const char *text)
{
	(void)arg;
	strbuf_addf(&said, "%s\n", text);
}

/* The lines of the story's ledger, "" if it has none. */
static const char *ledger(struct story *s)
{
	struct ledger l = {0};

	strbuf_reset(&said);
	judge_ledger(&(struct judge){.tl = &s->tl, .world = s->world}, &l);
	if (l.known)
		ledger_each_line(&l, add_line, NULL);
	ledger_free(&l);
	return said.s ? said.s : "";
}

static struct rec_tuple asked(void)
{
	return tcp("10.0.1.2", 50000, "10.0.2.2", 8080);
}

/* An event of the connecting socket, so long after connect(). */
static struct rec_event *of_socket(struct story *s, enum rec_kind kind, uint64_t after)
{
	struct rec_event *e = story_event(s, kind, asked());
	struct rec_connect *c = &e->mem.connect;

	e->hdr.mono_ns = 1000 * SECOND + after;
	story_own_socket(e, TCP_SYN_SENT);
	e->pkt.has = 0; /* of a socket, not of a packet */
	c->began_ns = 1000 * SECOND;
	c->pid = 7;
	assert_true(str_copy(c->comm, sizeof(c->comm), "curl"));
	return e;
}

static struct rec_event *ends(struct story *s, uint64_t after, int err, uint8_t retransmits)
{
	struct rec_event *e = of_socket(s, REC_STATE, after);

	e->old_state = TCP_SYN_SENT;
	e->new_state = e->sock.state = TCP_CLOSE;
	e->sock.err = err;
	e->sock.retransmits = retransmits;
	return e;
}

/* A SYN of it reached a device. */
static void left(struct rec_event *e, uint64_t after)
{
	struct rec_connect *c = &e->mem.connect;

	c->syn_ns[c->nr_syn++] = c->began_ns + after;
	e->mem.syn_count++;
	e->mem.syn_first_ns = c->syn_ns[0];
	e->mem.syn_tuple = asked();
	assert_true(str_copy(e->mem.syn_ifname, sizeof(e->mem.syn_ifname), "eth0"));
}

static struct rec_event *dropped(struct story *s, uint32_t netns, uint64_t after, uint8_t flags)
{
	struct rec_tuple t = asked();
	struct rec_event *e = story_drop(s, flags == SYN ? t : tuple_reverse(&t), "QDISC_DROP");

	e->hdr.netns = netns;
	e->hdr.mono_ns = 1000 * SECOND + after;
	e->pkt.has = PKT_L3 | PKT_L4;
	e->pkt.tcp_flags = flags;
	e->location = symbol_add(s->world, "tbf_enqueue");
	return e;
}

static void nothing_comes_back(void **state)
{
	struct story *s = *state;
	struct rec_event *e = ends(s, 7 * SECOND, ETIMEDOUT, 2);

	left(e, 1000);
	left(e, SECOND);
	left(e, 3 * SECOND);
	assert_string_equal(ledger(s), "10.0.1.2:50000 -> 10.0.2.2:8080, pid 7 curl\n"
				       "SYN at 0, 999 ms, 3.00 s: left through eth0, nothing came "
				       "back\n"
				       "ETIMEDOUT after 7.00 s\n");
}

static void its_process_gives_up(void **state)
{
	struct story *s = *state;

	left(ends(s, SECOND, 0, 0), 0);
	assert_non_null(strstr(ledger(s), "\ngiven up by its process after 1.00 s\n"));
}

static void it_left_translated(void **state)
{
	struct story *s = *state;
	struct rec_event *e = ends(s, SECOND, ETIMEDOUT, 0);

	left(e, 0);
	e->mem.syn_tuple = tcp("192.0.2.1", 50001, "10.0.2.2", 8080);
	assert_non_null(strstr(ledger(s), "; it left translated (NAT), as 192.0.2.1:50001 -> "
					  "10.0.2.2:8080\n"));
	e->mem.connect.nat_ns = 1;
	e->mem.connect.nat_tuple = tcp("192.0.2.9", 50009, "10.0.2.2", 8080);
	assert_non_null(strstr(ledger(s), "as 192.0.2.9:50009 -> "));
	memset(e->sock.tuple.src, 0, sizeof(e->sock.tuple.src)); /* that is no NAT */
	assert_null(strstr(ledger(s), "NAT"));
}

static void data_in_the_first_syn_only(void **state)
{
	struct story *s = *state;
	struct rec_event *e = ends(s, 3 * SECOND, ETIMEDOUT, 1);

	left(e, 0);
	left(e, SECOND);
	e->mem.connect.syn_data = 1;
	assert_non_null(strstr(ledger(s), "\nSYN with data at 0: left through eth0, nothing came "
					  "back\nSYN at 1.00 s: left"));
}

static void dropped_on_the_way(void **state)
{
	struct story *s = *state;
	struct rec_event *e;

	dropped(s, INSIDE, 1000, SYN);
	dropped(s, INSIDE, SECOND + 1000, SYN);
	e = ends(s, 3 * SECOND, ETIMEDOUT, 1);
	left(e, 0);
	left(e, SECOND);
	story_netns(s, INSIDE, "router");
	assert_non_null(strstr(ledger(s), "\nSYN at 0, 1.00 s: left through eth0, then dropped in "
					  "netns router: QDISC_DROP, tbf_enqueue()\n"));
}

/* Lost before any device: the socket's timer and the drops tell when they were sent. */
static void dropped_before_it_left(void **state)
{
	struct story *s = *state;

	dropped(s, HOST, 1000, SYN);
	of_socket(s, REC_SYN_RETRANS, SECOND);
	ends(s, 3 * SECOND, ETIMEDOUT, 1);
	assert_non_null(strstr(ledger(s), "\nSYN at 0: dropped here: QDISC_DROP, tbf_enqueue()\n"
					  "SYN at 1.00 s: sent, but not seen leaving\n"));
}

/* What waited for a neighbour is dropped later, in its order. */
static void dropped_much_later(void **state)
{
	struct story *s = *state;

	of_socket(s, REC_SYN_RETRANS, SECOND);
	dropped(s, HOST, 3 * SECOND, SYN);
	dropped(s, HOST, 3 * SECOND, SYN)->pkt.payload = 5;
	ends(s, 3 * SECOND, EHOSTUNREACH, 1);
	assert_non_null(strstr(ledger(s), "\nSYN at 0: dropped here"));
	assert_non_null(strstr(ledger(s), "\nSYN with data at 1.00 s: dropped here"));
	assert_null(strstr(ledger(s), "3.00 s: dropped"));
}

/* After a SYN-ACK that doesn't fit, a SYN is sent again at once. */
static void two_in_a_moment(void **state)
{
	struct story *s = *state;
	struct rec_event *e;

	dropped(s, INSIDE, 1000, SYN);
	e = ends(s, SECOND, ETIMEDOUT, 1);
	left(e, 0);
	left(e, 2000000);
	assert_non_null(strstr(ledger(s), "\nSYN at 0: left through eth0, then dropped"));
	assert_non_null(strstr(ledger(s), "\nSYN at 2 ms: left through eth0, nothing"));
}

static void the_kernel_could_not_send(void **state)
{
	struct story *s = *state;

	of_socket(s, REC_SYN_RETRANS, SECOND)->err = ENOBUFS;
	left(ends(s, 3 * SECOND, ETIMEDOUT, 1), 0);
	assert_non_null(strstr(ledger(s), "\nSYN at 1.00 s: not sent: ENOBUFS\n"));
}

/* It waits for its neighbour's address, and the others behind it: in the end that one is dropped. */
static void the_one_that_waits_is_dropped(void **state)
{
	struct story *s = *state;

	of_socket(s, REC_SYN_RETRANS, SECOND)->err = EBUSY;
	of_socket(s, REC_SYN_RETRANS, 3 * SECOND)->err = EBUSY;
	dropped(s, HOST, 3 * SECOND + 1000, SYN);
	ends(s, 3 * SECOND + 2000, EHOSTUNREACH, 2);
	assert_non_null(strstr(ledger(s), "\nSYN at 0: dropped here: QDISC_DROP"));
	assert_non_null(strstr(ledger(s), "\nSYN at 1.00 s, 3.00 s: not sent: EBUSY"));
}

static void some_were_not_seen(void **state)
{
	struct story *s = *state;
	struct rec_event *e = ends(s, 63 * SECOND, ETIMEDOUT, 5);

	left(e, 31 * SECOND);
	e->mem.connect.began_ns = 0;
	assert_non_null(strstr(ledger(s), "\n5 more SYNs, of which nothing was seen\nETIMEDOUT\n"));
}

static void it_fails_before_a_syn(void **state)
{
	struct story *s = *state;
	struct rec_event *e;

	ends(s, 2000, 0, 0);
	e = of_socket(s, REC_CONNECT, 3000);
	e->sock.state = TCP_CLOSE;
	e->err = EADDRNOTAVAIL;
	assert_non_null(strstr(ledger(s), "curl\nEADDRNOTAVAIL after 2 us, no SYN was seen\n"));
}

static void a_reset_is_accepted(void **state)
{
	struct story *s = *state;

	left(of_socket(s, REC_RST_RECV, 2000000), 0);
	left(ends(s, 2100000, ECONNREFUSED, 0), 0);
	assert_non_null(strstr(ledger(s), "\nSYN at 0: left through eth0\nreset from 10.0.2.2:8080 "
					  "after 2 ms: accepted\nECONNREFUSED after 2 ms\n"));
}

static void an_icmp_error_counts_only_at_the_end(void **state)
{
	struct story *s = *state;

	for (unsigned i = 0; i < 2; i++) {
		struct rec_event *e = story_event(s, REC_ICMP_RECV, asked());

		e->hdr.mono_ns = 1000 * SECOND + i * SECOND + 1000000;
		e->pkt.icmp_type = 3;
		e->pkt.icmp_code = 1;
		memcpy(e->pkt.icmp_src, tcp("10.0.1.1", 1, "10.0.1.1", 1).src, 16);
	}
	left(ends(s, SECOND + 1000100, EHOSTUNREACH, 1), 0);
	assert_non_null(strstr(ledger(s), "from 10.0.1.1 after 1 ms: ignored, probably the socket "
					  "was locked at that moment\n"));
	assert_non_null(strstr(ledger(s), "from 10.0.1.1 after 1.00 s: accepted\n"));
}

static void the_answer_is_dropped(void **state)
{
	struct story *s = *state;

	dropped(s, HOST, 1000000, SYN | ACK);
	left(ends(s, SECOND, ETIMEDOUT, 0), 0);
	assert_non_null(strstr(ledger(s), "\nSYN-ACK from 10.0.2.2:8080 after 1 ms: dropped here: "
					  "QDISC_DROP, tbf_enqueue()\n"));
}

static void answers_that_fare_alike_share_a_line(void **state)
{
	struct story *s = *state;
	struct rec_event *e;

	dropped(s, HOST, 1000000, SYN | ACK);
	dropped(s, HOST, SECOND, SYN | ACK);
	e = dropped(s, INSIDE, SECOND, SYN); /* the server has it already, and answers again */
	e->location = symbol_add(s->world, "tcp_v4_rcv");
	story_reason(e, "NOT_SPECIFIED");
	left(ends(s, 2 * SECOND, ETIMEDOUT, 0), 0);
	assert_non_null(strstr(ledger(s), "\nSYN at 0: left through eth0\nSYN-ACK from "
					  "10.0.2.2:8080 after 1 ms, 1.00 s: dropped here"));
}

static void it_goes_on(void **state)
{
	struct story *s = *state;
	struct rec_event *e = dropped(s, HOST, 1000, SYN);

	story_own_socket(e, TCP_SYN_SENT);
	e->mem.connect.began_ns = 1000 * SECOND;
	assert_non_null(strstr(ledger(s), "\nstill trying after 1 us\n"));
}

/* Only a lookup knows of the socket. */
static void its_packets_are_lost_elsewhere(void **state)
{
	struct story *s = *state;

	dropped(s, INSIDE, 1000, SYN);
	assert_string_equal(ledger(s), "");
	story_owner(story_socket(s, SOCK_MATCH_EXACT, asked(), TCP_SYN_SENT), HOST, 9, "wget");
	assert_non_null(strstr(ledger(s), "8080, pid 9 wget\nSYN at 0: dropped in "));
	assert_non_null(strstr(ledger(s), "\nstill trying\n"));
}

/* Only a lookup knows of the socket, and its SYNs were not seen: there is nothing to count from. */
static void only_an_answer_is_seen(void **state)
{
	struct story *s = *state;

	dropped(s, INSIDE, 1000, SYN | ACK);
	story_owner(story_socket(s, SOCK_MATCH_EXACT, asked(), TCP_SYN_SENT), HOST, 9, "wget");
	assert_non_null(strstr(ledger(s), "\nSYN-ACK from 10.0.2.2:8080: dropped in "));
}

/* It had trouble, and was established: what fails later is no connect(). */
static void one_that_got_through_has_none(void **state)
{
	struct story *s = *state;
	struct rec_event *e;

	of_socket(s, REC_SYN_RETRANS, SECOND);
	assert_non_null(strstr(ledger(s), "\nstill trying after 1.00 s\n"));
	e = of_socket(s, REC_RST_RECV, 5 * SECOND);
	e->sock.state = TCP_ESTABLISHED;
	assert_string_equal(ledger(s), "");
	e->sock.flags = 0;
	assert_string_not_equal(ledger(s), "");
	e->pkt.has = PKT_L3 | PKT_L4;
	e->pkt.tcp_flags = ACK;
	assert_string_equal(ledger(s), "");
	e->pkt.has = 0;
	assert_string_not_equal(ledger(s), "");
	story_socket(s, SOCK_MATCH_EXACT, asked(), TCP_CLOSE_WAIT);
	assert_string_equal(ledger(s), "");
}

static void others_have_none(void **state)
{
	struct story *s = *state;

	story_own_socket(story_event(s, REC_RST_RECV, asked()), TCP_ESTABLISHED);
	dropped(s, HOST, 1000, SYN)->iif = 3;
	story_socket(s, SOCK_MATCH_EXACT, asked(), TCP_ESTABLISHED);
	assert_string_equal(ledger(s), "");
}

/* More than the kernel side has room for: those are known to have left, though not when. */
static void many_syns(void **state)
{
	struct story *s = *state;
	struct rec_event *e;

	of_socket(s, REC_SYN_RETRANS, 40 * SECOND);
	e = ends(s, 41 * SECOND, ETIMEDOUT, REC_SYNS_MAX + 1);
	for (unsigned i = 0; i < REC_SYNS_MAX; i++)
		left(e, i * SECOND);
	e->mem.syn_count = REC_SYNS_MAX + 2;
	assert_null(strstr(ledger(s), "not seen leaving"));
	assert_non_null(strstr(ledger(s), "\n2 more SYNs, "));
}

static int forget(void **state)
{
	(void)state;
	strbuf_free(&said);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		story_test(nothing_comes_back),
		story_test(its_process_gives_up),
		story_test(it_left_translated),
		story_test(data_in_the_first_syn_only),
		story_test(dropped_on_the_way),
		story_test(dropped_before_it_left),
		story_test(dropped_much_later),
		story_test(two_in_a_moment),
		story_test(the_kernel_could_not_send),
		story_test(the_one_that_waits_is_dropped),
		story_test(some_were_not_seen),
		story_test(it_fails_before_a_syn),
		story_test(a_reset_is_accepted),
		story_test(an_icmp_error_counts_only_at_the_end),
		story_test(the_answer_is_dropped),
		story_test(answers_that_fare_alike_share_a_line),
		story_test(it_goes_on),
		story_test(its_packets_are_lost_elsewhere),
		story_test(only_an_answer_is_seen),
		story_test(one_that_got_through_has_none),
		story_test(others_have_none),
		story_test(many_syns),
	};

	return cmocka_run_group_tests_name("ledger", tests, NULL, forget);
}
