/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "out/pcapng.h"
#include "record/pcapng.h"
#include "source/pcapng_read.h"

#include <netinet/in.h>

/* ---- a recording ----------------------------------------------------------------------------- */

static union codec_record packet, symbol;
static struct pcapng_writer writer;

static void record_all(void)
{
	static const struct pcapng_host host = {
		.name = "box", .os = "Linux 6.1", .run = "run1", .wall_ns = 5 * NSEC_PER_SEC};
	struct verdict v = {.cause = "foreign-hook", .certainty = CERTAINTY_CERTAIN};

	codec_start("drop", &packet);
	packet.hdr.wall_ns = 1795269784113000123ull;
	packet.hdr.mono_ns = 17;
	packet.event.pkt = (struct rec_packet){
		.tuple = {.src = {[10] = 0xff, 0xff, 10, 0, 0, 1},
			  .dst = {[10] = 0xff, 0xff, 10, 0, 0, 2},
			  .sport = 40000,
			  .dport = 80,
			  .family = 4,
			  .proto = IPPROTO_TCP},
		.has = PKT_L3 | PKT_L4,
		.ip_len = 160,
		.payload = 108, /* 12 bytes of TCP options */
		.ttl = 64,
		.tcp_flags = TCPHDR_ACK,
	};
	str_copy(packet.event.ifname, sizeof(packet.event.ifname), "eth0");
	/* Whatever a process calls itself. */
	str_copy(packet.event.task.comm, sizeof(packet.event.task.comm), "a=b\nTCPWHY_X=\x1b");
	codec_start("symbol", &symbol);
	((struct rec_symbol *)&symbol)->addr = 0xffffffff81000000;
	str_copy(((struct rec_symbol *)&symbol)->name, 80, "tcp_v4_rcv");

	assert_int_equal(pcapng_writer_open(&writer), 0);
	pcapng_section(&writer, &host);
	pcapng_record(&writer, &symbol.hdr, NULL, NULL);
	pcapng_record(&writer, &packet.hdr, NULL, &v);
	pcapng_loss(&writer, 99, NSEC_PER_SEC);
	pcapng_verdict(&writer, &v);
}

static int setup(void **state)
{
	(void)state;
	record_all();
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	pcapng_writer_close(&writer);
	return 0;
}

/* ---- reading it ------------------------------------------------------------------------------ */

struct heard {
	unsigned recordings, records, losses;
	union codec_record last[2];
	char run[16], run_of_record[16];
};

static int hear_recording(void *arg, const struct recording *r)
{
	struct heard *h = arg;

	h->recordings++;
	str_copy(h->run, sizeof(h->run), r->run);
	return 0;
}

static int hear_record(void *arg, const struct rec_hdr *rec, const char *run)
{
	struct heard *h = arg;

	assert_int_equal(record_validate(rec, rec->size), 0);
	memcpy(&h->last[h->records++ % 2], rec, rec->size);
	str_copy(h->run_of_record, sizeof(h->run_of_record), run ? run : "");
	return 0;
}

static int hear_loss(void *arg, uint64_t mono_ns)
{
	struct heard *h = arg;

	h->losses++;
	return mono_ns == 99 ? 0 : -EIO;
}

static int read_it(const void *file, size_t size, struct heard *h, struct pcapng_stats *stats,
		   struct strbuf *why)
{
	const struct pcapng_sink sink = {hear_recording, hear_record, hear_loss, h};

	*h = (struct heard){0};
	return pcapng_read(writer.codec, file, size, &sink, stats, why);
}

static void what_was_written_is_read(void **state)
{
	_cleanup_strbuf_ struct strbuf why = {0};
	struct pcapng_stats stats;
	struct heard h;
	(void)state;

	assert_int_equal(read_it(writer.to.s, writer.to.len, &h, &stats, &why), 0);
	assert_null(why.s);
	assert_int_equal(stats.records, 2);
	assert_int_equal(stats.packets, 1);
	assert_int_equal(stats.bad + stats.unknown, 0);
	assert_int_equal(h.losses, 1);
	assert_int_equal(h.recordings, 1);
	assert_string_equal(h.run, "run1");
	assert_string_equal(h.run_of_record, "run1");
	assert_memory_equal(&h.last[0], &symbol, symbol.hdr.size);
	assert_memory_equal(&h.last[1], &packet, packet.hdr.size);
}

static void truncations_are_told(void **state)
{
	struct pcapng_stats stats;
	struct heard h;
	(void)state;

	for (size_t len = 0; len < writer.to.len; len++) {
		_cleanup_free_ char *cut = malloc(len + !len);
		_cleanup_strbuf_ struct strbuf why = {0};
		int err;

		assert_non_null(cut);
		memcpy(cut, writer.to.s, len);
		err = read_it(cut, len, &h, &stats, &why);
		assert_true(err == 0 || err == -EBADMSG); /* 0: between two blocks */
		assert_true(err == 0 ? !why.s : why.s && strstr(why.s, " at byte "));
		assert_true(h.records <= 2);
	}
}

static void damage_is_survived(void **state)
{
	_cleanup_free_ char *file = malloc(writer.to.len);
	struct pcapng_stats stats;
	unsigned seed = 1;
	struct heard h;
	(void)state;

	assert_non_null(file);
	for (int round = 0; round < 20000; round++) {
		_cleanup_strbuf_ struct strbuf why = {0};

		memcpy(file, writer.to.s, writer.to.len);
		for (int n = 1 + rand_r(&seed) % 4; n; n--)
			file[(size_t)rand_r(&seed) % writer.to.len] = (char)rand_r(&seed);
		(void)read_it(file, writer.to.len, &h, &stats, &why);
	}
}

/* One journal block in a section of its own. */
static void file_of(const char *entry, struct strbuf *file)
{
	uint32_t section[] = {PCAPNG_SECTION, 28, PCAPNG_BYTE_ORDER, 1, UINT32_MAX, UINT32_MAX, 28};
	uint32_t len = (uint32_t)(strlen(entry) + 3) & ~3u;
	uint32_t head[] = {PCAPNG_JOURNAL, len + 12}, tail = len + 12;

	strbuf_addn(file, (char *)section, sizeof(section));
	strbuf_addn(file, (char *)head, sizeof(head));
	strbuf_addn(file, entry, strlen(entry));
	strbuf_addn(file, "\0\0\0", len - strlen(entry));
	strbuf_addn(file, (char *)&tail, sizeof(tail));
}

static void other_versions_and_nonsense(void **state)
{
	static const struct {
		const char *entry, *why;
		unsigned records, unknown, bad;
	} cases[] = {
		{"TCPWHY_TYPE=record\nTCPWHY_KIND=drop\nTCPWHY_AURA=1\nTCPWHY_CPU=3\n", NULL, 1, 0,
		 0},
		{"TCPWHY_TYPE=record\nTCPWHY_KIND=telepathy\nTCPWHY_CPU=x\n", NULL, 0, 1, 0},
		{"TCPWHY_TYPE=record\nTCPWHY_KIND=drop\nTCPWHY_CPU=x\n", "TCPWHY_CPU=x", 0, 0, 1},
		{"TCPWHY_TYPE=record\nTCPWHY_CPU=1\n", "no kind", 0, 0, 1},
		{"TCPWHY_TYPE=surprise\n", NULL, 0, 0, 0},
		{"MESSAGE=hello\n", NULL, 0, 0, 0},
		{"=\n", NULL, 0, 0, 0},
		{"TCPWHY_TYPE\n1234567", NULL, 0, 0, 0},
		{"TCPWHY_TYPE\n\xff\xff\xff\xff\xff\xff\xff\xff", NULL, 0, 0, 0},
	};
	(void)state;

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		_cleanup_strbuf_ struct strbuf file = {0};
		_cleanup_strbuf_ struct strbuf why = {0};
		struct pcapng_stats stats;
		struct heard h;

		file_of(cases[i].entry, &file);
		assert_int_equal(read_it(file.s, file.len, &h, &stats, &why), 0);
		assert_int_equal(stats.records, cases[i].records);
		assert_int_equal(stats.unknown, cases[i].unknown);
		assert_int_equal(stats.bad, cases[i].bad);
		assert_true(cases[i].why ? why.s && strstr(why.s, cases[i].why) : !why.s);
	}
}

static void other_files_are_refused(void **state)
{
	static const struct {
		const char *file, *why;
	} cases[] = {
		{"#!/bin/sh\nexit 0\n", "this is neither a recording nor a capture (pcapng, pcap): "
					"no section begins"},
		{"\x1f\x8b\x08 and more", "this file is compressed; unpack it with gunzip"},
	};
	(void)state;

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		_cleanup_strbuf_ struct strbuf why = {0};
		struct pcapng_stats stats;
		struct heard h;

		assert_int_equal(read_it(cases[i].file, strlen(cases[i].file), &h, &stats, &why),
				 -EBADMSG);
		assert_memory_equal(why.s, cases[i].why, strlen(cases[i].why));
	}
}

static void swap(char *file, size_t at)
{
	uint32_t v;

	memcpy(&v, file + at, sizeof(v));
	v = __builtin_bswap32(v);
	memcpy(file + at, &v, sizeof(v));
}

/* Of a machine with the other byte order: only what the reader looks at is swapped here. */
static void either_byte_order_is_read(void **state)
{
	_cleanup_free_ char *file = malloc(writer.to.len);
	_cleanup_strbuf_ struct strbuf why = {0};
	struct pcapng_stats stats;
	struct heard h;
	uint32_t len;
	(void)state;

	assert_non_null(file);
	memcpy(file, writer.to.s, writer.to.len);
	for (size_t at = 0; at < writer.to.len; at += len) {
		memcpy(&len, writer.to.s + at + 4, sizeof(len));
		swap(file, at);
		swap(file, at + 4);
		swap(file, at + len - 4);
	}
	swap(file, 8);
	assert_int_equal(read_it(file, writer.to.len, &h, &stats, &why), 0);
	assert_int_equal(stats.records, 2);
	assert_memory_equal(&h.last[1], &packet, packet.hdr.size);
}

/* ---- the packets ----------------------------------------------------------------------------- */

static void headers_are_those_of_the_wire(void **state)
{
	static const uint8_t start[] = {0x45, 0, 0, 160, 0, 0, 0, 0, 64, 6};
	_cleanup_strbuf_ struct strbuf bytes = {0};
	const uint8_t *b;
	uint32_t sum = 0;
	(void)state;

	assert_int_equal(packet_bytes(&packet.event.pkt, &bytes), 160);
	assert_int_equal(bytes.len, 20 + 20 + 12);
	b = (const uint8_t *)bytes.s;
	assert_memory_equal(b, start, sizeof(start));
	for (int i = 0; i < 20; i += 2)
		sum += (uint32_t)(b[i] << 8 | b[i + 1]);
	assert_int_equal((sum & 0xffff) + (sum >> 16), 0xffff);
	assert_int_equal(b[20] << 8 | b[21], 40000);
	assert_int_equal(b[32] >> 4, 8); /* words of its header */
	assert_int_equal(b[33], TCPHDR_ACK);
}

static void hardly_known_packets_are_none(void **state)
{
	_cleanup_strbuf_ struct strbuf bytes = {0};
	struct rec_packet p = packet.event.pkt;
	(void)state;

	p.icmp_src[15] = 1; /* quoted in an error */
	assert_int_equal(packet_bytes(&p, &bytes), 0);
	p = (struct rec_packet){.has = PKT_L4, .tuple = p.tuple};
	assert_int_equal(packet_bytes(&p, &bytes), 0);
	p = (struct rec_packet){.has = PKT_L3, .tuple = {.family = 6, .proto = IPPROTO_TCP}};
	assert_int_equal(packet_bytes(&p, &bytes), 40);
	assert_int_equal(bytes.len, 40);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_was_written_is_read),
		cmocka_unit_test(truncations_are_told),
		cmocka_unit_test(damage_is_survived),
		cmocka_unit_test(other_versions_and_nonsense),
		cmocka_unit_test(other_files_are_refused),
		cmocka_unit_test(either_byte_order_is_read),
		cmocka_unit_test(headers_are_those_of_the_wire),
		cmocka_unit_test(hardly_known_packets_are_none),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
