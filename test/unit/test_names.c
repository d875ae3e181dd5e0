/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "record/fields.h"
#include "record/question.h"
#include "record/sha1.h"

#include <arpa/inet.h>
#include <netinet/in.h>

static void addr_parse(const char *text, uint8_t ret[16])
{
	memset(ret, 0, 16);
	if (strchr(text, ':')) {
		assert_int_equal(inet_pton(AF_INET6, text, ret), 1);
		return;
	}
	ret[10] = ret[11] = 0xff;
	assert_int_equal(inet_pton(AF_INET, text, ret + 12), 1);
}

static struct rec_tuple tuple_parse(uint8_t proto, const char *src, uint16_t sport, const char *dst,
				    uint16_t dport)
{
	struct rec_tuple t = {
		.sport = sport, .dport = dport, .proto = proto, .family = strchr(src, ':') ? 6 : 4};

	addr_parse(src, t.src);
	addr_parse(dst, t.dst);
	return t;
}

/* ---- names ----------------------------------------------------------------------------------- */

static void names_of_the_field(void **state)
{
	(void)state;
	assert_string_equal(tcp_state_name(1), "ESTABLISHED");
	assert_string_equal(tcp_state_name(12), "NEW_SYN_RECV");
	assert_string_equal(ct_tcp_state_name(9), "SYN_SENT2");
	assert_string_equal(ctinfo_name(CTINFO_NONE), "none");
	assert_string_equal(ctinfo_name(0), "ESTABLISHED");
	assert_string_equal(ctinfo_name(CTINFO_UNTRACKED), "UNTRACKED");
	assert_string_equal(proto_name(IPPROTO_TCP), "tcp");
	assert_string_equal(proto_name(IPPROTO_ICMPV6), "icmpv6");
	assert_string_equal(errno_name(ECONNREFUSED), "ECONNREFUSED");
	assert_string_equal(errno_name(-EBUSY), "EBUSY");
	assert_string_equal(route_type_name(6), "blackhole");
	assert_string_equal(neigh_state_name(0x20), "FAILED");
	assert_string_equal(question_name(Q_SOCKETS_BY_PORT), "sockets_by_port");
	assert_string_equal(icmp_name(4, 3, 3), "port-unreachable");
	assert_string_equal(icmp_name(6, 1, 0), "no-route");
}

static void names_of_every_question_and_match(void **state)
{
	(void)state;
	for (unsigned bit = 0; bit < Q_COUNT; bit++)
		assert_string_not_equal(question_name(1u << bit), name_unknown);
	for (unsigned match = SOCK_MATCH_EXACT; match < SOCK_MATCH_COUNT; match++)
		assert_string_not_equal(sock_match_name(match), name_unknown);
}

static void names_of_unknown_numbers(void **state)
{
	const unsigned strange[] = {200, 0xffff, UINT32_MAX};
	(void)state;

	for (size_t i = 0; i < ARRAY_SIZE(strange); i++) {
		assert_string_equal(tcp_state_name(strange[i]), "unknown");
		assert_string_equal(ct_tcp_state_name(strange[i]), "unknown");
		assert_string_equal(ctinfo_name(strange[i]), "unknown");
		assert_string_equal(proto_name(strange[i]), "unknown");
		assert_string_equal(route_type_name(strange[i]), "unknown");
		assert_string_equal(neigh_state_name(strange[i]), "unknown");
		assert_string_equal(sock_match_name(strange[i]), "unknown");
		assert_string_equal(question_name(strange[i]), "unknown");
		assert_string_equal(icmp_name(4, strange[i], 0), "unknown");
	}
	assert_string_equal(errno_name(INT32_MIN), "unknown");
	assert_string_equal(errno_name(0), "unknown");
	assert_string_equal(icmp_name(4, 3, 255), "unreachable");
	assert_string_equal(icmp_name(6, 1, 255), "unreachable");
}

static void flags_read_in_order_of_the_bits(void **state)
{
	_cleanup_strbuf_ struct strbuf b = {0};
	(void)state;

	tcp_flags_text(0x12, &b);
	assert_string_equal(b.s, "SYN,ACK");
	strbuf_reset(&b);
	tcp_flags_text(0, &b);
	assert_string_equal(b.s, "none");
	strbuf_reset(&b);
	tcp_flags_text(0xff, &b);
	assert_string_equal(b.s, "FIN,SYN,RST,PSH,ACK,URG,ECE,CWR");
	strbuf_reset(&b);
	flags_text(0x8000000a, ct_status_names, &b);
	assert_string_equal(b.s, "SEEN_REPLY,CONFIRMED,0x80000000");
}

/* ---- addresses ------------------------------------------------------------------------------- */

static void addresses_are_what_they_are(void **state)
{
	static const struct {
		const char *text;
		bool v4, any, loopback, multicast;
	} cases[] = {
		{"10.0.0.1", true, false, false, false},  {"0.0.0.0", true, true, false, false},
		{"127.0.0.53", true, false, true, false}, {"224.0.0.1", true, false, false, true},
		{"240.0.0.1", true, false, false, false}, {"::", false, true, false, false},
		{"::1", false, false, true, false},	  {"ff02::1", false, false, false, true},
		{"fd00::1", false, false, false, false},  {"::2", false, false, false, false},
	};
	(void)state;

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		_cleanup_strbuf_ struct strbuf b = {0};
		uint8_t addr[16];

		addr_parse(cases[i].text, addr);
		assert_int_equal(addr_is_v4(addr), cases[i].v4);
		assert_int_equal(addr_is_any(addr), cases[i].any);
		assert_int_equal(addr_is_loopback(addr), cases[i].loopback);
		assert_int_equal(addr_is_multicast(addr), cases[i].multicast);
		addr_text(addr, &b);
		assert_string_equal(b.s, cases[i].text);
	}
}

static void endpoints_and_tuples_read_as_usual(void **state)
{
	struct rec_tuple four = tuple_parse(IPPROTO_TCP, "10.0.0.1", 1, "10.0.0.2", 2);
	struct rec_tuple six = tuple_parse(IPPROTO_TCP, "fd00::1", 80, "fd00::2", 0);
	_cleanup_strbuf_ struct strbuf b = {0};
	(void)state;

	tuple_text(&four, &b);
	assert_string_equal(b.s, "10.0.0.1:1 -> 10.0.0.2:2");
	strbuf_reset(&b);
	tuple_text(&six, &b);
	assert_string_equal(b.s, "[fd00::1]:80 -> fd00::2");
}

static void tuples_compare_reverse_and_order(void **state)
{
	struct rec_tuple t = tuple_parse(IPPROTO_TCP, "10.0.0.2", 39700, "10.0.0.1", 443);
	struct rec_tuple back = tuple_reverse(&t), again = tuple_reverse(&back);
	struct rec_tuple a = tuple_canonical(&t), b = tuple_canonical(&back), udp = t;
	(void)state;

	assert_true(tuple_equal(&t, &again));
	assert_false(tuple_equal(&t, &back));
	assert_int_equal(back.sport, 443);
	assert_true(tuple_equal(&a, &b));
	assert_true(tuple_equal(&a, &back)); /* 10.0.0.1 is the lower one */
	udp.proto = IPPROTO_UDP;
	assert_false(tuple_equal(&t, &udp));
	/* Same address: the port decides. */
	t = tuple_parse(IPPROTO_TCP, "127.0.0.1", 9, "127.0.0.1", 8);
	back = tuple_reverse(&t);
	a = tuple_canonical(&t);
	assert_true(tuple_equal(&a, &back));
}

static void tuples_are_whole_with_both_ends(void **state)
{
	struct rec_tuple t = tuple_parse(IPPROTO_TCP, "10.0.0.2", 39700, "10.0.0.1", 443),
			 none = {0};
	(void)state;

	assert_true(tuple_is_whole(&t));
	assert_false(tuple_is_whole(&none));
	t.dport = 0;
	assert_false(tuple_is_whole(&t));
	t.proto = IPPROTO_ICMP;
	assert_true(tuple_is_whole(&t));
	addr_parse("0.0.0.0", t.src);
	assert_false(tuple_is_whole(&t));
}

/* ---- community id ---------------------------------------------------------------------------- */

static void sha1_of_known_messages(void **state)
{
	static const struct {
		const char *message;
		const char *digest;
	} cases[] = {
		/* RFC 3174 section 7.3, and the empty message */
		{"", "da39a3ee5e6b4b0d3255bfef95601890afd80709"},
		{"abc", "a9993e364706816aba3e25717850c26c9cd0d89d"},
		{"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq", "84983e441c3bd26ebaae4"
									     "aa1f95129e5e54670f1"},
		{"0123456701234567012345670123456701234567012345670123456701234567", "e0c094e867ef4"
										     "6c350ef54a7f5"
										     "9dd60bed92ae8"
										     "3"},
	};
	(void)state;

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		uint8_t digest[SHA1_SIZE];
		char hex[2 * SHA1_SIZE + 1];

		sha1(cases[i].message, strlen(cases[i].message), digest);
		for (size_t j = 0; j < SHA1_SIZE; j++)
			snprintf(hex + 2 * j, 3, "%02x", digest[j]);
		assert_string_equal(hex, cases[i].digest);
	}
}

/* The vectors of the specification's baseline. */
static void community_id_matches_the_specification(void **state)
{
	static const struct {
		uint8_t proto;
		const char *src;
		uint16_t sport;
		const char *dst;
		uint16_t dport;
		const char *id;
	} cases[] = {
		{6, "128.232.110.120", 34855, "66.35.250.204", 80,
		 "1:LQU9qZlK+B5F3KDmev6m5PMibrg="},
		{6, "66.35.250.204", 80, "128.232.110.120", 34855,
		 "1:LQU9qZlK+B5F3KDmev6m5PMibrg="},
		{17, "192.168.1.52", 54585, "8.8.8.8", 53, "1:d/FP5EW3wiY1vCndhwleRRKHowQ="},
		{17, "8.8.8.8", 53, "192.168.1.52", 54585, "1:d/FP5EW3wiY1vCndhwleRRKHowQ="},
		{6, "2001:470:e5bf:dead:4957:2174:e82c:4887", 63943, "2607:f8b0:400c:c03::1a", 25,
		 "1:/qFaeAR+gFe1KYjMzVDsMv+wgU4="},
		{6, "2607:f8b0:400c:c03::1a", 25, "2001:470:e5bf:dead:4957:2174:e82c:4887", 63943,
		 "1:/qFaeAR+gFe1KYjMzVDsMv+wgU4="},
		{132, "192.168.170.8", 7, "192.168.170.56", 7, "1:MP2EtRCAUIZvTw6MxJHLV7N7JDs="},
		{46, "10.1.12.1", 0, "10.1.12.2", 0, "1:KHlLkgoJW7ifUTyTSgyVfkFHzKw="},
		{46, "10.1.12.2", 0, "10.1.12.1", 0, "1:KHlLkgoJW7ifUTyTSgyVfkFHzKw="},
		/* ICMP: type and code in place of the ports */
		{1, "192.168.0.89", 8, "192.168.0.1", 0, "1:X0snYXpgwiv9TZtqg64sgzUn6Dk="},
		{1, "192.168.0.1", 0, "192.168.0.89", 0, "1:X0snYXpgwiv9TZtqg64sgzUn6Dk="},
		{1, "10.0.0.1", 11, "10.0.0.2", 0, "1:YHxtAirCG//0OzkcVAukqKQN9xM="},
		{58, "fe80::200:86ff:fe05:80da", 135, "fe80::260:97ff:fe07:69ea", 0,
		 "1:dGHyGvjMfljg6Bppwm3bg0LO8TY="},
		{58, "fe80::260:97ff:fe07:69ea", 136, "fe80::200:86ff:fe05:80da", 0,
		 "1:dGHyGvjMfljg6Bppwm3bg0LO8TY="},
		{58, "3ffe:507:0:1:200:86ff:fe05:80da", 128, "3ffe:501:0:1001::2", 0,
		 "1:+TW+HtLHvV1xnGhV1lv7XoJrqQg="},
		{58, "fe80::200:86ff:fe05:80da", 133, "ff02::2", 0,
		 "1:hO+sN4H+MG5MY/8hIrXPqc4ZQz0="},
		{58, "fe80::260:97ff:fe07:69ea", 134, "ff02::1", 0,
		 "1:pkvHqCL88/tg1k4cPigmZXUtL00="},
		{58, "3ffe:501:1800:2345::2", 3, "3ffe:507:0:1:200:86ff:fe05:80da", 0,
		 "1:2ObVBgIn28oZvibYZhZMBgh7WdQ="},
		{58, "3ffe:501:410:0:2c0:dfff:fe47:33e", 1, "3ffe:507:0:1:200:86ff:fe05:80da", 4,
		 "1:hLZd0XGWojozrvxqE0dWB1iM6R0="},
	};
	(void)state;

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct rec_tuple t = tuple_parse(cases[i].proto, cases[i].src, cases[i].sport,
						 cases[i].dst, cases[i].dport);
		_cleanup_strbuf_ struct strbuf b = {0};

		community_id(&t, &b);
		assert_string_equal(b.s, cases[i].id);
	}
}

static const char *words(const char *format, uint64_t a, uint64_t b)
{
	static struct rec_nf nf;

	nf = (struct rec_nf){.invalid_args = {a, b}};
	str_copy(nf.invalid, sizeof(nf.invalid), format);
	nf_words_fill(&nf);
	assert_int_equal(nf.invalid_args[0] | nf.invalid_args[1], 0);
	return nf.invalid;
}

static void conntracks_words_get_their_numbers(void **state)
{
	char full[sizeof(((struct rec_nf *)0)->invalid)];
	(void)state;

	assert_string_equal(words("invalid state", 1, 2), "invalid state");
	assert_string_equal(words("", 1, 2), "");
	assert_string_equal(words("SEQ is over upper bound %u (over the window)", 4000000000, 2),
			    "SEQ is over upper bound 4000000000 (over the window)");
	assert_string_equal(words("%d bytes more, type %hhu", 0xfffffffe, 7), "-2 bytes more, type "
									      "7");
	assert_string_equal(words("%u %u %u", 1, 2), "1 2 0"); /* no more than two are known */
	assert_string_equal(words("at %x, 100%", 255, 0), "at ff, 100%");
	assert_string_equal(words("%s %n", 1, 2), "%s %n");
	assert_string_equal(words("100%h", 1, 2), "100%h");
	memset(full, 'u', sizeof(full) - 1);
	full[sizeof(full) - 1] = '\0';
	full[sizeof(full) - 3] = '%';
	assert_int_equal(strlen(words(full, 4000000000, 0)), sizeof(full) - 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(conntracks_words_get_their_numbers),
		cmocka_unit_test(names_of_the_field),
		cmocka_unit_test(names_of_every_question_and_match),
		cmocka_unit_test(names_of_unknown_numbers),
		cmocka_unit_test(flags_read_in_order_of_the_bits),
		cmocka_unit_test(addresses_are_what_they_are),
		cmocka_unit_test(endpoints_and_tuples_read_as_usual),
		cmocka_unit_test(tuples_compare_reverse_and_order),
		cmocka_unit_test(tuples_are_whole_with_both_ends),
		cmocka_unit_test(sha1_of_known_messages),
		cmocka_unit_test(community_id_matches_the_specification),
	};

	return cmocka_run_group_tests_name("names", tests, NULL, NULL);
}
