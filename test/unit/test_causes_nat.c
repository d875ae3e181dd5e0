/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The causes that lie in NAT: each with what makes it that, and near misses. */
#include "timeline_fixture.h"

#define judged(s, text) assert_string_equal(story_judge(s), text)

/* A container's upload behind masquerading, and the server's segment that breaks it. */
static struct rec_tuple inside(void)
{
	return tcp("172.17.0.2", 39700, "10.0.2.2", 443);
}

static struct rec_tuple outside(void)
{
	return tcp("10.0.2.2", 443, "10.0.3.2", 39700);
}

static struct rec_event *stray_segment(struct story *s)
{
	struct rec_event *e = story_event(s, REC_RST_SENT, outside());

	e->pkt.tcp_flags = ACK;
	e->pkt.seq = 530104;
	e->pkt.payload = 1;
	story_stack(s, e, "tcp_v4_send_reset", "tcp_v4_rcv", "ip_local_deliver_finish");
	story_hook(s, e, "ipv4_conntrack_in");
	return e;
}

static void nat_is_known(struct story *s)
{
	struct rec_sock_info *victim;

	story_conntrack(s, inside(), outside());
	victim = story_socket(s, SOCK_MATCH_EXACT, inside(), TCP_ESTABLISHED);
	story_owner(victim, INSIDE, 8123, "java");
	story_netns(s, INSIDE, "container");
	story_sysctl(s, "net.netfilter.nf_conntrack_tcp_be_liberal", 0);
}

/* ---- conntrack-invalid ----------------------------------------------------------------------- */

static void conntrack_invalid_is_certain(void **state)
{
	struct story *s = *state;

	stray_segment(s);
	nat_is_known(s);
	judged(s, "conntrack-invalid, certain");
	assert_true(story_says(s, "INVALID and its NAT was not undone"));
	assert_true(story_says(s, "tcp_v4_send_reset"));
	assert_true(story_says(s, "172.17.0.2:39700 -> 10.0.2.2:443"));
	assert_true(story_says(s, "state ESTABLISHED; this packet is its reply direction"));
	assert_true(story_says(s, "pid 8123 java, netns container, ESTABLISHED"));
	assert_true(story_hits(s, "pid 8123 java (netns container)"));
	assert_true(story_offers(s, "sysctl -w net.netfilter.nf_conntrack_tcp_be_liberal=1"));
	assert_true(story_offers(s, "iptables -I INPUT -m conntrack --ctstate INVALID -j DROP"));
	assert_false(story_offers(s, "ip6tables"));
}

static void conntrack_invalid_over_ipv6(void **state)
{
	const struct rec_tuple in = tcp("fd00:17::2", 39700, "fd00:2::2", 443),
			       out = tcp("fd00:2::2", 443, "fd00:3::2", 39700);
	struct story *s = *state;
	struct rec_event *e = story_event(s, REC_RST_SENT, out);

	e->pkt.tcp_flags = ACK;
	story_hook(s, e, "ipv6_conntrack_in");
	story_conntrack(s, in, out);
	judged(s, "conntrack-invalid, certain");
	assert_true(story_says(s, "[fd00:3::2]:39700"));
	assert_true(story_offers(s, "ip6tables -I INPUT"));
}

static void conntrack_invalid_towards_a_service(void **state)
{
	const struct rec_tuple from_client = tcp("10.0.1.2", 50000, "10.0.3.2", 443),
			       answer = tcp("172.17.0.2", 8443, "10.0.1.2", 50000);
	struct story *s = *state;
	struct rec_event *e = story_event(s, REC_RST_SENT, from_client);

	e->pkt.tcp_flags = ACK;
	story_hook(s, e, "ipv4_conntrack_in");
	story_conntrack(s, from_client, answer);
	story_owner(story_socket(s, SOCK_MATCH_EXACT, answer, TCP_ESTABLISHED), INSIDE, 9, "nginx");
	judged(s, "conntrack-invalid, certain");
	assert_true(story_says(s, "this packet is its original direction"));
	assert_true(story_says(s, "the service (172.17.0.2:8443) is not told"));
}

static void conntrack_invalid_is_likely_without_the_hooks(void **state)
{
	struct story *s = *state;

	stray_segment(s)->nr_hooks = 0;
	nat_is_known(s);
	judged(s, "conntrack-invalid, likely");
}

static void conntrack_invalid_is_likely_with_other_hooks_only(void **state)
{
	struct story *s = *state;
	struct rec_event *e = stray_segment(s);

	e->nr_hooks = 0;
	story_hook(s, e, "nft_do_chain_inet");
	nat_is_known(s);
	judged(s, "conntrack-invalid, likely");
}

static void conntrack_invalid_from_the_drop_of_an_older_kernel(void **state)
{
	struct story *s = *state;

	story_drop(s, outside(), "NO_SOCKET")->pkt.tcp_flags = ACK;
	nat_is_known(s);
	judged(s, "conntrack-invalid, likely");
}

static void conntrack_invalid_needs_an_entry_with_nat(void **state)
{
	struct story *s = *state;

	stray_segment(s);
	story_conntrack(s, outside(), tcp("10.0.3.2", 39700, "10.0.2.2", 443));
	judged(s, "closed-socket, likely");
}

static void conntrack_invalid_needs_an_entry(void **state)
{
	struct story *s = *state;

	stray_segment(s);
	story_no_conntrack(s);
	judged(s, "closed-socket, likely");
}

static void conntrack_invalid_needs_the_entry_of_this_namespace(void **state)
{
	struct story *s = *state;

	stray_segment(s);
	story_conntrack(s, inside(), outside())->hdr.netns = INSIDE;
	judged(s, "closed-socket, likely");
}

static void conntrack_invalid_needs_a_packet_without_entry(void **state)
{
	const uint8_t ctinfos[] = {0, 3};
	struct story *s = *state;
	struct rec_event *e = stray_segment(s);

	nat_is_known(s);
	for (size_t i = 0; i < ARRAY_SIZE(ctinfos); i++) {
		e->pkt.ctinfo = ctinfos[i];
		judged(s, "closed-socket, likely");
	}
}

static void conntrack_invalid_is_not_about_a_syn(void **state)
{
	struct story *s = *state;

	stray_segment(s)->pkt.tcp_flags = SYN;
	nat_is_known(s);
	judged(s, "no-listener, certain");
}

static void conntrack_invalid_is_not_about_a_packet_with_a_socket(void **state)
{
	struct story *s = *state;

	story_own_socket(stray_segment(s), TCP_ESTABLISHED);
	nat_is_known(s);
	judged(s, "unknown, unknown");
}

static void conntrack_invalid_knows_dead_victims(void **state)
{
	const uint8_t states[] = {TCP_CLOSE, TCP_TIME_WAIT};
	struct story *s = *state;
	struct rec_sock_info *victim;

	stray_segment(s);
	story_conntrack(s, inside(), outside());
	victim = story_socket(s, SOCK_MATCH_EXACT, inside(), TCP_ESTABLISHED);
	story_owner(victim, INSIDE, 8123, "java");
	judged(s, "conntrack-invalid, certain");
	assert_true(story_says(s, "is not told"));
	for (size_t i = 0; i < ARRAY_SIZE(states); i++) {
		victim->state = states[i];
		judged(s, "conntrack-invalid, certain");
		assert_false(story_says(s, "closed already")); /* nobody answered who is there */
		assert_false(story_says(s, "alive"));
		assert_int_equal(s->v.hit.n, 0);
	}
	story_answer(s, Q_SOCKETS);
	judged(s, "conntrack-invalid, certain");
	assert_true(story_says(s, "closed already"));
}

static void conntrack_invalid_by_flags_is_not_mended_by_liberal(void **state)
{
	const uint8_t impossible[] = {SYN | FIN | ACK, FIN, 0};
	struct story *s = *state;
	struct rec_event *e = stray_segment(s);

	nat_is_known(s);
	for (size_t i = 0; i < ARRAY_SIZE(impossible); i++) {
		e->pkt.tcp_flags = impossible[i];
		judged(s, "conntrack-invalid, certain");
		assert_true(story_says(s, "impossible combination of TCP flags"));
		assert_false(story_offers(s, "be_liberal"));
		assert_true(story_offers(s, "--ctstate INVALID -j DROP"));
	}
}

static void conntrack_invalid_offers_liberal_only_where_it_is_off(void **state)
{
	struct story *s = *state;

	stray_segment(s);
	story_conntrack(s, inside(), outside());
	story_sysctl(s, "net.netfilter.nf_conntrack_tcp_be_liberal", 1);
	judged(s, "conntrack-invalid, certain");
	assert_false(story_offers(s, "be_liberal"));
	assert_true(story_offers(s, "--ctstate INVALID -j DROP"));
}

static void fixes_name_the_namespace(void **state)
{
	struct story *s = *state;

	stray_segment(s);
	nat_is_known(s);
	story_netns(s, HOST, "router");
	judged(s, "conntrack-invalid, certain");
	assert_true(story_offers(s, "ip netns exec router sysctl -w"));
	assert_true(story_offers(s, "ip netns exec router iptables"));
}

static void conntrack_invalid_is_likely_where_no_window_explains_it(void **state)
{
	struct story *s = *state;

	stray_segment(s)->pkt.tcp_flags = SYN | ACK; /* perhaps the directions are in two zones */
	nat_is_known(s);
	judged(s, "conntrack-invalid, likely");
	assert_true(story_says(s, "conntrack zones"));
	assert_false(story_offers(s, "be_liberal"));
}

/* ---- nat-entry-missing ----------------------------------------------------------------------- */

static struct rec_sock_info *socket_behind_nat(struct story *s)
{
	struct rec_sock_info *sock = story_socket(s, SOCK_MATCH_PORTS, inside(), TCP_ESTABLISHED);

	story_owner(sock, INSIDE, 8123, "java");
	return sock;
}

static void nat_entry_missing_is_likely(void **state)
{
	struct story *s = *state;

	stray_segment(s);
	story_no_conntrack(s);
	socket_behind_nat(s);
	story_sysctl(s, "net.netfilter.nf_conntrack_tcp_loose", 0);
	story_sysctl(s, "net.netfilter.nf_conntrack_tcp_timeout_established", 30);
	judged(s, "nat-entry-missing, likely");
	assert_true(story_says(s, "conntrack has lost its entry"));
	assert_true(story_says(s, "conntrack has no entry for 10.0.2.2:443 -> 10.0.3.2:39700"));
	assert_true(story_says(s, "packets of an unknown connection are INVALID"));
	assert_true(story_hits(s, "pid 8123 java"));
	assert_true(story_offers(s, "tcp_timeout_established=432000   (now 30 s)"));
}

static void nat_entry_missing_where_conntrack_picked_it_up(void **state)
{
	struct story *s = *state;
	struct rec_event *e = stray_segment(s);

	e->pkt.ctinfo = 2; /* NEW */
	e->pkt.has |= PKT_CT;
	e->pkt.ct_orig = outside();
	e->pkt.ct_reply = tuple_reverse(&e->pkt.ct_orig);
	story_conntrack(s, e->pkt.ct_orig, e->pkt.ct_reply);
	socket_behind_nat(s);
	judged(s, "nat-entry-missing, likely");
	assert_true(story_says(s, "took the packet for a new connection, without NAT"));
}

static void nat_entry_missing_does_not_offer_the_default_time(void **state)
{
	struct story *s = *state;

	stray_segment(s);
	story_no_conntrack(s);
	socket_behind_nat(s);
	story_sysctl(s, "net.netfilter.nf_conntrack_tcp_timeout_established", 432000);
	judged(s, "nat-entry-missing, likely");
	assert_false(story_offers(s, "timeout_established"));
}

static void nat_entry_missing_needs_a_living_socket_elsewhere(void **state)
{
	struct story *s = *state;
	struct rec_sock_info *sock;

	stray_segment(s);
	story_no_conntrack(s);
	judged(s, "closed-socket, likely");
	sock = socket_behind_nat(s);
	judged(s, "nat-entry-missing, likely");

	sock->state = TCP_TIME_WAIT;
	judged(s, "closed-socket, likely");
	sock->state = TCP_LISTEN;
	judged(s, "closed-socket, likely");
	sock->state = TCP_ESTABLISHED;
	sock->hdr.netns = HOST;
	judged(s, "closed-socket, likely");
	sock->hdr.netns = INSIDE;
	sock->tuple.dport = 444; /* another service of that peer */
	judged(s, "closed-socket, likely");
	sock->tuple = inside();
	sock->match = SOCK_MATCH_EXACT;
	judged(s, "closed-socket, likely");
}

static void nat_entry_missing_needs_conntracks_word(void **state)
{
	struct story *s = *state;

	stray_segment(s);
	socket_behind_nat(s);
	judged(s, "closed-socket, likely"); /* not asked, or no answer yet */
	story_no_conntrack(s);
	judged(s, "nat-entry-missing, likely");
}

static void untracked_packets_of_a_translated_connection(void **state)
{
	struct story *s = *state;

	stray_segment(s)->pkt.ctinfo = CTINFO_UNTRACKED;
	nat_is_known(s);
	judged(s, "nat-entry-missing, certain");
	assert_true(story_says(s, "NOTRACK"));
	assert_true(story_offers(s, "iptables -t raw -S"));
	assert_false(story_offers(s, "be_liberal"));
}

static void untracked_packets_of_others_are_no_matter_of_nat(void **state)
{
	struct story *s = *state;

	stray_segment(s)->pkt.ctinfo = CTINFO_UNTRACKED;
	story_no_conntrack(s);
	socket_behind_nat(s);
	judged(s, "closed-socket, likely");
	story_conntrack(s, outside(), tcp("10.0.3.2", 39700, "10.0.2.2", 443));
	judged(s, "closed-socket, likely");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		story_test(conntrack_invalid_is_certain),
		story_test(conntrack_invalid_over_ipv6),
		story_test(conntrack_invalid_towards_a_service),
		story_test(conntrack_invalid_is_likely_without_the_hooks),
		story_test(conntrack_invalid_is_likely_with_other_hooks_only),
		story_test(conntrack_invalid_from_the_drop_of_an_older_kernel),
		story_test(conntrack_invalid_needs_an_entry_with_nat),
		story_test(conntrack_invalid_needs_an_entry),
		story_test(conntrack_invalid_needs_the_entry_of_this_namespace),
		story_test(conntrack_invalid_needs_a_packet_without_entry),
		story_test(conntrack_invalid_is_not_about_a_syn),
		story_test(conntrack_invalid_is_not_about_a_packet_with_a_socket),
		story_test(conntrack_invalid_knows_dead_victims),
		story_test(conntrack_invalid_by_flags_is_not_mended_by_liberal),
		story_test(conntrack_invalid_offers_liberal_only_where_it_is_off),
		story_test(fixes_name_the_namespace),
		story_test(nat_entry_missing_is_likely),
		story_test(nat_entry_missing_where_conntrack_picked_it_up),
		story_test(nat_entry_missing_does_not_offer_the_default_time),
		story_test(nat_entry_missing_needs_a_living_socket_elsewhere),
		story_test(nat_entry_missing_needs_conntracks_word),
		story_test(untracked_packets_of_a_translated_connection),
		story_test(untracked_packets_of_others_are_no_matter_of_nat),
		story_test(conntrack_invalid_is_likely_where_no_window_explains_it),
	};

	return cmocka_run_group_tests_name("causes in NAT", tests, NULL, NULL);
}
