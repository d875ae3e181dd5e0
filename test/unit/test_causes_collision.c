/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Source ports that collide or run out: each cause with what makes it that, and near misses. */
#include "timeline_fixture.h"

#include <linux/netfilter/nf_conntrack_common.h>

#define judged(s, text) assert_string_equal(story_judge(s), text)

/* ---- port-collision-behind-nat --------------------------------------------------------------- */

/* A client's connection to port 9090, which a sidecar has redirected to itself. */
static struct rec_tuple asked(void)
{
	return tcp("10.0.1.2", 40000, "10.0.2.2", 9090);
}

static struct rec_tuple redirected(void)
{
	return tcp("10.0.1.2", 40000, "10.0.2.2", 15006);
}

static struct rec_tuple answers(void)
{
	return tcp("10.0.2.2", 15006, "10.0.1.2", 40000);
}

static struct rec_event *syn_meets(struct story *s, enum rec_kind kind, uint8_t socket_state)
{
	struct rec_event *e = story_event(s, kind, redirected());

	e->pkt.tcp_flags = SYN;
	e->pkt.seq = 3000;
	story_own_socket(e, socket_state);
	e->sock.tuple = answers();
	e->sock.rcv_nxt = 5000;
	if (kind == REC_DROP)
		story_reason(e, "TCP_INVALID_SYN");
	return e;
}

static void certain_if_the_syn_was_translated(void **state)
{
	struct story *s = *state;
	struct rec_ct *ct;

	syn_meets(s, REC_DROP, TCP_FIN_WAIT2);
	ct = story_conntrack(s, asked(), answers());
	judged(s, "no verdict"); /* it may come from anybody */
	syn_meets(s, REC_DROP, TCP_FIN_WAIT2);
	story_owner(story_socket(s, SOCK_MATCH_OWNER, answers(), 0), HOST, 12, "sidecar");
	judged(s, "port-collision-behind-nat, certain");
	assert_true(story_says(s, "the new connection is 10.0.1.2:40000 -> 10.0.2.2:9090 for its "
				  "client, and 10.0.1.2:40000 -> 10.0.2.2:15006 after NAT"));
	assert_true(story_says(s, "in FIN_WAIT2, held by pid 12 sidecar"));
	assert_true(story_hits(s, "pid 12 sidecar"));
	assert_true(story_offers(s, "ss -tK src 10.0.2.2:15006 dst 10.0.1.2:40000"));
	story_sysctl(s, "net.netfilter.nf_conntrack_tcp_timeout_close_wait", 60);
	judged(s, "port-collision-behind-nat, certain");
	assert_true(story_offers(s, "nf_conntrack_tcp_timeout_close_wait=3600   (now 60)"));

	/* The entry has seen a connection: this is its client, who came back. */
	ct->status = IPS_ASSURED;
	judged(s, "no verdict");
	ct->status = 0;
	ct->orig = redirected(); /* nothing is translated */
	judged(s, "no verdict");
	ct->orig = asked();
	ct->found = 0;
	judged(s, "no verdict");
}

static void the_packet_brings_its_entry_along(void **state)
{
	struct story *s = *state;
	struct rec_event *e = syn_meets(s, REC_CHALLENGE, TCP_CLOSE_WAIT), *rst;

	e->pkt.seq = 9000;
	rst = story_event(s, REC_RST_RECV, redirected());
	story_own_socket(rst, TCP_CLOSE_WAIT);
	rst->sock.tuple = answers();
	judged(s, "challenge-ack, certain");
	rst->pkt.has |= PKT_CT;
	rst->pkt.ct_orig = asked();
	rst->pkt.ct_reply = answers();
	judged(s, "port-collision-behind-nat, certain");
}

static void certain_in_time_wait(void **state)
{
	struct story *s = *state;
	struct rec_event *e = syn_meets(s, REC_TW_ANSWER, TCP_TIME_WAIT), *again;

	e->sock.flags |= SOCK_TIMEWAIT;
	e->step = TW_ACK;
	story_conntrack(s, asked(), answers());
	judged(s, "no verdict");
	again = story_event(s, REC_SYN_AGAIN, redirected());
	again->pkt.tcp_flags = SYN;
	again->pkt.seq = 3000;
	story_sysctl(s, "net.netfilter.nf_conntrack_tcp_timeout_time_wait", 30);
	judged(s, "port-collision-behind-nat, certain");
	assert_true(story_says(s, "in TIME_WAIT"));
	assert_true(story_offers(s, "nf_conntrack_tcp_timeout_time_wait=120   (now 30)"));
	assert_false(story_offers(s, "ss -tK"));
	e->step = TW_SYN; /* it let the SYN in */
	judged(s, "no verdict");
}

/* The client's end, where nobody watches what its SYN meets. */
static void likely_by_a_lookup(void **state)
{
	struct story *s = *state;
	const struct rec_tuple t = asked();
	struct rec_event *e = story_event(s, REC_RST_SENT, tuple_reverse(&t));
	struct rec_sock_info *old;

	e->pkt.tcp_flags = ACK;
	story_own_socket(e, TCP_SYN_SENT);
	e->sock.tuple = asked();
	e->mem.syn_count = 1;
	e->mem.syn_tuple = redirected();
	judged(s, "bad-ack-in-handshake, certain");
	old = story_socket(s, SOCK_MATCH_EXACT, answers(), TCP_FIN_WAIT2);
	judged(s, "port-collision-behind-nat, likely");
	assert_true(story_says(s, "is inferred from a lookup"));
	old->state = TCP_ESTABLISHED; /* the next attempt's */
	judged(s, "bad-ack-in-handshake, certain");
	old->state = TCP_FIN_WAIT2;
	e->mem.syn_tuple = asked();
	judged(s, "bad-ack-in-handshake, certain");
}

/* ---- local-ports-exhausted ------------------------------------------------------------------- */

static struct rec_ports *ports(struct story *s, uint32_t held)
{
	struct rec_ports *p = story_ports(s);

	p->low = 40000;
	p->high = 40009;
	p->held = held;
	return p;
}

static void certain_if_all_ports_are_taken(void **state)
{
	struct story *s = *state;
	struct rec_event *e = story_event(s, REC_CONNECT, tcp("0.0.0.0", 0, "10.0.2.2", 8080));
	struct rec_ports *p;

	e->err = EADDRNOTAVAIL;
	judged(s, "unknown, unknown");
	p = ports(s, 10);
	judged(s, "local-ports-exhausted, certain");
	assert_true(story_says(s, "net.ipv4.ip_local_port_range is 40000 to 40009"));
	assert_true(story_offers(s, "ip_local_port_range=\"10240 60999\"   (now 40000 40009)"));
	p->pid = 12;
	p->top_held = 9;
	assert_true(str_copy(p->comm, sizeof(p->comm), "hog"));
	judged(s, "local-ports-exhausted, certain");
	assert_true(story_says(s, "most are held by pid 12 hog: 9"));

	p->time_wait = 8;
	story_sysctl(s, "net.ipv4.tcp_tw_reuse", 2);
	judged(s, "local-ports-exhausted, certain");
	assert_true(story_offers(s, "tcp_tw_reuse=1   (now 2)"));
}

static void likely_if_most_ports_are_taken(void **state)
{
	struct story *s = *state;
	struct rec_event *e = story_event(s, REC_CONNECT, tcp("0.0.0.0", 0, "10.0.2.2", 8080));
	struct rec_ports *p = ports(s, 9);

	e->err = EADDRNOTAVAIL;
	judged(s, "local-ports-exhausted, likely");
	assert_true(story_says(s, "1 more: reserved"));
	assert_false(story_says(s, "or not tried"));
	p->high--;
	p->held--; /* as many as connect() tries of nine */
	judged(s, "local-ports-exhausted, likely");
	assert_true(story_says(s, "or not tried"));
	p->held = 1; /* another reason: no source address, over IPv6 */
	judged(s, "unknown, unknown");
	p->held = 10;
	p->hdr.netns = INSIDE;
	judged(s, "unknown, unknown");
	p->hdr.netns = HOST;
	e->pkt.tuple.sport = 40001; /* its own choice, which is taken */
	judged(s, "unknown, unknown");
	e->pkt.tuple.sport = 0;
	e->err = EADDRINUSE;
	judged(s, "unknown, unknown");
}

/* ---- local-port-taken ------------------------------------------------------------------------ */

static void certain_if_the_same_connection_is_there(void **state)
{
	struct story *s = *state;
	struct rec_tuple t = tcp("10.0.1.2", 4242, "10.0.2.2", 8080);
	struct rec_event *e = story_event(s, REC_CONNECT, t);
	struct rec_sock_info *other;

	e->err = EADDRNOTAVAIL;
	story_task(e, 5, "client");
	judged(s, "unknown, unknown");
	other = story_socket(s, SOCK_MATCH_EXACT, t, TCP_TIME_WAIT);
	judged(s, "local-port-taken, certain");
	assert_true(story_says(s, "10.0.1.2:4242 -> 10.0.2.2:8080 is in TIME_WAIT"));
	assert_true(story_offers(s, "wait a minute"));
	other->state = TCP_ESTABLISHED;
	story_owner(other, HOST, 6, "elder");
	judged(s, "local-port-taken, certain");
	assert_true(story_says(s, "is in ESTABLISHED, held by pid 6 elder"));
	assert_false(story_offers(s, "wait a minute"));

	other->state = TCP_CLOSE; /* its own */
	judged(s, "unknown, unknown");
	other->state = TCP_ESTABLISHED;
	other->hdr.netns = INSIDE;
	judged(s, "unknown, unknown");
	other->hdr.netns = HOST;
	other->tuple.dport = 8081;
	judged(s, "unknown, unknown");
	other->tuple.dport = 8080;
	e->err = EADDRINUSE;
	judged(s, "unknown, unknown");
	e->err = EADDRNOTAVAIL;
	e->pkt.tuple.sport = 0;
	judged(s, "unknown, unknown");
}

/* bind() gave the port alone. */
static void certain_if_the_kernel_chose_the_address(void **state)
{
	struct story *s = *state;
	struct rec_tuple t = tcp("10.0.1.2", 4242, "10.0.2.2", 8080);
	struct rec_event *tried = story_event(s, REC_STATE, t), *e;

	tried->old_state = TCP_SYN_SENT;
	tried->new_state = TCP_CLOSE;
	story_own_socket(tried, TCP_SYN_SENT);
	tried->sock.addr = 0xffff888000001000;
	e = story_event(s, REC_CONNECT, tcp("0.0.0.0", 4242, "10.0.2.2", 8080));
	e->err = EADDRNOTAVAIL;
	e->sock.addr = tried->sock.addr;
	story_socket(s, SOCK_MATCH_PORTS, t, TCP_ESTABLISHED);
	judged(s, "local-port-taken, certain");
	assert_true(story_says(s, "10.0.1.2:4242 -> 10.0.2.2:8080 is in ESTABLISHED"));
	tried->sock.tuple = tcp("10.0.1.3", 4242, "10.0.2.2", 8080);
	assert_null(strstr(story_judge(s), "local-port-taken"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		story_test(certain_if_the_syn_was_translated),
		story_test(the_packet_brings_its_entry_along),
		story_test(certain_in_time_wait),
		story_test(likely_by_a_lookup),
		story_test(certain_if_all_ports_are_taken),
		story_test(likely_if_most_ports_are_taken),
		story_test(certain_if_the_same_connection_is_there),
		story_test(certain_if_the_kernel_chose_the_address),
	};

	return cmocka_run_group_tests_name("causes of source ports", tests, NULL, NULL);
}
