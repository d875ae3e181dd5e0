/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Captures of other programs: files, links and headers. */
#include "timeline_fixture.h"

#include "source/capture.h"

#include <arpa/inet.h>
#include <pcap/dlt.h>

/* ---- packets --------------------------------------------------------------------------------- */

#define PORTS 0x9c, 0x40, 0x00, 0x50
#define TCP_HEAD PORTS, 0, 0, 0, 7, 0, 0, 0, 9, 0x50, 0x12, 1, 0, 0, 0, 0, 0
#define IP4(proto, len, fragment) \
	0x45, 0, 0, len, 0, 5, fragment, 0, 64, proto, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2
#define SEGMENT4 IP4(6, 43, 0), TCP_HEAD, 'a', 'b', 'c'
#define ADDR6(n) 0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, n
#define IP6(next, len) 0x60, 0, 0, 0, 0, len, next, 64, ADDR6(1), ADDR6(2)

static void links_and_headers(void **state)
{
	static const struct {
		const char *what;
		int link;
		size_t n;
		uint8_t bytes[160];
		bool taken;
	} cases[] = {
#define CASE(what, link, taken, ...) \
	{what, link, sizeof((uint8_t[]){__VA_ARGS__}), {__VA_ARGS__}, taken}
#define MACS 1, 2, 3, 4, 5, 6, 1, 2, 3, 4, 5, 7
		CASE("Ethernet", DLT_EN10MB, true, MACS, 8, 0, SEGMENT4),
		CASE("Ethernet that pads", DLT_EN10MB, true, MACS, 8, 0, SEGMENT4, 0, 0, 0, 0),
		CASE("a VLAN", DLT_EN10MB, true, MACS, 0x81, 0, 0, 5, 8, 0, SEGMENT4),
		CASE("two VLANs", DLT_EN10MB, true, MACS, 0x88, 0xa8, 0, 7, 0x81, 0, 0, 5, 8, 0,
		     SEGMENT4),
		CASE("ARP", DLT_EN10MB, false, MACS, 8, 6, SEGMENT4),
		CASE("raw IP", DLT_RAW, true, SEGMENT4),
		CASE("cooked", DLT_LINUX_SLL, true, 0, 0, 0, 1, 0, 6, 1, 2, 3, 4, 5, 6, 0, 0, 0x86,
		     0xdd, IP6(6, 23), TCP_HEAD, 'a', 'b', 'c'),
		CASE("cooked, version 2", DLT_LINUX_SLL2, true, 8, 0, 0, 0, 0, 0, 0, 2, 0, 1, 0, 6,
		     1, 2, 3, 4, 5, 6, 0, 0, SEGMENT4),
		CASE("loopback", DLT_NULL, true, 2, 0, 0, 0, SEGMENT4),
		CASE("IPv6", DLT_RAW, true, IP6(6, 23), TCP_HEAD, 'a', 'b', 'c'),
		CASE("IPv6 with extension headers", DLT_RAW, true, IP6(0, 47), 43, 0, 0, 0, 0, 0, 0,
		     0, 60, 0, 0, 0, 0, 0, 0, 0, 6, 0, 0, 0, 0, 0, 0, 0, TCP_HEAD, 'a', 'b', 'c'),
		CASE("IPv6, first fragment", DLT_RAW, true, IP6(44, 31), 6, 0, 0, 1, 0, 0, 0, 1,
		     TCP_HEAD, 'a', 'b', 'c'),
		CASE("IPv6, later fragment", DLT_RAW, false, IP6(44, 31), 6, 0, 0, 9, 0, 0, 0, 1,
		     TCP_HEAD, 'a', 'b', 'c'),
		CASE("IPv6, extension that lies", DLT_RAW, false, IP6(0, 8), 6, 200, 0, 0, 0, 0, 0,
		     0),
		CASE("IPv4, first fragment", DLT_RAW, true, IP4(6, 43, 0x20), TCP_HEAD, 'a', 'b',
		     'c'),
		CASE("IPv4, later fragment", DLT_RAW, false, IP4(6, 43, 0x01), TCP_HEAD),
		CASE("UDP", DLT_RAW, false, IP4(17, 28, 0), PORTS, 0, 8, 0, 0),
		CASE("a header that is too short", DLT_RAW, false, IP4(6, 40, 0), PORTS, 0, 0, 0, 7,
		     0, 0, 0, 9, 0x40, 2, 1, 0, 0, 0, 0, 0),
	};
	struct capture_packet p;
	(void)state;

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		size_t n = cases[i].n;

		if (capture_packet(cases[i].link, cases[i].bytes, n, n, &p) != cases[i].taken)
			fail_msg("%s: %s", cases[i].what, cases[i].taken ? "not taken" : "taken");
		if (cases[i].taken && (p.seq != 7 || p.ack != 9 || p.payload != 3 ||
				       p.flags != (SYN | ACK) || p.tuple.sport != 40000))
			fail_msg("%s: misread", cases[i].what);
		/* Cut off anywhere it is nothing, or the same. */
		for (size_t cut = 0; cut < n; cut++)
			if (capture_packet(cases[i].link, cases[i].bytes, cut, n, &p))
				assert_int_equal(p.payload, 3);
	}
}

static void errors_quote(void **state)
{
	static const uint8_t unreachable[] = {IP4(1, 56, 0), 3,	    1, 0, 0, 0, 0, 0, 0,
					      IP4(6, 60, 0), PORTS, 0, 0, 0, 7};
	uint8_t echo[sizeof(unreachable)];
	struct capture_packet p;
	(void)state;

	assert_true(capture_packet(DLT_RAW, unreachable, sizeof(unreachable), 56, &p));
	assert_true(p.icmp && p.icmp_type == 3 && p.icmp_code == 1);
	assert_int_equal(p.tuple.proto, IPPROTO_TCP);
	assert_int_equal(p.tuple.dport, 80);
	assert_int_equal(p.seq, 7);
	memcpy(echo, unreachable, sizeof(echo));
	echo[20] = 8;
	assert_false(capture_packet(DLT_RAW, echo, sizeof(echo), 56, &p));
}

/* ---- files ----------------------------------------------------------------------------------- */

struct heard {
	struct rec_captured last;
	unsigned n;
};

static int hear(void *arg, const struct rec_hdr *rec)
{
	struct heard *h = arg;

	memcpy(&h->last, rec, sizeof(h->last));
	h->n++;
	return 0;
}

static int flows_of(void *arg, uint64_t first_ns, struct capture_flows **ret)
{
	(void)first_ns;
	*ret = arg;
	return 0;
}

static void files_are_read_as_far_as_they_go(void **state)
{
	static const uint8_t file[] = {
		/* pcap, big endian, link type 101; a packet of 40 bytes at 5.000006 s */
		0xa1,
		0xb2,
		0xc3,
		0xd4,
		0,
		2,
		0,
		4,
		0,
		0,
		0,
		0,
		0,
		0,
		0,
		0,
		0,
		0,
		0xff,
		0xff,
		0,
		0,
		0,
		101,
		0,
		0,
		0,
		5,
		0,
		0,
		0,
		6,
		0,
		0,
		0,
		40,
		0,
		0,
		0,
		40,
		IP4(6, 40, 0),
		PORTS,
		0,
		0,
		0,
		0,
		0,
		0,
		0,
		9,
		0x50,
		RST | ACK,
		1,
		0,
		0,
		0,
		0,
		0};
	(void)state;

	for (size_t cut = 1; cut <= sizeof(file); cut++) {
		_cleanup_strbuf_ struct strbuf why = {0};
		struct capture_stats stats;
		struct capture_flows *f;
		struct heard h = {0};
		int err;

		assert_int_equal(capture_flows_new(hear, &h, &f), 0);
		err = capture_read(file, cut, flows_of, f, &stats, &why);
		assert_int_equal(err, cut == 24 || cut == sizeof(file) ? 0 : -EBADMSG);
		assert_int_equal(!why.len, !err);
		assert_int_equal(capture_flows_end(f), 0);
		assert_int_equal(h.n, cut == sizeof(file));
		assert_int_equal(stats.taken, h.n);
		assert_true(!h.n || h.last.event.hdr.wall_ns == 5 * NSEC_PER_SEC + 6000);
		capture_flows_free(f);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(links_and_headers),
		cmocka_unit_test(errors_quote),
		cmocka_unit_test(files_are_read_as_far_as_they_go),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
