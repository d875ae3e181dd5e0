/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What is a failure, what may be one, and what is neither. */
#include "timeline_fixture.h"

#define NONE WEIGHT_NONE
#define SOFT WEIGHT_SOFT
#define HARD WEIGHT_HARD

static struct rec_tuple some_flow(uint8_t proto)
{
	return flow_make(proto, "10.0.1.2", 50000, "10.0.2.2", 8080);
}

static void kinds_weigh(void **state)
{
	static const struct {
		enum rec_kind kind;
		enum weight weight;
	} kinds[] = {
		{REC_RST_SENT, HARD},  {REC_RST_RECV, HARD},	   {REC_CONNECT, HARD},
		{REC_SOCK_ERR, HARD},  {REC_SYN_RETRANS, SOFT},	   {REC_SYN_AGAIN, SOFT},
		{REC_RST_OUT, SOFT},   {REC_SYNACK_RETRANS, SOFT}, {REC_ICMP_SENT, SOFT},
		{REC_ICMP_RECV, SOFT}, {REC_RETRANS, NONE},	   {REC_STATE, NONE},
		{REC_REJECT, HARD},    {REC_CHALLENGE, SOFT},	   {REC_RST_IGNORED, SOFT},
	};
	const struct rec_tuple t = some_flow(IPPROTO_TCP);
	struct story *s = *state;

	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
		const struct rec_event e = event_make(kinds[i].kind, &t, 1);

		assert_int_equal(track_weight(&e, s->world), kinds[i].weight);
	}
}

static void drops_weigh(void **state)
{
	static const struct {
		const char *reason;
		uint8_t proto, flags;
		enum weight weight;
	} drops[] = {
		{"NETFILTER_DROP", IPPROTO_TCP, SYN, HARD},
		{"NETFILTER_DROP", IPPROTO_TCP, ACK, SOFT},
		{"NETFILTER_DROP", IPPROTO_UDP, 0, HARD},
		{"NETFILTER_DROP", IPPROTO_ICMP, 0, HARD},
		{"IP_RPFILTER", IPPROTO_TCP, ACK, HARD},
		{"IP_RPFILTER", IPPROTO_ICMP, 0, HARD},
		{"ICMP_CSUM", IPPROTO_ICMP, 0, NONE},
		{"NO_SOCKET", IPPROTO_TCP, SYN, HARD},
		{"NO_SOCKET", IPPROTO_TCP, ACK, HARD},
		{"NO_SOCKET", IPPROTO_TCP, RST, NONE},
		{"NO_SOCKET", IPPROTO_TCP, RST | ACK, NONE},
		{"NO_SOCKET", IPPROTO_UDP, 0, HARD},
		{"NO_SOCKET", IPPROTO_ICMP, 0, NONE},
		{"SOCKET_RCVBUFF", IPPROTO_UDP, 0, HARD},
		{"TCP_CSUM", IPPROTO_TCP, ACK, HARD},
		{"TCP_OLD_DATA", IPPROTO_TCP, ACK, NONE},
		{"TCP_ZEROWINDOW", IPPROTO_TCP, ACK, NONE},
		{"QDISC_DROP", IPPROTO_TCP, ACK, NONE},
		{"QDISC_DROP", IPPROTO_TCP, SYN, HARD},
		{"QDISC_OVERLIMIT", IPPROTO_UDP, 0, HARD},
		{"NOT_SPECIFIED", IPPROTO_TCP, SYN, NONE},
		{"TC_INGRESS", IPPROTO_TCP, SYN, HARD},
		{"TC_EGRESS", IPPROTO_TCP, ACK, SOFT},
		{"TC_INGRESS", IPPROTO_UDP, 0, HARD},
		{"XDP", IPPROTO_TCP, ACK, SOFT},
		{"TCP_INVALID_SEQUENCE", IPPROTO_TCP, RST, SOFT},
		{"TCP_INVALID_SEQUENCE", IPPROTO_TCP, ACK, NONE},
		{"TCP_RESET", IPPROTO_TCP, RST | ACK, SOFT},
		{"BPF_CGROUP_EGRESS", IPPROTO_TCP, SYN, HARD},
		{"BPF_CGROUP_EGRESS", IPPROTO_TCP, ACK, SOFT},
		{"SOCKET_FILTER", IPPROTO_TCP, ACK, SOFT},
		{"SOCKET_FILTER", IPPROTO_UDP, 0, SOFT},
		{"BRIDGE_INGRESS_STP_STATE", IPPROTO_TCP, SYN, SOFT},
		{"XFRM_POLICY", IPPROTO_TCP, ACK, HARD},
		{"IP_INADDRERRORS", IPPROTO_TCP, SYN, HARD},
		{"QUANTUM_FLUCTUATION", IPPROTO_TCP, SYN, HARD},
	};
	struct story *s = *state;

	for (size_t i = 0; i < ARRAY_SIZE(drops); i++) {
		struct rec_event *e = story_drop(s, some_flow(drops[i].proto), drops[i].reason);

		e->pkt.tcp_flags = drops[i].flags;
		if (track_weight(e, s->world) != drops[i].weight)
			fail_msg("%s of %s weighs %d", drops[i].reason, proto_name(drops[i].proto),
				 track_weight(e, s->world));
	}
}

static void drops_without_reason_weigh_by_their_stack(void **state)
{
	static const struct {
		const char *function;
		enum weight segment; /* a SYN is a failure */
	} on_purpose[] = {
		{"ip_error", HARD},	{"ip6_pkt_drop", HARD}, {"do_xdp_generic", SOFT},
		{"veth_xdp_rcv", SOFT}, {"nf_hook_slow", SOFT}, {"nft_do_chain", SOFT},
	};
	struct story *s = *state;
	const struct rec_tuple t = some_flow(IPPROTO_TCP);

	for (size_t i = 0; i < ARRAY_SIZE(on_purpose); i++) {
		struct rec_event e = event_make(REC_DROP, &t, 1);

		e.pkt.tcp_flags = SYN;
		assert_int_equal(track_weight(&e, s->world), NONE);
		story_stack(s, &e, "kfree_skb", on_purpose[i].function);
		assert_int_equal(track_weight(&e, s->world), HARD);
		e.pkt.tcp_flags = ACK;
		assert_int_equal(track_weight(&e, s->world), on_purpose[i].segment);
	}
}

/* What a program let pass goes on below it, and may be dropped there for whatever reason. */
static void drops_without_reason_weigh_by_their_place(void **state)
{
	static const struct {
		const char *function;
		enum weight weight;
	} places[] = {
		{"nf_reinject", HARD}, {"nfqnl_reinject", HARD}, {"nfqnl_recv_verdict", HARD},
		{"ip_forward", SOFT},  {"ip6_forward", SOFT},	 {"br_handle_frame", SOFT},
		{"tcp_v4_rcv", SOFT},  {"tcp_v4_do_rcv", NONE},
	};
	struct story *s = *state;
	const struct rec_tuple t = some_flow(IPPROTO_TCP);

	for (size_t i = 0; i < ARRAY_SIZE(places); i++) {
		struct rec_event e = event_make(REC_DROP, &t, 1);

		e.pkt.tcp_flags = SYN;
		story_stack(s, &e, "tcp_v4_rcv", "ip_forward", "nf_reinject", "nfqnl_recv_verdict");
		assert_int_equal(track_weight(&e, s->world), NONE);
		e.location = symbol_add(s->world, places[i].function);
		assert_int_equal(track_weight(&e, s->world), places[i].weight);
	}
}

/* Linux 5.10: TCP frees there what it has done with, too; but not a SYN that it took. */
static void segments_freed_by_tcp_are_no_drops(void **state)
{
	const struct rec_tuple t = some_flow(IPPROTO_TCP);
	struct story *s = *state;
	struct rec_event e = event_make(REC_DROP, &t, 1);

	e.location = symbol_add(s->world, "tcp_v6_rcv");
	e.pkt.tcp_flags = SYN;
	assert_int_equal(track_weight(&e, s->world), SOFT);
	e.pkt.tcp_flags = SYN | ACK;
	assert_int_equal(track_weight(&e, s->world), NONE);
	e.pkt.tcp_flags = ACK;
	assert_int_equal(track_weight(&e, s->world), NONE);
	e.pkt.tcp_flags = SYN;
	e.has_reason = REASON_TOLD;
	str_copy(e.reason_name, sizeof(e.reason_name), "NOT_SPECIFIED");
	assert_int_equal(track_weight(&e, s->world), NONE);
}

static void multicast_is_nobodys_connection(void **state)
{
	struct story *s = *state;
	const char *const groups[] = {"224.0.0.251", "ff02::fb"};

	for (size_t i = 0; i < ARRAY_SIZE(groups); i++) {
		const char *from = i ? "fd00::1" : "10.0.1.2";

		assert_int_equal(
			track_weight(story_drop(s, udp(from, 5353, groups[i], 5353), "NO_SOCKET"),
				     s->world),
			NONE);
	}
}

static void connects_weigh_by_their_end(void **state)
{
	static const struct {
		uint8_t from, to, retransmits;
		int err;
		enum weight weight;
	} ends[] = {
		{TCP_SYN_SENT, TCP_CLOSE, 0, ETIMEDOUT, HARD},
		{TCP_SYN_SENT, TCP_CLOSE, 1, 0, HARD},
		{TCP_SYN_SENT, TCP_CLOSE, 0, 0, NONE}, /* its own process closed it at once */
		{TCP_SYN_SENT, TCP_ESTABLISHED, 1, 0, NONE},
		{TCP_SYN_RECV, TCP_CLOSE, 1, ECONNRESET, NONE},
		{TCP_LAST_ACK, TCP_CLOSE, 1, ETIMEDOUT, NONE},
	};
	const struct rec_tuple t = some_flow(IPPROTO_TCP);
	struct story *s = *state;

	for (size_t i = 0; i < ARRAY_SIZE(ends); i++) {
		struct rec_event e = event_make(REC_STATE, &t, 1);

		story_own_socket(&e, ends[i].to);
		e.old_state = ends[i].from;
		e.new_state = ends[i].to;
		e.sock.err = ends[i].err;
		e.sock.retransmits = ends[i].retransmits;
		assert_int_equal(track_weight(&e, s->world), ends[i].weight);
	}
}

static void a_disconnect_is_the_processs_own_wish(void **state)
{
	const struct rec_tuple t = some_flow(IPPROTO_TCP);
	struct rec_event e = event_make(REC_SOCK_ERR, &t, 1);
	struct story *s = *state;

	story_stack(s, &e, "inet_sk_error_report", "tcp_disconnect");
	assert_int_equal(track_weight(&e, s->world), NONE);
}

static void answers_weigh_by_what_they_are(void **state)
{
	static const struct {
		enum rec_kind kind;
		uint8_t step;
		enum weight weight;
	} steps[] = {
		{REC_HANDSHAKE, STEP_SYN, NONE},
		{REC_HANDSHAKE, STEP_ACCEPT_QUEUE_FULL, HARD},
		{REC_HANDSHAKE, STEP_SYN_QUEUE_FULL, HARD},
		{REC_HANDSHAKE, STEP_COOKIE_SENT, NONE},
		{REC_HANDSHAKE, STEP_COOKIE_CHECKED, NONE},
		{REC_HANDSHAKE, STEP_ACK_MATCHED, NONE},
		{REC_TW_ANSWER, TW_NOTHING, SOFT},
		{REC_TW_ANSWER, TW_RST, SOFT},
		{REC_TW_ANSWER, TW_ACK, SOFT},
		{REC_TW_ANSWER, TW_SYN, NONE},
		{REC_TW_ANSWER, TW_ACK_OOW, SOFT},
	};
	const struct rec_tuple t = some_flow(IPPROTO_TCP);
	struct story *s = *state;

	for (size_t i = 0; i < ARRAY_SIZE(steps); i++) {
		struct rec_event e = event_make(steps[i].kind, &t, 1);

		e.step = steps[i].step;
		assert_int_equal(track_weight(&e, s->world), steps[i].weight);
	}
}

static void a_syn_that_a_socket_stops_may_be_one(void **state)
{
	struct story *s = *state;
	struct rec_event *e = story_drop(s, some_flow(IPPROTO_TCP), "TCP_INVALID_SYN");

	e->pkt.tcp_flags = SYN;
	assert_int_equal(track_weight(e, s->world), SOFT);
	e->pkt.tcp_flags = SYN | ACK; /* one that came again */
	assert_int_equal(track_weight(e, s->world), NONE);
	story_reason(e, "NOT_SPECIFIED");
	e->pkt.tcp_flags = SYN;
	assert_int_equal(track_weight(e, s->world), NONE);
	e->sock.flags = SOCK_PRESENT | SOCK_TIMEWAIT;
	assert_int_equal(track_weight(e, s->world), SOFT);
	e->pkt.tcp_flags = ACK;
	assert_int_equal(track_weight(e, s->world), NONE);
}

static void rejects_weigh_by_what_is_rejected(void **state)
{
	static const struct {
		const char *dst;
		uint8_t proto, icmp_type;
		enum weight weight;
	} rejects[] = {
		{"10.0.2.2", IPPROTO_TCP, 0, HARD},    {"10.0.2.2", IPPROTO_UDP, 0, HARD},
		{"10.0.2.2", IPPROTO_ICMP, 8, HARD},   {"10.0.2.2", IPPROTO_ICMP, 11, NONE},
		{"224.0.0.251", IPPROTO_UDP, 0, NONE},
	};
	struct story *s = *state;

	for (size_t i = 0; i < ARRAY_SIZE(rejects); i++) {
		const struct rec_tuple t =
			flow_make(rejects[i].proto, "10.0.1.2", 5353, rejects[i].dst, 5353);
		struct rec_event e = event_make(REC_REJECT, &t, 1);

		e.pkt.icmp_type = rejects[i].icmp_type;
		assert_int_equal(track_weight(&e, s->world), rejects[i].weight);
	}
}

static void a_reject_rules_reset_is_a_failure(void **state)
{
	const char *const rejects[] = {"nf_send_reset", "nf_send_reset6", "nft_reject_inet_eval",
				       "reject_tg"};
	const struct rec_tuple t = some_flow(IPPROTO_TCP);
	struct story *s = *state;

	for (size_t i = 0; i < ARRAY_SIZE(rejects); i++) {
		struct rec_event e = event_make(REC_RST_OUT, &t, 1);

		story_stack(s, &e, "__dev_queue_xmit", rejects[i]);
		assert_int_equal(track_weight(&e, s->world), HARD);
	}
}

static void the_last_fin_is_no_story(void **state)
{
	struct story *s = *state;
	const struct rec_tuple t = some_flow(IPPROTO_TCP);
	struct rec_event e = event_make(REC_DROP, &t, 1);

	e.pkt.tcp_flags = FIN | ACK;
	e.location = symbol_add(s->world, "tcp_v4_rcv");
	assert_true(track_last_fin(&e, s->world)); /* Linux 5.10 */
	e.has_reason = REASON_TOLD;
	str_copy(e.reason_name, sizeof(e.reason_name), "NOT_SPECIFIED");
	assert_true(track_last_fin(&e, s->world));
	e.pkt.tcp_flags = RST | ACK;
	assert_false(track_last_fin(&e, s->world));
	e.pkt.tcp_flags = ACK;
	assert_false(track_last_fin(&e, s->world));
	e.pkt.tcp_flags = FIN | ACK;
	e.location = symbol_add(s->world, "nf_hook_slow");
	assert_false(track_last_fin(&e, s->world));
	e = *story_drop(s, t, "NO_SOCKET");
	e.pkt.tcp_flags = FIN | ACK;
	e.location = symbol_add(s->world, "tcp_v4_rcv");
	assert_false(track_last_fin(&e, s->world));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		story_test(kinds_weigh),
		story_test(drops_weigh),
		story_test(drops_without_reason_weigh_by_their_stack),
		story_test(drops_without_reason_weigh_by_their_place),
		story_test(segments_freed_by_tcp_are_no_drops),
		story_test(the_last_fin_is_no_story),
		story_test(multicast_is_nobodys_connection),
		story_test(connects_weigh_by_their_end),
		story_test(a_disconnect_is_the_processs_own_wish),
		story_test(answers_weigh_by_what_they_are),
		story_test(a_syn_that_a_socket_stops_may_be_one),
		story_test(rejects_weigh_by_what_is_rejected),
		story_test(a_reject_rules_reset_is_a_failure),
	};

	return cmocka_run_group_tests_name("weight", tests, NULL, NULL);
}
