/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "out_fixture.h"

/* ---- verdicts -------------------------------------------------------------------------------- */

static void text_verdict_reads_like_a_compiler_error(void **state)
{
	static const char want[] =
		"14:03:04.113  reset sent by this host  10.21.17.99:39700 -> 36.110.213.207:443  "
		"eth0  netns host\n"
		"  cause     conntrack-invalid (certain)\n"
		"            An ACK (530104, 2600 bytes behind) was outside conntrack's window for "
		"this connection,\n"
		"            so it became INVALID and its NAT was not undone.\n"
		"  evidence  tcp_v4_send_reset <- tcp_v4_rcv+0x596, no socket, packet has no "
		"conntrack entry, and so\n"
		"              nobody translated its addresses\n"
		"            conntrack holds 172.17.0.2:39700 -> 36.110.213.207:443 ESTABLISHED\n"
		"  hit       pid 8123 java, container packager\n"
		"  fix       sysctl -w net.netfilter.nf_conntrack_tcp_be_liberal=1\n"
		"              out-of-window packets keep their NAT; conntrack stops judging TCP "
		"windows in this\n"
		"              namespace\n"
		"            iptables -I INPUT -m conntrack --ctstate INVALID -j DROP\n"
		"              coarser: also drops FINs and other packets that conntrack wrongly "
		"calls INVALID\n"
		"\n";
	_cleanup_verdict_ struct verdict v = verdict_make();
	struct capture c;
	(void)state;

	capture_start(&c);
	text_verdict(&c.o, &v);
	assert_string_equal(capture_text(&c), want);
	capture_end(&c);
}

static void text_verdict_has_the_ledger_of_a_connect(void **state)
{
	static const char want[] = "  connect   10.0.0.2:39700 -> 10.0.0.3:80, pid 7 curl in "
				   "docker web\n"
				   "            SYN at 0: left through eth0\n"
				   "            SYN at 1.00 s: left through eth0, then dropped "
				   "here: QDISC_DROP\n"
				   "            reset from 10.0.0.3:80 after 1.50 s: accepted\n"
				   "            ECONNREFUSED after 1.50 s\n";
	_cleanup_verdict_ struct verdict v = verdict_make();
	struct capture c;
	(void)state;

	v.connect = ledger_make();
	capture_start(&c);
	text_verdict(&c.o, &v);
	assert_non_null(strstr(capture_text(&c), want));
	capture_end(&c);
	capture_start(&c);
	text_connect_end(&c.o, &v, &v.connect);
	assert_true(strncmp(capture_text(&c),
			    "14:03:04.113  connect() failed  10.0.0.2:39700 -> 10.0.0.3:80  "
			    "(conntrack-invalid, above)\n  connect   10.0.0.2",
			    80) == 0);
	assert_non_null(strstr(capture_text(&c), want));
	capture_end(&c);
}

static void text_verdict_fits_the_width(void **state)
{
	_cleanup_verdict_ struct verdict v = verdict_make();
	struct capture c;
	(void)state;

	capture_start(&c);
	c.o.width = 60;
	verdict_evidence(&v, "%s",
			 "a-word-that-is-much-longer-than-the-terminal-is-wide-stays-as-it-is, "
			 "since it may be a path");
	text_verdict(&c.o, &v);
	for (const char *line = capture_text(&c); *line; line = strchr(line, '\n') + 1) {
		size_t len = strcspn(line, "\n");
		bool whole = strstr(line, "a-word") == line + 12 || strstr(line, "14:") == line ||
			     strstr(line, "sysctl") == line + 12 ||
			     strstr(line, "iptables") == line + 12;

		assert_true(len <= 60 || whole);
	}
	capture_end(&c);
}

static void text_verdict_has_colors_only_when_asked(void **state)
{
	_cleanup_verdict_ struct verdict v = verdict_make();
	struct capture c;
	(void)state;

	capture_start(&c);
	text_verdict(&c.o, &v);
	assert_null(strchr(capture_text(&c), '\033'));
	c.o.color = true;
	text_verdict(&c.o, &v);
	assert_non_null(strstr(capture_text(&c), "\033[31mconntrack-invalid (certain)\033[0m"));
	assert_non_null(strstr(capture_text(&c), "\033[32msysctl"));
	v.certainty = CERTAINTY_LIKELY;
	text_verdict(&c.o, &v);
	assert_non_null(strstr(capture_text(&c), "\033[33mconntrack-invalid (likely)\033[0m"));
	capture_end(&c);
}

static void text_verdict_can_do_with_little(void **state)
{
	struct verdict v = {.cause = "unknown", .event = "socket error reported", .wall_ns = WALL};
	struct capture c;
	(void)state;

	capture_start(&c);
	text_verdict(&c.o, &v);
	assert_string_equal(capture_text(&c), "14:03:04.113  socket error reported\n"
					      "  cause     unknown (unknown)\n"
					      "\n");
	capture_end(&c);
}

static void repeats_say_how_often(void **state)
{
	_cleanup_verdict_ struct verdict v = verdict_make();
	struct capture c;
	json_t *line;
	(void)state;

	v.cause = "no-listener";
	v.flow = tuple_make(IPPROTO_TCP, "10.0.0.2", 39700, "10.0.0.3", 80);
	capture_start(&c);
	text_repeat(&c.o, &v, 7, 8);
	assert_string_equal(capture_text(&c), "14:03:04  again  no-listener 10.0.0.2 -> "
					      "10.0.0.3:80: 7 more (at least 8 in all)\n");
	capture_end(&c);
	capture_start(&c);
	jsonl_repeat(&c.o, &v, 7, 8);
	line = capture_json(&c);
	assert_string_equal(json_text(line, "type"), "repeat");
	assert_int_equal(json_number(line, "verdict"), 1);
	assert_string_equal(json_text(line, "cause"), "no-listener");
	assert_int_equal(json_number(line, "count"), 7);
	assert_int_equal(json_number(line, "total"), 8);
	json_decref(line);
	capture_end(&c);
}

/* ---- records --------------------------------------------------------------------------------- */

static void text_record_is_one_line(void **state)
{
	struct rec_event e = event_make(REC_DROP);
	struct rec_symbol sym = {0};
	struct out_symbols syms = {symbol_find, &sym};
	struct capture c;
	(void)state;

	e.has_reason = 1;
	e.reason = 3;
	str_copy(e.reason_name, sizeof(e.reason_name), "NO_SOCKET");
	e.location = 0x596;
	e.nr_kstack = 2;
	e.kstack[0] = 0x596;
	e.kstack[1] = 0x801;
	capture_start(&c);
	text_record(&c.o, &e.hdr, &syms);
	assert_string_equal(capture_text(&c), "14:03:04.113  packet dropped  10.0.0.2:39700 -> "
					      "10.0.0.3:80  eth0  netns 4026531840  "
					      "at=tcp_v4_rcv+0x596 reason=NO_SOCKET flags=ACK "
					      "seq=4000000000 ack=2 payload=0 ctinfo=none\n");
	capture_end(&c);
	capture_start(&c);
	c.o.stacks = true;
	text_record(&c.o, &e.hdr, &syms);
	assert_non_null(strstr(capture_text(&c), "ctinfo=none\n"
						 "  kernel_stack      tcp_v4_rcv+0x596             "
						 "       TCP receives\n"
						 "                    tcp_v4_rcv+0x801 [nf_tables] "
						 "       TCP receives\n"));
	capture_end(&c);
}

static void records_of_lookups(void **state)
{
	struct rec_ct ct = {.hdr = {REC_MAGIC, REC_VERSION, REC_CT, sizeof(ct), 0, 1, 2, WALL},
			    .question = 9};
	struct capture c;
	json_t *line;
	(void)state;

	capture_start(&c);
	jsonl_record(&c.o, &ct.hdr, NULL);
	line = capture_json(&c);
	assert_true(json_is_false(json_object_get(line, "found")));
	assert_null(json_object_get(line, "original"));
	json_decref(line);
	capture_end(&c);

	ct.found = 1;
	ct.orig = tuple_make(IPPROTO_TCP, "172.17.0.2", 39700, "36.110.213.207", 443);
	ct.reply = tuple_make(IPPROTO_TCP, "36.110.213.207", 443, "10.21.17.99", 39700);
	ct.tcp_state = 3;
	ct.status = 0x18e;
	capture_start(&c);
	text_record(&c.o, &ct.hdr, NULL);
	assert_string_equal(capture_text(&c), "14:03:04.113  conntrack entry looked up  "
					      "172.17.0.2:39700 -> 36.110.213.207:443  "
					      "found=yes reply=\"36.110.213.207:443 -> "
					      "10.21.17.99:39700\" reply_direction=no "
					      "state=ESTABLISHED "
					      "status=SEEN_REPLY,ASSURED,CONFIRMED,SRC_NAT_DONE,"
					      "DST_NAT_DONE timeout_s=0\n");
	capture_end(&c);
}

/* ---- summaries ------------------------------------------------------------------------------- */

static void summary_of_a_quiet_watch(void **state)
{
	struct out_summary s = {.duration_ns = 3};
	struct capture c;
	json_t *line;
	(void)state;

	capture_start(&c);
	text_summary(&c.o, &s);
	assert_string_equal(capture_text(&c), "Nothing failed.\n"
					      "events: 0 seen = 0 shown + 0 suppressed (rate "
					      "limit) + 0 lost\n");
	capture_end(&c);
	s.command = true;
	capture_start(&c);
	text_summary(&c.o, &s);
	assert_ptr_equal(strstr(capture_text(&c), "The command exited with 0; none of its "
						  "connections failed.\n"),
			 capture_text(&c));
	capture_end(&c);
	capture_start(&c);
	jsonl_summary(&c.o, &s);
	line = capture_json(&c);
	assert_int_equal(json_number(line, "command_status"), 0);
	assert_int_equal(json_object_size(json_object_get(line, "verdicts")), 0);
	json_decref(line);
	capture_end(&c);
}

static void summary_counts_everything(void **state)
{
	struct out_summary s = {
		.seen = 1234, .shown = 20, .suppressed = 1214, .questions_unanswered = 3};
	struct out_count *count = vec_push(&s.counts);
	struct capture c;
	json_t *line, *json;
	(void)state;

	assert_non_null(count);
	*count = (struct out_count){
		{.kind = REC_DROP, .proto = IPPROTO_UDP, .family = 4, .netns = 5},
		{.seen = 1230, .shown = 16, .suppressed = 1214},
		"NO_SOCKET",
		"udp_rcv+0x12",
		"host"};
	assert_non_null(vec_push(&s.counts)); /* what the kernel side had no room for: kind 0 */
	assert_non_null(vec_push(&s.verdicts));
	s.verdicts.v[0].cause = "no-listener";
	s.verdicts.v[0].incidents = 1;
	s.verdicts.v[0].events = 3;
	capture_start(&c);
	text_summary(&c.o, &s);
	assert_string_equal(capture_text(&c), "cause        incidents  events\n"
					      "no-listener          1       3\n"
					      "events: 1234 seen = 20 shown + 1214 suppressed "
					      "(rate limit) + 0 lost\n"
					      "        1230  packet dropped  udp  NO_SOCKET  at "
					      "udp_rcv+0x12  netns host\n"
					      "           0  others\n"
					      "lookups: 3 refused (rate limit)\n");
	capture_end(&c);
	capture_start(&c);
	jsonl_summary(&c.o, &s);
	line = capture_json(&c);
	assert_string_equal(json_text(line, "type"), "summary");
	assert_int_equal(json_number(line, "suppressed"), 1214);
	assert_int_equal(json_number(line, "lookups_refused"), 3);
	assert_null(json_object_get(line, "command_status"));
	json = json_object_get(json_object_get(line, "verdicts"), "no-listener");
	assert_int_equal(json_number(json, "events"), 3);
	json = json_array_get(json_object_get(line, "counts"), 0);
	assert_string_equal(json_text(json, "kind"), "drop");
	assert_string_equal(json_text(json, "location"), "udp_rcv+0x12");
	assert_string_equal(json_text(json_array_get(json_object_get(line, "counts"), 1), "kind"),
			    "other");
	json_decref(line);
	capture_end(&c);
	vec_free(&s.counts);
	vec_free(&s.verdicts);
}

/* ---- strangers ------------------------------------------------------------------------------- */

static void escapes_make_strings_harmless(void **state)
{
	static const struct {
		const char *raw, *text, *json;
	} cases[] = {
		{"caf\xc3\xa9", "caf\xc3\xa9", "caf\xc3\xa9"},
		{"\x1b[2J\n", "\\x1b[2J\\x0a", "\x1b[2J\n"},
		{"\x7f", "\\x7f", "\x7f"},
		{"\xc2\x9b"
		 "31m",
		 "\\u009b31m",
		 "\xc2\x9b"
		 "31m"},				     /* CSI in 8 bits */
		{"\xe2\x80\xae", "\\u202e", "\xe2\x80\xae"}, /* right-to-left override */
		{"\xff\xfe", "\\xff\\xfe", "\xef\xbf\xbd\xef\xbf\xbd"},
		{"\xc0\xaf", "\\xc0\\xaf", "\xef\xbf\xbd\xef\xbf\xbd"}, /* overlong */
		{"\xed\xa0\x80", "\\xed\\xa0\\x80",
		 "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"}, /* surrogate */
		{"\xf4\x90\x80\x80", "\\xf4\\x90\\x80\\x80",
		 "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"},
		{"\xf0\x9f\x98\x80", "\xf0\x9f\x98\x80", "\xf0\x9f\x98\x80"},
		{"x\xe2\x82", "x\\xe2\\x82", "x\xef\xbf\xbd\xef\xbf\xbd"}, /* cut */
	};
	(void)state;

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		_cleanup_strbuf_ struct strbuf text = {0}, json = {0};

		escape_text(cases[i].raw, &text);
		assert_string_equal(text.s, cases[i].text);
		escape_json(cases[i].raw, &json);
		assert_string_equal(json.s, cases[i].json);
	}
}

static bool has_controls(const char *s)
{
	for (; *s; s++)
		if (((uint8_t)*s < 0x20 && *s != '\n') || *s == 0x7f)
			return true;
	return false;
}

static const char evil[] = "\x1b[31m\xff\"\\\n\xc2\x9b";

static bool is_harmless(const char *s)
{
	for (; *s; s++)
		if (((uint8_t)*s < 0x20 && *s != '\n') || (uint8_t)*s >= 0x7f)
			return false;
	return true;
}

static void hostile_names_break_nothing(void **state)
{
	_cleanup_verdict_ struct verdict v = verdict_make();
	struct rec_event e = event_make(REC_CONNECT);
	struct capture c;
	json_t *line;
	(void)state;

	verdict_hit(&v, "pid 1 %s", evil);
	verdict_fix(&v, evil, "kill %s", evil);
	str_copy(v.netns_name, sizeof(v.netns_name), evil);
	str_copy(v.ifname, sizeof(v.ifname), evil);
	str_copy(e.task.comm, sizeof(e.task.comm), evil);
	str_copy(e.ifname, sizeof(e.ifname), evil);
	capture_start(&c);
	text_verdict(&c.o, &v);
	text_record(&c.o, &e.hdr, NULL);
	assert_true(is_harmless(capture_text(&c)));
	assert_non_null(strstr(capture_text(&c), "hit       pid 8123 java"));
	assert_non_null(strstr(capture_text(&c), "pid 1 \\x1b[31m\\xff\"\\\\x0a\\u009b\n"));
	capture_end(&c);
	capture_start(&c);
	jsonl_verdict(&c.o, &v);
	line = capture_json(&c);
	assert_true(is_harmless(capture_text(&c)));
	assert_string_equal(json_string_value(json_array_get(json_object_get(line, "hit"), 1)),
			    "pid 1 \x1b[31m\xef\xbf\xbd\"\\\n\xc2\x9b");
	json_decref(line);
	capture_end(&c);
	capture_start(&c);
	jsonl_record(&c.o, &e.hdr, NULL);
	line = capture_json(&c);
	assert_string_equal(json_text(line, "interface"), "\x1b[31m\xef\xbf\xbd\"\\\n\xc2\x9b");
	json_decref(line);
	capture_end(&c);
}

/* Whatever is valid can be printed: random bytes in each kind of record. */
static void random_records_can_be_printed(void **state)
{
	unsigned seed = 1;
	(void)state;

	for (int round = 0; round < 200; round++) {
		for (unsigned kind = REC_NONE + 1; kind < REC_KIND_COUNT; kind++) {
			size_t size = record_kind_size(kind);
			_cleanup_free_ uint8_t *bytes = malloc(size);
			struct rec_hdr *hdr = (struct rec_hdr *)bytes;
			struct capture c;

			assert_non_null(bytes);
			for (size_t i = 0; i < size; i++)
				bytes[i] = rand_r(&seed) % 3 ? 0 : (uint8_t)rand_r(&seed);
			hdr->magic = REC_MAGIC;
			hdr->version = REC_VERSION;
			hdr->kind = (u16)kind;
			hdr->size = (u32)size;
			if (record_validate(bytes, size) < 0)
				continue;
			capture_start(&c);
			jsonl_record(&c.o, hdr, NULL);
			json_decref(capture_json(&c));
			capture_end(&c);
			capture_start(&c);
			c.o.stacks = true;
			text_record(&c.o, hdr, NULL);
			assert_false(has_controls(capture_text(&c)));
			capture_end(&c);
		}
	}
}

static void connects_are_a_plot(void **state)
{
	struct out_connects c = {.key = {.netns = 4026531840u, .dport = 8080, .family = 4},
				 .value = {.connected = 83, .failed = 2, .max_ns = 1234567}};
	struct capture cap;
	(void)state;

	memcpy(c.key.dst, (const uint8_t[16]){[10] = 0xff, 0xff, 10, 0, 0, 3}, 16);
	c.value.buckets[7] = 80;
	c.value.buckets[9] = 2;
	c.value.buckets[10] = 1;
	capture_start(&cap);
	text_connects(&cap.o, &c);
	assert_string_equal(capture_text(&cap), "connect() to 10.0.0.3:8080 from netns 4026531840: "
						"83 connected, 2 "
						"failed, at most 1.2 ms\n"
						"    128 us "
						"████████████████████████████████████████ 80\n"
						"    256 us 0\n"
						"    512 us █ 2\n"
						"    1.0 ms ▌ 1\n");
	capture_end(&cap);
}

static void connects_that_all_failed_have_no_plot(void **state)
{
	struct out_connects c = {.value = {.failed = 2}, .netns = "client"};
	struct capture cap;
	(void)state;

	capture_start(&cap);
	text_connects(&cap.o, &c);
	assert_string_equal(capture_text(&cap), "connect() to other destinations from netns "
						"client: "
						"0 connected, 2 failed\n");
	capture_end(&cap);
}

static void a_full_device_is_no_crash(void **state)
{
	_cleanup_verdict_ struct verdict v = verdict_make();
	struct out_options o = {.to = fopen("/dev/full", "w")};
	(void)state;

	if (!o.to)
		skip();
	text_verdict(&o, &v);
	jsonl_verdict(&o, &v);
	assert_true(ferror(o.to));
	fclose(o.to);
}

static void the_same_evidence_is_told_once(void **state)
{
	struct verdict v = {0};

	(void)state;
	verdict_evidence(&v, "pid %d listens", 1);
	verdict_evidence(&v, "pid %d listens", 2);
	verdict_evidence(&v, "pid %d listens", 1);
	verdict_hit(&v, "pid 1");
	verdict_hit(&v, "pid 1");
	assert_int_equal(v.evidence.n, 2);
	assert_int_equal(v.hit.n, 1);
	verdict_free(&v);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(text_verdict_reads_like_a_compiler_error),
		cmocka_unit_test(the_same_evidence_is_told_once),
		cmocka_unit_test(text_verdict_has_the_ledger_of_a_connect),
		cmocka_unit_test(text_verdict_fits_the_width),
		cmocka_unit_test(text_verdict_has_colors_only_when_asked),
		cmocka_unit_test(text_verdict_can_do_with_little),
		cmocka_unit_test(repeats_say_how_often),
		cmocka_unit_test(text_record_is_one_line),
		cmocka_unit_test(records_of_lookups),
		cmocka_unit_test(summary_of_a_quiet_watch),
		cmocka_unit_test(summary_counts_everything),
		cmocka_unit_test(escapes_make_strings_harmless),
		cmocka_unit_test(hostile_names_break_nothing),
		cmocka_unit_test(random_records_can_be_printed),
		cmocka_unit_test(connects_are_a_plot),
		cmocka_unit_test(connects_that_all_failed_have_no_plot),
		cmocka_unit_test(a_full_device_is_no_crash),
	};

	setenv("TZ", "UTC", 1);
	tzset();
	return cmocka_run_group_tests_name("out", tests, NULL, NULL);
}
