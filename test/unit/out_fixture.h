/* SPDX-License-Identifier: GPL-2.0-or-later */
/* For the tests of the outputs: something to print, and what was printed. */
#ifndef TCPWHY_TEST_OUT_FIXTURE_H
#define TCPWHY_TEST_OUT_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "out/fields_out.h"

#include <arpa/inet.h>
#include <jansson.h>
#include <netinet/in.h>
#include <time.h>

/* 2026-11-21 14:03:04.113 UTC; main() sets the time zone. */
#define WALL (1795269784ull * 1000000000ull + 113000000ull)

/* ---- what an output function printed --------------------------------------------------------- */

struct capture {
	struct out_options o;
	char *text;
	size_t len;
};

static void capture_start(struct capture *c)
{
	*c = (struct capture){.o = {.width = 100}};
	c->o.to = open_memstream(&c->text, &c->len);
	assert_non_null(c->o.to);
}

static const char *capture_text(struct capture *c)
{
	fflush(c->o.to);
	return c->text;
}

static void capture_end(struct capture *c)
{
	fclose(c->o.to);
	free(c->text);
}

/* The one line, parsed; the caller gives it back with json_decref(). */
static json_t *capture_json(struct capture *c)
{
	const char *text = capture_text(c);
	json_error_t error;
	json_t *line;

	assert_true(c->len > 0);
	assert_ptr_equal(strchr(text, '\n'), text + c->len - 1);
	line = json_loads(text, JSON_REJECT_DUPLICATES, &error);
	if (!line)
		fail_msg("%s in %s", error.text, text);
	return line;
}

static const char *json_text(const json_t *object, const char *key)
{
	const json_t *value = json_object_get(object, key);

	if (!json_is_string(value))
		fail_msg("%s is no string", key);
	return json_string_value(value);
}

static json_int_t json_number(const json_t *object, const char *key)
{
	const json_t *value = json_object_get(object, key);

	if (!json_is_integer(value))
		fail_msg("%s is no integer", key);
	return json_integer_value(value);
}

/* ---- something to print ---------------------------------------------------------------------- */

static struct rec_tuple tuple_make(uint8_t proto, const char *src, uint16_t sport, const char *dst,
				   uint16_t dport)
{
	struct rec_tuple t = {.sport = sport, .dport = dport, .family = 4, .proto = proto};

	t.src[10] = t.src[11] = t.dst[10] = t.dst[11] = 0xff;
	assert_int_equal(inet_pton(AF_INET, src, t.src + 12), 1);
	assert_int_equal(inet_pton(AF_INET, dst, t.dst + 12), 1);
	return t;
}

static __attribute__((unused)) struct verdict verdict_make(void)
{
	struct verdict v = {
		.id = 1,
		.mono_ns = 5000000000,
		.wall_ns = WALL,
		.cause = "conntrack-invalid",
		.certainty = CERTAINTY_CERTAIN,
		.event = "reset sent by this host",
		.flow = tuple_make(IPPROTO_TCP, "10.21.17.99", 39700, "36.110.213.207", 443),
		.netns = 4026531840,
		.netns_name = "host",
		.ifname = "eth0",
		.events = 2,
	};

	verdict_explain(&v,
			"An ACK (%d, %d bytes behind) was outside conntrack's window for this "
			"connection, so it",
			530104, 2600);
	verdict_explain(&v, "became INVALID and its NAT was not undone.");
	verdict_evidence(&v, "tcp_v4_send_reset <- tcp_v4_rcv+0x596, no socket, packet has no "
			     "conntrack entry, and so "
			     "nobody translated its addresses");
	verdict_evidence(&v, "conntrack holds 172.17.0.2:39700 -> 36.110.213.207:443 ESTABLISHED");
	verdict_hit(&v, "pid 8123 java, container packager");
	verdict_fix(&v,
		    "out-of-window packets keep their NAT; conntrack stops judging TCP windows in "
		    "this namespace",
		    "sysctl -w net.netfilter.nf_conntrack_tcp_be_liberal=%d", 1);
	verdict_fix(&v,
		    "coarser: also drops FINs and other packets that conntrack wrongly calls "
		    "INVALID",
		    "iptables -I INPUT -m conntrack --ctstate INVALID -j DROP");
	return v;
}

/* A SYN that left, a second one that was dropped, and a reset. */
static inline struct ledger ledger_make(void)
{
	struct ledger l = {.known = true,
			   .over = true,
			   .err = ECONNREFUSED,
			   .end_wall_ns = WALL,
			   .pid = 7,
			   .comm = "curl",
			   .container = "docker web",
			   .took_ns = 1500000000};
	struct ledger_answer *a;
	struct ledger_syn *s;

	l.flow = tuple_make(IPPROTO_TCP, "10.0.0.2", 39700, "10.0.0.3", 80);
	for (unsigned i = 0; i < 2; i++) {
		s = vec_push(&l.syns);
		assert_non_null(s);
		*s = (struct ledger_syn){.after_ns = i * NSEC_PER_SEC,
					 .fate = i ? SYN_DROPPED : SYN_LEFT,
					 .ifname = "eth0",
					 .by = i ? strdup("here: QDISC_DROP") : NULL};
	}
	a = vec_push(&l.answers);
	assert_non_null(a);
	*a = (struct ledger_answer){.after_ns = 1500000000,
				    .what = strdup("reset from 10.0.0.3:80"),
				    .taken = "accepted"};
	return l;
}

static __attribute__((unused)) struct rec_event event_make(unsigned kind)
{
	struct rec_event e = {
		.hdr = {REC_MAGIC, REC_VERSION, (u16)kind, sizeof(e), 4026531840, 7, 5000000000,
			WALL},
		.ifname = "eth0",
		.ifindex = 2,
		.pkt = {.tuple = tuple_make(IPPROTO_TCP, "10.0.0.2", 39700, "10.0.0.3", 80),
			.has = PKT_L3 | PKT_L4,
			.ttl = 64,
			.ip_len = 52,
			.seq = 4000000000,
			.ack = 2,
			.window = 501,
			.tcp_flags = 0x10,
			.ctinfo = CTINFO_NONE},
	};

	return e;
}

/* Symbols below 0x1000 are f+address. */
static __attribute__((unused)) const struct rec_symbol *symbol_find(void *arg, uint64_t addr)
{
	struct rec_symbol *sym = arg;

	if (addr >= 0x1000)
		return NULL;
	str_copy(sym->name, sizeof(sym->name), "tcp_v4_rcv");
	str_copy(sym->module, sizeof(sym->module), addr >= 0x800 ? "nf_tables" : "");
	sym->offset = addr;
	return sym;
}

#endif
