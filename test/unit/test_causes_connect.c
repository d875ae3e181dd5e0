/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a connecting or connected socket meets: each cause, and near misses of it. */
#include "timeline_fixture.h"

#define judged(s, text) assert_string_equal(story_judge(s), text)

#define UNICAST 1
#define LOCAL 2
#define BROADCAST 3
#define BLACKHOLE 6
#define UNREACHABLE 7
#define PROHIBIT 8
#define NUD_INCOMPLETE 0x01
#define NUD_REACHABLE 0x02
#define NUD_FAILED 0x20

static struct rec_tuple to_service(void)
{
	return tcp("10.0.1.2", 50000, "10.0.2.2", 8080);
}

/* An event of the client's socket, in this state. */
static struct rec_event *of_client(struct story *s, enum rec_kind kind, uint8_t state, int err)
{
	struct rec_event *e = story_event(s, kind, to_service());

	story_own_socket(e, state);
	e->err = kind == REC_STATE ? 0 : err;
	e->sock.err = err;
	return e;
}

/* connect() ends before it is established; err 0: its own process closed it. */
static struct rec_event *connect_ends(struct story *s, int err)
{
	struct rec_event *e = of_client(s, REC_STATE, TCP_CLOSE, err);

	e->old_state = TCP_SYN_SENT;
	e->new_state = TCP_CLOSE;
	return e;
}

static void left(struct rec_event *e, uint32_t syns)
{
	e->mem.syn_count = syns;
	e->mem.syn_first_ns = e->hdr.mono_ns - 7 * NSEC_PER_SEC;
	e->mem.syn_tuple = e->sock.tuple;
	assert_true(str_copy(e->mem.syn_ifname, sizeof(e->mem.syn_ifname), "eth0"));
}

/* ---- peer-reset, connect-refused ------------------------------------------------------------- */

static void peer_reset_in_a_connection(void **state)
{
	struct story *s = *state;
	struct rec_event *e = of_client(s, REC_RST_RECV, TCP_ESTABLISHED, 0);

	e->pkt.seq = 77;
	e->sock.unread = 10;
	e->sock.snd_una = 1000;
	e->sock.write_seq = 1100;
	story_owner(story_socket(s, SOCK_MATCH_OWNER, to_service(), 0), HOST, 5, "curl");
	judged(s, "peer-reset, certain");
	assert_true(story_says(s, "A reset arrived for this connection, and it fitted: "
				  "10.0.2.2:8080"));
	assert_true(story_says(s, "a valid reset arrived in ESTABLISHED"));
	assert_true(story_says(s, "seq 77, TTL 64"));
	assert_true(story_says(s, "10 bytes had been received and not yet read"));
	assert_true(story_says(s, "100 bytes were not acknowledged"));
	assert_true(story_hits(s, "pid 5 curl"));
	assert_true(story_offers(s, "look on 10.0.2.2"));
}

static void connect_refused_by_a_reset(void **state)
{
	struct story *s = *state;
	struct rec_event *e = of_client(s, REC_RST_RECV, TCP_SYN_SENT, 0);

	story_task(connect_ends(s, ECONNREFUSED), 5, "curl");
	judged(s, "connect-refused, certain");
	assert_true(story_says(s, "10.0.2.2:8080 refused the connection: it answered the SYN with "
				  "a reset"));
	assert_true(story_says(s, "its TTL was 64"));
	assert_true(story_hits(s, "pid 5 curl"));
	assert_true(story_offers(s, "ss -ltn 'sport = :8080'"));
	e->sock.state = TCP_SYN_RECV;
	judged(s, "peer-reset, certain");
}

static void connect_refused_by_icmp(void **state)
{
	struct story *s = *state;
	struct rec_event *icmp = story_event(s, REC_ICMP_RECV, to_service());
	struct rec_tuple router = tcp("10.0.1.1", 0, "10.0.1.1", 0);

	icmp->pkt.icmp_type = 3;
	icmp->pkt.icmp_code = 3;
	memcpy(icmp->pkt.icmp_src, router.src, 16);
	of_client(s, REC_SOCK_ERR, TCP_CLOSE, ECONNREFUSED);
	judged(s, "connect-refused, certain");
	assert_true(story_says(s, "an ICMP error (port unreachable)"));
	assert_true(story_says(s, "ICMP type 3 code 3 from 10.0.1.1"));
}

static void a_datagram_is_refused_by_icmp(void **state)
{
	struct story *s = *state;
	struct rec_tuple t = to_service();
	struct rec_event *e, *icmp;

	t.proto = IPPROTO_UDP;
	e = story_event(s, REC_SOCK_ERR, t);
	e->sock.flags = SOCK_PRESENT;
	e->sock.tuple = t;
	e->err = e->sock.err = ECONNREFUSED;
	judged(s, "connect-refused, likely");
	icmp = story_event(s, REC_ICMP_RECV, t);
	icmp->pkt.icmp_type = 3;
	icmp->pkt.icmp_code = 3;
	judged(s, "connect-refused, certain");
	assert_true(story_says(s, "10.0.2.2:8080 refused the datagram with an ICMP error"));
	assert_true(story_offers(s, "ss -lun 'sport = :8080'"));
}

static void connect_refused_as_connect_says(void **state)
{
	struct story *s = *state;
	struct rec_event *e = of_client(s, REC_CONNECT, TCP_CLOSE, ECONNREFUSED);

	judged(s, "connect-refused, likely"); /* a BPF program may have made it so, too */
	assert_true(story_says(s, "connect() returned ECONNREFUSED"));
	e->err = ECONNRESET;
	judged(s, "unknown, unknown");
}

/* ---- syn-unanswered, syn-dropped-here ------------------------------------------------------------------------- */

static void syn_unanswered_is_certain_if_syns_left(void **state)
{
	struct story *s = *state;
	struct rec_event *e = connect_ends(s, ETIMEDOUT);
	struct rec_route *r;

	e->sock.retransmits = 3;
	left(e, 4);
	judged(s, "syn-unanswered, certain");
	assert_true(story_says(s, "4 SYNs to 10.0.2.2:8080 left this host through eth0 within 7.0 "
				  "s"));
	assert_true(story_says(s, "The kernel gave up (ETIMEDOUT)"));
	assert_true(story_says(s, "after 3 retransmissions"));
	assert_false(story_says(s, "translated"));

	r = story_route(s, "10.0.2.2", UNICAST, 0);
	assert_true(str_copy(r->ifname, sizeof(r->ifname), "eth0"));
	e->mem.syn_tuple = tcp("10.0.3.2", 1024, "10.0.2.2", 8080);
	judged(s, "syn-unanswered, certain");
	assert_true(story_says(s, "the route goes through eth0"));
	assert_true(story_says(s, "they left translated (NAT), as 10.0.3.2:1024"));
}

static void syn_unanswered_given_up_by_the_program(void **state)
{
	struct story *s = *state;
	struct rec_event *e = connect_ends(s, 0);

	e->sock.retransmits = 1;
	left(e, 2);
	judged(s, "syn-unanswered, certain");
	assert_true(story_says(s, "The program gave up waiting"));
	assert_true(story_says(s, "after 1 retransmission:"));
}

static void syn_dropped_here_is_likely_if_no_syn_was_seen(void **state)
{
	struct story *s = *state;

	connect_ends(s, ETIMEDOUT);
	judged(s, "syn-dropped-here, likely");
	assert_true(story_says(s, "no SYN was seen leaving through a device"));
}

static void connect_closed_at_once_is_no_failure(void **state)
{
	struct story *s = *state;

	left(connect_ends(s, 0), 1);
	judged(s, "no verdict");
}

static void other_ends_are_no_failure(void **state)
{
	struct story *s = *state;
	struct rec_event *e = connect_ends(s, ETIMEDOUT);

	e->new_state = TCP_ESTABLISHED;
	judged(s, "no verdict");
	e->new_state = TCP_CLOSE;
	e->old_state = TCP_LAST_ACK;
	judged(s, "no verdict");
}

static void syn_unanswered_where_the_syn_arrived(void **state)
{
	struct story *s = *state;
	struct rec_event *there = story_event(s, REC_SYN_AGAIN, to_service());

	there->hdr.netns = INSIDE;
	left(connect_ends(s, ETIMEDOUT), 4);
	story_netns(s, INSIDE, "server");
	judged(s, "syn-unanswered, certain");
	assert_true(story_says(s, "they arrived in netns server"));
	assert_true(story_offers(s, "ss -ltn 'sport = :8080'"));
	assert_false(story_offers(s, "further down the path"));
}

static void syn_unanswered_behind_who_passed_it_on(void **state)
{
	struct story *s = *state;
	struct rec_event *there = story_event(s, REC_SYN_AGAIN, to_service());
	struct rec_route *r;

	there->hdr.netns = INSIDE;
	left(connect_ends(s, ETIMEDOUT), 4);
	story_netns(s, INSIDE, "router");
	r = story_route(s, "10.0.2.2", UNICAST, 0);
	r->hdr.netns = INSIDE;
	str_copy(r->ifname, sizeof(r->ifname), "eth1");
	judged(s, "syn-unanswered, certain");
	assert_true(story_says(s, "They passed netns router, on this same host, whose route goes "
				  "on "
				  "through eth1"));
	assert_true(story_offers(s, "ip neigh show 10.0.2.2; tcpdump -ni eth1 tcp port 8080"));
	assert_false(story_offers(s, "ss -ltn"));
	r->type = LOCAL; /* it is for the router itself */
	judged(s, "syn-unanswered, certain");
	assert_true(story_says(s, "They arrived in netns router"));
	assert_true(story_offers(s, "ss -ltn 'sport = :8080'"));
}

static void syn_dropped_here_is_certain_if_it_was_seen(void **state)
{
	struct story *s = *state;

	story_drop(s, to_service(), "TC_EGRESS")->pkt.tcp_flags = SYN;
	left(connect_ends(s, ETIMEDOUT), 4);
	judged(s, "syn-dropped-here, certain");
	assert_true(story_says(s, "a traffic control filter on the way out said drop"));
}

static void a_lost_syn_is_told_at_the_end_too(void **state)
{
	struct story *s = *state;
	struct rec_event *e = story_drop(s, to_service(), "PKT_TOO_BIG");

	e->pkt.tcp_flags = SYN;
	judged(s, "no verdict"); /* path MTU discovery drops on purpose */
	left(connect_ends(s, ETIMEDOUT), 4);
	judged(s, "syn-dropped-here, certain");
	assert_true(story_says(s, "the connection then failed with ETIMEDOUT"));
	e->pkt.tcp_flags = ACK;
	judged(s, "unknown, unknown");
}

static void answer_dropped_here_is_a_lost_syn_ack(void **state)
{
	struct story *s = *state;
	const struct rec_tuple t = to_service();
	struct rec_event *e = story_drop(s, tuple_reverse(&t), "QDISC_DROP");

	e->pkt.tcp_flags = SYN | ACK;
	left(connect_ends(s, ETIMEDOUT), 4);
	judged(s, "answer-dropped-here, certain");
	assert_true(story_says(s, "10.0.2.2:8080 answered 10.0.1.2:50000"));
	assert_true(story_offers(s, "tc -s qdisc show"));
	e->pkt.tcp_flags = ACK;
	judged(s, "unknown, unknown");
	e->pkt.tcp_flags = RST | ACK; /* that is an answer, too, and its loss another story */
	judged(s, "syn-unanswered, certain");
}

static void a_syn_without_listener_is_not_dropped_in_silence(void **state)
{
	struct story *s = *state;

	story_drop(s, to_service(), "NO_SOCKET")->pkt.tcp_flags = SYN;
	assert_null(strstr(story_judge(s), "dropped-here"));
}

static void a_syn_that_was_only_repeated_is_no_failure_yet(void **state)
{
	struct story *s = *state;

	of_client(s, REC_SYN_RETRANS, TCP_SYN_SENT, 0);
	judged(s, "no verdict");
}

/* ---- connect-unreachable --------------------------------------------------------------------- */

static void unreachable_without_a_route(void **state)
{
	struct story *s = *state;
	struct rec_event *e = of_client(s, REC_CONNECT, TCP_CLOSE, ENETUNREACH);

	story_task(e, 5, "curl");
	story_route(s, "10.0.2.2", 0, ENETUNREACH);
	story_netns(s, HOST, "client");
	judged(s, "connect-unreachable, certain");
	assert_true(story_says(s, "netns client has no route to 10.0.2.2"));
	assert_true(story_says(s, "the route lookup for 10.0.2.2 answers ENETUNREACH"));
	assert_true(story_hits(s, "pid 5 curl (netns client)"));
	assert_true(story_offers(s, "ip netns exec client ip route get 10.0.2.2"));
}

static void unreachable_by_a_route_that_forbids(void **state)
{
	static const struct {
		int err;
		uint8_t type;
		const char *says;
	} routes[] = {
		{EACCES, PROHIBIT, "a prohibit route"},
		{EINVAL, BLACKHOLE, "a blackhole route"},
		{EHOSTUNREACH, UNREACHABLE, "an unreachable route"},
		{ENETUNREACH, BROADCAST, "a broadcast address: TCP connects to one host only"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(routes); i++) {
		struct story s;

		story_start(&s);
		of_client(&s, REC_CONNECT, TCP_CLOSE, routes[i].err);
		story_route(&s, "10.0.2.2", routes[i].type, 0);
		judged(&s, "connect-unreachable, certain");
		assert_true(story_says(&s, routes[i].says));
		story_end(&s);
	}
}

static void other_reasons_for_einval_and_eacces_are_not_the_route(void **state)
{
	const int errs[] = {EINVAL, EACCES};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(errs); i++) {
		struct story s;

		story_start(&s);
		memset(of_client(&s, REC_CONNECT, TCP_CLOSE, errs[i])->pkt.tuple.src, 0, 16);
		judged(&s, "unknown, unknown");
		story_route(&s, "10.0.2.2", UNICAST, 0);
		judged(&s, "unknown, unknown"); /* a security module's word, a bad argument… */
		assert_false(story_says(&s, "prohibit route"));
		assert_false(story_says(&s, "blackhole route"));
		story_end(&s);
	}
}

static void unreachable_from_the_address_that_it_is_bound_to(void **state)
{
	struct story *s = *state;

	of_client(s, REC_CONNECT, TCP_CLOSE, EINVAL);
	story_route(s, "10.0.2.2", UNICAST, 0);
	judged(s, "connect-unreachable, likely");
	assert_true(story_says(s, "bound to the address 10.0.1.2"));
	assert_false(story_says(s, "just after"));
}

static void unreachable_over_ipv4_for_an_ipv6_socket(void **state)
{
	struct story *s = *state;
	struct rec_event *e = of_client(s, REC_CONNECT, TCP_CLOSE, ENETUNREACH);

	memset(e->pkt.tuple.src, 0, 16);
	e->sock.flags |= SOCK_V4MAPPED;
	story_route(s, "10.0.2.2", UNICAST, 0);
	judged(s, "connect-unreachable, likely");
	assert_true(story_says(s, "reaches IPv4 only without IPV6_V6ONLY"));
	e->sock.flags &= (uint8_t)~SOCK_V4MAPPED;
	judged(s, "connect-unreachable, likely");
	assert_true(story_says(s, "bound to a device"));
	assert_true(story_says(s, "or the route came just after")); /* the lookup is later */
}

static void unreachable_on_a_link_that_was_not_named(void **state)
{
	struct story *s = *state;
	struct rec_event *e = story_event(s, REC_CONNECT, tcp("::", 0, "fe80::1", 8080));

	e->err = EINVAL;
	judged(s, "connect-unreachable, likely");
	assert_true(story_says(s, "a link-local address"));
	assert_true(story_offers(s, "fe80::1%eth0"));
	e->pkt.tuple.dst[1] = 0xc0; /* another kind of address */
	judged(s, "unknown, unknown");
}

static void unreachable_by_a_routers_icmp(void **state)
{
	struct story *s = *state;
	struct rec_event *icmp = story_event(s, REC_ICMP_RECV, to_service());
	const struct rec_tuple router = tcp("10.0.1.1", 0, "10.0.1.1", 0);

	icmp->pkt.icmp_type = 3;
	icmp->pkt.icmp_code = 13;
	memcpy(icmp->pkt.icmp_src, router.src, 16);
	judged(s, "no verdict"); /* soft: the connection may live on */
	of_client(s, REC_SOCK_ERR, TCP_CLOSE, EHOSTUNREACH);
	judged(s, "connect-unreachable, certain");
	assert_true(story_says(s, "communication administratively prohibited"));
	assert_true(story_says(s, "ICMP type 3 code 13 from 10.0.1.1"));
	assert_true(story_offers(s, "on 10.0.1.1"));
	icmp->pkt.icmp_code = 4; /* fragmentation needed: path MTU discovery at work */
	judged(s, "unknown, unknown");
}

static void unreachable_for_want_of_a_neighbour(void **state)
{
	struct story *s = *state;
	struct rec_event *drop = story_drop(s, to_service(), "NEIGH_FAILED");

	drop->pkt.tcp_flags = SYN;
	of_client(s, REC_SOCK_ERR, TCP_CLOSE, EHOSTUNREACH);
	story_neighbour(s, "10.0.2.2", NUD_FAILED);
	judged(s, "connect-unreachable, certain");
	assert_true(story_says(s, "The next hop 10.0.2.2 did not answer ARP"));
	assert_true(story_says(s, "the neighbour entry of 10.0.2.2 on eth0 is FAILED"));
	assert_true(story_offers(s, "ip neigh show 10.0.2.2"));
	assert_true(str_copy(drop->ifname, sizeof(drop->ifname), "lo"));
	judged(s, "connect-unreachable, certain");
	assert_true(story_says(s, "did not answer ARP on eth0"));
}

static void unreachable_for_want_of_a_gateway(void **state)
{
	struct story *s = *state;
	struct rec_route *r;
	const struct rec_tuple router = tcp("10.0.1.1", 0, "10.0.1.1", 0);

	story_drop(s, to_service(), "NEIGH_FAILED")->pkt.tcp_flags = SYN;
	r = story_route(s, "10.0.2.2", UNICAST, 0);
	r->has_gateway = 1;
	memcpy(r->gateway, router.src, 16);
	judged(s, "connect-unreachable, certain");
	assert_true(story_says(s, "The next hop 10.0.1.1 did not answer ARP"));
}

static void given_up_while_waiting_for_the_neighbour(void **state)
{
	struct story *s = *state;
	struct rec_event *e = connect_ends(s, 0);
	struct rec_neigh *n = story_neighbour(s, "10.0.2.2", NUD_INCOMPLETE);

	e->sock.retransmits = 2;
	judged(s, "connect-unreachable, likely");
	assert_true(story_says(s, "does not answer ARP on eth0, so not one SYN left before the "
				  "program gave up"));
	e->sock.err = ETIMEDOUT;
	judged(s, "connect-unreachable, likely");
	assert_true(story_says(s, "before the time was over (ETIMEDOUT)"));
	n->state = NUD_REACHABLE;
	judged(s, "syn-dropped-here, likely");
	n->state = NUD_INCOMPLETE;
	left(e, 3);
	judged(s, "syn-unanswered, certain");
}

static void unreachable_on_a_router_without_route(void **state)
{
	struct story *s = *state;

	story_drop(s, to_service(), "IP_INNOROUTES")->pkt.tcp_flags = SYN;
	judged(s, "connect-unreachable, certain");
	assert_true(story_says(s, "This host has no route for 10.0.2.2"));
}

static void icmp_to_a_running_connection_is_no_failure(void **state)
{
	struct story *s = *state;

	story_event(s, REC_ICMP_SENT, to_service())->pkt.icmp_type = 3;
	story_event(s, REC_RETRANS, to_service());
	judged(s, "no verdict");
}

/* ---- no-local-cause -------------------------------------------------------------------------- */

static struct rec_event *silence(struct story *s)
{
	struct rec_event *e = of_client(s, REC_SOCK_ERR, TCP_CLOSE, ETIMEDOUT);

	e->sock.snd_wnd = 65536;
	e->sock.snd_una = 1000;
	e->sock.write_seq = 1500;
	e->sock.retransmits = 15;
	return e;
}

static void no_local_cause_if_the_peer_fell_silent(void **state)
{
	struct story *s = *state;

	story_event(s, REC_RETRANS, to_service());
	silence(s);
	judged(s, "no-local-cause, likely");
	assert_true(story_says(s, "10.0.2.2:8080 stopped answering"));
	assert_true(story_says(s, "500 bytes unacknowledged, retransmitted 15 times (1 seen)"));
	assert_true(story_offers(s, "look at 10.0.2.2"));
}

static void local_losses_are_a_local_cause(void **state)
{
	const char *const reasons[] = {"NETFILTER_DROP", "QDISC_DROP", "TC_EGRESS", "PKT_TOO_BIG"};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(reasons); i++) {
		struct story s;

		story_start(&s);
		story_drop(&s, to_service(), reasons[i])->pkt.tcp_flags = ACK;
		silence(&s);
		assert_null(strstr(story_judge(&s), "no-local-cause"));
		assert_string_not_equal(story_judge(&s), "no verdict");
		story_end(&s);
	}
}

static void a_connect_that_times_out_is_not_silence(void **state)
{
	struct story *s = *state;

	silence(s);
	left(connect_ends(s, ETIMEDOUT), 6);
	judged(s, "syn-unanswered, certain");
}

static void no_local_cause_for_a_reset_that_passes(void **state)
{
	struct story *s = *state;
	struct rec_event *e = story_event(s, REC_RST_OUT, tcp("10.0.2.2", 8080, "10.0.1.2", 50000));

	judged(s, "no verdict");
	story_stack(s, e, "__dev_queue_xmit", "ip_forward_finish", "ip_forward");
	judged(s, "no-local-cause, certain");
	assert_true(story_says(s, "This host only passed the reset on: 10.0.2.2:8080 made it"));
	assert_true(story_offers(s, "run tcpwhy on 10.0.2.2"));
	/* Both ends of the connection are here: they tell more. */
	of_client(s, REC_RST_RECV, TCP_ESTABLISHED, 0);
	judged(s, "peer-reset, certain");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		story_test(peer_reset_in_a_connection),
		story_test(connect_refused_by_a_reset),
		story_test(connect_refused_by_icmp),
		story_test(a_datagram_is_refused_by_icmp),
		story_test(connect_refused_as_connect_says),
		story_test(syn_unanswered_is_certain_if_syns_left),
		story_test(syn_unanswered_given_up_by_the_program),
		story_test(syn_dropped_here_is_likely_if_no_syn_was_seen),
		story_test(connect_closed_at_once_is_no_failure),
		story_test(other_ends_are_no_failure),
		story_test(syn_unanswered_where_the_syn_arrived),
		story_test(syn_unanswered_behind_who_passed_it_on),
		story_test(syn_dropped_here_is_certain_if_it_was_seen),
		story_test(a_lost_syn_is_told_at_the_end_too),
		story_test(answer_dropped_here_is_a_lost_syn_ack),
		story_test(a_syn_without_listener_is_not_dropped_in_silence),
		story_test(a_syn_that_was_only_repeated_is_no_failure_yet),
		story_test(unreachable_without_a_route),
		story_test(unreachable_by_a_route_that_forbids),
		story_test(other_reasons_for_einval_and_eacces_are_not_the_route),
		story_test(unreachable_from_the_address_that_it_is_bound_to),
		story_test(unreachable_over_ipv4_for_an_ipv6_socket),
		story_test(unreachable_on_a_link_that_was_not_named),
		story_test(unreachable_by_a_routers_icmp),
		story_test(unreachable_for_want_of_a_neighbour),
		story_test(unreachable_for_want_of_a_gateway),
		story_test(given_up_while_waiting_for_the_neighbour),
		story_test(unreachable_on_a_router_without_route),
		story_test(icmp_to_a_running_connection_is_no_failure),
		story_test(no_local_cause_if_the_peer_fell_silent),
		story_test(local_losses_are_a_local_cause),
		story_test(a_connect_that_times_out_is_not_silence),
		story_test(no_local_cause_for_a_reset_that_passes),
	};

	return cmocka_run_group_tests_name("causes of failing connections", tests, NULL, NULL);
}
