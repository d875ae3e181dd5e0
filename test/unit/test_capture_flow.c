/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Captures of other programs: what their connections show, and near misses of that. */
#include "timeline_fixture.h"

#include "source/capture_flow.h"

#define MS NSEC_PER_MSEC
#define PSH 8

/* A segment: after so many milliseconds, by the client or else the server. */
struct seg {
	unsigned ms;
	bool client;
	uint8_t flags;
	uint32_t seq, ack, payload;
	const char *icmp; /* "3/1": instead, an error about it */
};

#define C true
#define S false
#define HANDSHAKE                                      \
	{0, C, SYN, 100}, {1, S, SYN | ACK, 500, 101}, \
	{                                              \
		2, C, ACK, 101, 501                    \
	}
#define REQUEST                          \
	{3, C, PSH | ACK, 101, 501, 10}, \
	{                                \
		4, S, ACK, 501, 111      \
	}

struct heard {
	char text[256];
	struct rec_captured last;
	unsigned n;
};

static int hear(void *arg, const struct rec_hdr *rec)
{
	struct heard *h = arg;
	size_t at = strlen(h->text);

	assert_int_equal(record_validate(rec, rec->size), 0);
	memcpy(&h->last, rec, sizeof(h->last));
	snprintf(h->text + at, sizeof(h->text) - at, "%s%s", at ? " " : "",
		 captured_what_name(h->last.event.step));
	h->n++;
	return 0;
}

static struct capture_packet made(const struct seg *s)
{
	struct rec_tuple there = tcp("10.0.0.1", 40000, "10.0.0.2", 80);
	struct capture_packet p = {.ns = (1000 + s->ms) * MS,
				   .tuple = s->client ? there : tuple_reverse(&there),
				   .seq = s->seq,
				   .ack = s->ack,
				   .payload = s->payload,
				   .flags = s->flags,
				   .ttl = 60};

	if (s->icmp) {
		p.icmp = true;
		p.icmp_type = (uint8_t)strtoul(s->icmp, NULL, 10);
		p.icmp_code = (uint8_t)strtoul(strchr(s->icmp, '/') + 1, NULL, 10);
	}
	return p;
}

/* direction: 'b' both, or what only one end sent, 'c' or 's'; twice: each packet, a moment later, again. */
static void play(const struct seg *segs, size_t n, char direction, bool twice, struct heard *h)
{
	struct capture_flows *f;

	*h = (struct heard){0};
	assert_int_equal(capture_flows_new(hear, h, &f), 0);
	for (size_t i = 0; i < n; i++) {
		struct capture_packet p = made(&segs[i]);

		if (direction != 'b' && segs[i].client != (direction == 'c'))
			continue;
		assert_int_equal(capture_flows_take(f, &p), 0);
		p.ns += MS / 10;
		p.ttl--;
		if (twice)
			assert_int_equal(capture_flows_take(f, &p), 0);
	}
	assert_int_equal(capture_flows_end(f), 0);
	capture_flows_free(f);
}

struct shown {
	const char *what;
	const char *shows;
	struct seg segs[16];
	/* What is shown by one direction alone, if that is something else; NULL: the same or nothing. */
	const char *client_only, *server_only;
};

static void shown_by(const struct shown *c, char direction, bool twice, const char *wanted)
{
	struct heard h;
	size_t n = 0;

	while (n < ARRAY_SIZE(c->segs) && (n == 0 || c->segs[n].ms))
		n++;
	play(c->segs, n, direction, twice, &h);
	if (wanted ? strcmp(h.text, wanted) != 0 : *h.text && strcmp(h.text, c->shows) != 0)
		fail_msg("%s (%c%s): shows \"%s\"", c->what, direction, twice ? ", twice" : "",
			 h.text);
}

static const struct shown connections[] = {
	{"refused", "refused", {{0, C, SYN, 100}, {1, S, RST | ACK, 0, 101}}, "", "reset-alone"},
	{"refused, in the wrong order",
	 "refused",
	 {{0, S, RST | ACK, 0, 101}, {1, C, SYN, 100}},
	 "",
	 "reset-alone"},
	{"refused again and again",
	 "refused",
	 {{0, C, SYN, 100},
	  {1, S, RST | ACK, 0, 101},
	  {500, C, SYN, 100},
	  {501, S, RST | ACK, 0, 101}},
	 "unanswered",
	 "reset-alone"},
	{"refused, then let in",
	 "",
	 {{0, C, SYN, 100},
	  {1, S, RST | ACK, 0, 101},
	  {500, C, SYN, 100},
	  {501, S, SYN | ACK, 500, 101},
	  {502, C, ACK, 101, 501}},
	 "",
	 "reset-alone"},
	{"a reset that doesn't acknowledge the SYN",
	 "",
	 {{0, C, SYN, 100}, {1, S, RST | ACK, 0, 7}, {1000, C, SYN, 100}},
	 "unanswered",
	 "reset-alone"},
	{"one SYN", "", {{0, C, SYN, 100}}},
	{"unanswered", "unanswered", {{0, C, SYN, 100}, {1000, C, SYN, 100}, {3000, C, SYN, 100}}},
	{"answered late",
	 "",
	 {{0, C, SYN, 100}, {1000, C, SYN, 100}, {1001, S, SYN | ACK, 500, 101}},
	 "unanswered",
	 ""},
	{"both begin",
	 "",
	 {{0, C, SYN, 100}, {1, S, SYN, 500}, {1000, C, SYN, 100}, {1001, S, SYN, 500}},
	 "unanswered",
	 "unanswered"},
	{"healthy",
	 "",
	 {HANDSHAKE,
	  REQUEST,
	  {5, C, FIN | ACK, 111, 501},
	  {6, S, FIN | ACK, 501, 112},
	  {7, C, ACK, 112, 502}}},
	{"a scan: half open, and given up",
	 "",
	 {{0, C, SYN, 100}, {1, S, SYN | ACK, 500, 101}, {2, C, RST, 101}}},
	{"reset", "reset", {HANDSHAKE, REQUEST, {9, S, RST | ACK, 501, 111}}, "", "reset"},
	{"reset by the client",
	 "reset",
	 {HANDSHAKE, REQUEST, {9, C, RST | ACK, 111, 501}},
	 "reset",
	 ""},
	{"reset behind what is still on its way",
	 "reset",
	 {HANDSHAKE, REQUEST, {9, S, RST | ACK, 511, 111}, {10, S, PSH | ACK, 501, 111, 10}},
	 "",
	 "reset"},
	{"reset, from the middle on",
	 "reset",
	 {{0, C, PSH | ACK, 111, 501, 10}, {1, S, RST, 501}},
	 "",
	 "reset-alone"},
	{"a reset alone", "reset-alone", {{0, S, RST, 501}}, ""},
	{"reset after both have closed",
	 "",
	 {HANDSHAKE, {5, C, FIN | ACK, 101, 501}, {6, S, FIN | ACK, 501, 102}, {7, C, RST, 102}},
	 "reset",
	 ""},
	{"forged, and the connection lives",
	 "",
	 {HANDSHAKE,
	  REQUEST,
	  {9, S, RST, 501},
	  {70, S, PSH | ACK, 501, 111, 5},
	  {71, C, ACK, 111, 506}},
	 "",
	 ""},
	{"out of the window, and challenged, and the connection lives",
	 "",
	 {HANDSHAKE,
	  REQUEST,
	  {9, S, RST, 9000},
	  {10, C, ACK, 111, 501},
	  {90, S, PSH | ACK, 501, 111, 5}},
	 "",
	 ""},
	{"out of the window, and the connection goes on at once",
	 "",
	 {HANDSHAKE,
	  REQUEST,
	  {9, S, RST, 9000},
	  {10, C, PSH | ACK, 111, 501, 5},
	  {11, S, PSH | ACK, 501, 116, 5}}},
	{"forged, and what came since is acknowledged",
	 "",
	 {HANDSHAKE,
	  REQUEST,
	  {9, S, RST, 9000},
	  {10, C, PSH | ACK, 111, 501, 5},
	  {11, S, ACK, 501, 116}}},
	{"out of the window, then closed",
	 "",
	 {HANDSHAKE,
	  REQUEST,
	  {9, S, RST, 9000},
	  {10, S, FIN | ACK, 501, 111},
	  {11, C, FIN | ACK, 111, 502}}},
	{"out of the window, challenged, then right",
	 "reset",
	 {HANDSHAKE, REQUEST, {9, S, RST, 9000}, {10, C, ACK, 111, 501}, {11, S, RST, 501}},
	 "",
	 "reset"},
	{"collision",
	 "collision",
	 {HANDSHAKE,
	  {5000, C, SYN, 90000},
	  {5001, S, ACK, 501, 101},
	  {5002, C, RST, 101},
	  {6000, C, SYN, 90000},
	  {6001, S, SYN | ACK, 7000, 90001}},
	 "unanswered",
	 ""},
	{"collision, and nothing helps",
	 "collision",
	 {{0, C, SYN, 90000},
	  {1, S, ACK, 501, 101},
	  {1000, C, SYN, 90000},
	  {1001, S, ACK, 501, 101}},
	 "unanswered",
	 ""},
	{"an old ACK, and all is well",
	 "",
	 {HANDSHAKE,
	  {5000, C, SYN, 90000},
	  {5001, S, ACK, 501, 101},
	  {5002, S, SYN | ACK, 7000, 90001}}},
	{"the same port again",
	 "",
	 {HANDSHAKE,
	  {5, C, FIN | ACK, 101, 501},
	  {6, S, FIN | ACK, 501, 102},
	  {9, C, SYN, 9000},
	  {10, S, SYN | ACK, 800, 9001},
	  {11, C, ACK, 9001, 801}}},
	{"no host", "icmp-error", {{0, C, SYN, 100}, {3000, C, SYN, 100, .icmp = "3/1"}}},
	{"no host, it says, and yet",
	 "",
	 {{0, C, SYN, 100},
	  {1, C, SYN, 100, .icmp = "3/1"},
	  {2, S, SYN | ACK, 500, 101},
	  {3, C, ACK, 101, 501}}},
	{"an error about another SYN", "", {{0, C, SYN, 100}, {3000, C, SYN, 77, .icmp = "3/1"}}},
	{"traceroute", "", {{0, C, SYN, 100}, {1, C, SYN, 100, .icmp = "11/0"}}},
	{"path MTU discovery", "", {HANDSHAKE, {5, C, ACK, 101, 501, .icmp = "3/4"}}},
	{"a SYN-ACK that was not captured",
	 "",
	 {{0, C, SYN, 100}, {1000, C, SYN, 100}, {1002, C, ACK, 101, 501}, {1003, S, ACK, 501, 111}},
	 "",
	 ""},
};

static void connections_show(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(connections); i++) {
		const struct shown *c = &connections[i];

		shown_by(c, 'b', false, c->shows);
		shown_by(c, 'b', true, c->shows); /* captured on two interfaces */
		shown_by(c, 'c', false, c->client_only);
		shown_by(c, 's', false, c->server_only);
	}
}

/* ---- verdicts -------------------------------------------------------------------------------- */

static const char *verdict_of(struct story *s, const char *what)
{
	for (size_t i = 0; i < ARRAY_SIZE(connections); i++) {
		const struct shown *c = &connections[i];
		struct rec_hdr **slot;
		struct heard h;
		size_t n = 0;

		if (strcmp(c->what, what) != 0)
			continue;
		while (n < ARRAY_SIZE(c->segs) && (n == 0 || c->segs[n].ms))
			n++;
		play(c->segs, n, 'b', false, &h);
		assert_int_equal(h.n, 1);
		slot = vec_push(&s->tl.recs);
		assert_non_null(slot);
		*slot = malloc(sizeof(h.last));
		assert_non_null(*slot);
		memcpy(*slot, &h.last, sizeof(h.last));
		return story_judge(s);
	}
	return "no such connection";
}

static void verdicts_are_likely_at_most(void **state)
{
	static const struct {
		const char *what, *verdict, *says;
	} cases[] = {
		{"refused", "connect-refused, likely",
		 "it acknowledges the SYN, and came 1 ms after it"},
		{"unanswered", "syn-unanswered, likely", "3 times within 3.0 s"},
		{"reset", "peer-reset, likely", "and 3 with 10 from 10.0.0.1:40000"},
		{"reset", "peer-reset, likely",
		 "the form in which a socket ends its own connection"},
		{"reset, from the middle on", "peer-reset, likely",
		 "beginning is not in the capture"},
		{"reset, from the middle on", "peer-reset, likely", "who knows no such connection"},
		{"a reset alone", "unknown, unknown", "nothing of its connection before"},
		{"collision", "challenge-ack, likely", "the old connection is in the capture"},
		{"no host", "connect-unreachable, likely", "host unreachable"},
	};
	(void)state;

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct story s;

		story_start(&s);
		assert_string_equal(verdict_of(&s, cases[i].what), cases[i].verdict);
		if (!story_says(&s, cases[i].says))
			fail_msg("%s: does not say \"%s\"", cases[i].what, cases[i].says);
		story_end(&s);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(connections_show),
		cmocka_unit_test(verdicts_are_likely_at_most),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
