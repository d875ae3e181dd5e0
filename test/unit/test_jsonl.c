/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "out_fixture.h"

static void jsonl_verdict_is_complete(void **state)
{
	_cleanup_verdict_ struct verdict v = verdict_make();
	struct capture c;
	json_t *line, *flow, *fix;
	(void)state;

	capture_start(&c);
	jsonl_verdict(&c.o, &v);
	line = capture_json(&c);
	assert_string_equal(json_text(line, "type"), "verdict");
	assert_int_equal(json_number(line, "id"), 1);
	assert_string_equal(json_text(line, "time"), "2026-11-21T14:03:04.113000000Z");
	assert_true(json_number(line, "mono_ns") == 5000000000);
	assert_string_equal(json_text(line, "cause"), "conntrack-invalid");
	assert_string_equal(json_text(line, "certainty"), "certain");
	assert_string_equal(json_text(line, "event"), "reset sent by this host");
	assert_int_equal(json_number(line, "count"), 2);
	assert_string_equal(json_text(line, "netns"), "host");
	assert_true(json_number(line, "netns_inum") == 4026531840);
	assert_string_equal(json_text(line, "interface"), "eth0");
	assert_string_equal(json_text(line, "explanation"), v.explanation);
	flow = json_object_get(line, "flow");
	assert_string_equal(json_text(flow, "proto"), "tcp");
	assert_int_equal(json_number(flow, "family"), 4);
	assert_string_equal(json_text(flow, "src"), "10.21.17.99");
	assert_int_equal(json_number(flow, "src_port"), 39700);
	assert_string_equal(json_text(flow, "dst"), "36.110.213.207");
	assert_int_equal(json_number(flow, "dst_port"), 443);
	assert_string_equal(json_text(flow, "community_id"), "1:cxq11gNhdwKeywFmxI4oQZxAbDg=");
	assert_int_equal(json_array_size(json_object_get(line, "evidence")), 2);
	assert_string_equal(json_string_value(json_array_get(json_object_get(line, "hit"), 0)),
			    v.hit.v[0]);
	fix = json_array_get(json_object_get(line, "fix"), 1);
	assert_string_equal(json_text(fix, "command"), v.fix.v[1].command);
	assert_string_equal(json_text(fix, "effect"), v.fix.v[1].effect);
	json_decref(line);
	capture_end(&c);
}

static void jsonl_record_of_a_drop(void **state)
{
	struct rec_event e = event_make(REC_DROP);
	struct rec_symbol sym = {0};
	struct out_symbols syms = {symbol_find, &sym};
	struct capture c;
	json_t *line, *packet;
	(void)state;

	e.has_reason = 1;
	e.reason = 3;
	str_copy(e.reason_name, sizeof(e.reason_name), "NO_SOCKET");
	e.location = 0xffffffff81000000;
	e.nr_kstack = 2;
	e.kstack[0] = 0x596;
	e.kstack[1] = 0xffffffff81000010;
	e.task = (struct rec_task){.pid = 12, .tid = 13, .comm = "curl"};
	capture_start(&c);
	jsonl_record(&c.o, &e.hdr, &syms);
	line = capture_json(&c);
	assert_string_equal(json_text(line, "type"), "record");
	assert_string_equal(json_text(line, "kind"), "drop");
	assert_int_equal(json_number(line, "seq"), 7);
	assert_true(json_number(line, "netns_inum") == 4026531840);
	assert_string_equal(json_text(line, "src"), "10.0.0.2");
	assert_int_equal(json_number(line, "dst_port"), 80);
	assert_memory_equal(json_text(line, "community_id"), "1:", 2);
	assert_string_equal(json_text(line, "reason"), "NO_SOCKET");
	assert_int_equal(json_number(line, "reason_code"), 3);
	assert_string_equal(json_text(line, "location"), "0xffffffff81000000");
	packet = json_object_get(line, "packet");
	assert_true(json_number(packet, "seq") == 4000000000);
	assert_string_equal(json_text(packet, "tcp_flags"), "ACK");
	assert_string_equal(json_text(packet, "ctinfo"), "none");
	assert_null(json_object_get(packet, "ct_original"));
	assert_null(json_object_get(packet, "vlan"));
	assert_null(json_object_get(line, "socket"));
	assert_null(json_object_get(line, "memory"));
	assert_string_equal(json_text(json_object_get(line, "task"), "comm"), "curl");
	assert_int_equal(json_array_size(json_object_get(line, "kernel_stack")), 2);
	assert_string_equal(
		json_string_value(json_array_get(json_object_get(line, "kernel_stack"), 0)), "tcp_"
											     "v4_"
											     "rcv+"
											     "0x59"
											     "6");
	json_decref(line);
	capture_end(&c);
}

static void jsonl_record_shows_what_is_there(void **state)
{
	struct rec_event e = event_make(REC_RST_SENT);
	struct capture c;
	json_t *line, *sock, *packet;
	(void)state;

	e.pkt.has |= PKT_CT | PKT_VLAN;
	e.pkt.vlan = 42;
	e.pkt.ct_orig = e.pkt.ct_reply = e.pkt.tuple;
	e.pkt.ct_status = 0x0e;
	e.sock = (struct rec_sock){.tuple = e.pkt.tuple,
				   .flags = SOCK_PRESENT,
				   .state = 10,
				   .family = AF_INET,
				   .backlog = 129,
				   .max_backlog = 128,
				   .addr = 0xffff888000000000};
	e.mem.closed_ns = 1;
	e.mem.closed_state = 1;
	capture_start(&c);
	jsonl_record(&c.o, &e.hdr, NULL);
	line = capture_json(&c);
	packet = json_object_get(line, "packet");
	assert_int_equal(json_number(packet, "vlan"), 42);
	assert_string_equal(json_text(packet, "ct_status"), "SEEN_REPLY,ASSURED,CONFIRMED");
	assert_string_equal(json_text(json_object_get(packet, "ct_reply"), "dst"), "10.0.0.3");
	sock = json_object_get(line, "socket");
	assert_string_equal(json_text(sock, "state"), "LISTEN");
	assert_string_equal(json_text(sock, "domain"), "inet");
	assert_string_equal(json_text(sock, "address"), "0xffff888000000000");
	assert_int_equal(json_number(sock, "backlog"), 129);
	assert_null(json_object_get(sock, "snd_nxt"));
	assert_true(json_is_false(json_object_get(line, "active")));
	assert_string_equal(json_text(json_object_get(line, "memory"), "closed_state"), "ESTABLISHE"
											"D");
	assert_null(json_object_get(json_object_get(line, "memory"), "syn_count"));
	json_decref(line);
	capture_end(&c);
}

static void records_of_icmp_errors(void **state)
{
	struct rec_event e = event_make(REC_ICMP_RECV);
	struct rec_tuple from = tuple_make(0, "10.9.9.9", 0, "10.9.9.9", 0);
	struct capture c;
	json_t *line, *packet;
	(void)state;

	e.pkt.icmp_type = 3;
	e.pkt.icmp_code = 1;
	memcpy(e.pkt.icmp_src, from.src, 16);
	capture_start(&c);
	jsonl_record(&c.o, &e.hdr, NULL);
	line = capture_json(&c);
	packet = json_object_get(line, "packet");
	assert_string_equal(json_text(packet, "icmp"), "host-unreachable");
	assert_int_equal(json_number(packet, "icmp_code"), 1);
	assert_string_equal(json_text(packet, "icmp_from"), "10.9.9.9");
	json_decref(line);
	capture_end(&c);
}

static void community_id_of_icmp_needs_the_type(void **state)
{
	struct rec_event e = event_make(REC_DROP);
	struct capture c;
	json_t *line;
	(void)state;

	e.pkt.tuple = tuple_make(IPPROTO_ICMP, "192.168.0.89", 0, "192.168.0.1", 0);
	e.pkt.icmp_type = 8;
	capture_start(&c);
	jsonl_record(&c.o, &e.hdr, NULL);
	line = capture_json(&c);
	assert_string_equal(json_text(line, "community_id"), "1:X0snYXpgwiv9TZtqg64sgzUn6Dk=");
	assert_null(json_object_get(line, "src_port"));
	json_decref(line);
	capture_end(&c);

	e.pkt.has = PKT_L3;
	capture_start(&c);
	jsonl_record(&c.o, &e.hdr, NULL);
	line = capture_json(&c);
	assert_null(json_object_get(line, "community_id"));
	json_decref(line);
	capture_end(&c);
}

/* ---- docs/json.md ---------------------------------------------------------------------------- */

static void check_documented(const struct field *f, const char *doc, const char *table)
{
	for (; f->type != FIELD_END; f++) {
		_cleanup_strbuf_ struct strbuf row = {0};

		if (f->name && !f->kept) {
			strbuf_addf(&row, "\n| `%s` |", f->name);
			if (!strstr(doc, row.s))
				fail_msg("docs/json.md has no row for `%s` of %s", f->name, table);
		}
		if (f->type == FIELD_GROUP || f->type == FIELD_TUPLE)
			check_documented(f->u.group, doc, table);
		if (f->type == FIELD_LIST || f->type == FIELD_MAP)
			check_documented(f->u.items.table, doc, table);
	}
}

static bool is_field(const struct field *f, const char *name, size_t len)
{
	for (; f->type != FIELD_END; f++) {
		const struct field *nested =
			f->type == FIELD_GROUP || f->type == FIELD_TUPLE ? f->u.group
			: f->type == FIELD_LIST || f->type == FIELD_MAP	 ? f->u.items.table
									 : NULL;

		if (f->name && strlen(f->name) == len && memcmp(f->name, name, len) == 0)
			return true;
		if (nested && is_field(nested, name, len))
			return true;
	}
	return false;
}

/* Those that no table has, and the kinds, which are listed likewise. */
static bool is_own_field(const char *name, size_t len)
{
	static const char *const own[] = {"type", "kind", "verdict", "total"};

	for (size_t i = 0; i < ARRAY_SIZE(own); i++)
		if (strlen(own[i]) == len && memcmp(own[i], name, len) == 0)
			return true;
	for (unsigned kind = REC_NONE + 1; kind < REC_KIND_COUNT; kind++)
		if (strlen(record_kind_name(kind)) == len &&
		    memcmp(record_kind_name(kind), name, len) == 0)
			return true;
	return false;
}

static char *doc_read(void)
{
	const char *path = getenv("TCPWHY_JSON_DOC");
	char *doc = NULL;

	if (!path)
		skip();
	assert_true(read_file(path, 1 << 20, &doc) > 0);
	return doc;
}

static void every_field_is_documented(void **state)
{
	_cleanup_free_ char *doc = doc_read();
	(void)state;

	check_documented(verdict_fields, doc, "verdict");
	check_documented(summary_fields, doc, "summary");
	check_documented(connects_fields, doc, "connects");
	check_documented(joined_fields, doc, "joined");
	check_documented(stacks_fields, doc, "stacks");
	for (unsigned kind = REC_NONE + 1; kind < REC_KIND_COUNT; kind++) {
		_cleanup_strbuf_ struct strbuf name = {0};

		strbuf_addf(&name, "\n| `%s` |", record_kind_name(kind));
		if (!strstr(doc, name.s))
			fail_msg("docs/json.md says nothing of %s", record_kind_name(kind));
		check_documented(record_fields(kind), doc, record_kind_name(kind));
	}
}

static void every_documented_field_is_there(void **state)
{
	_cleanup_free_ char *doc = doc_read();
	(void)state;

	for (const char *row = doc; (row = strstr(row, "\n| `")); row++) {
		const char *name = row + 4;
		size_t len = strcspn(name, "`");
		bool found = is_own_field(name, len) || is_field(verdict_fields, name, len) ||
			     is_field(summary_fields, name, len) ||
			     is_field(connects_fields, name, len) ||
			     is_field(joined_fields, name, len) ||
			     is_field(stacks_fields, name, len);

		for (unsigned kind = REC_NONE + 1; !found && kind < REC_KIND_COUNT; kind++)
			found = is_field(record_fields(kind), name, len);
		if (!found)
			fail_msg("docs/json.md tells of `%.*s`, which is no field", (int)len, name);
	}
}

static void a_connect_has_its_ledger(void **state)
{
	_cleanup_verdict_ struct verdict v = verdict_make();
	json_t *line, *connect, *syn;
	struct capture cap;
	(void)state;

	v.connect = ledger_make();
	for (unsigned end = 0; end < 2; end++) {
		capture_start(&cap);
		if (end)
			jsonl_connect_end(&cap.o, &v, &v.connect);
		else
			jsonl_verdict(&cap.o, &v);
		line = capture_json(&cap);
		assert_string_equal(json_text(line, "type"), end ? "connect_end" : "verdict");
		assert_int_equal(json_number(line, end ? "verdict" : "id"), 1);
		connect = json_object_get(line, "connect");
		assert_string_equal(json_text(connect, "errno"), "ECONNREFUSED");
		assert_true(json_is_true(json_object_get(connect, "over")));
		assert_true(json_is_false(json_object_get(connect, "given_up")));
		assert_int_equal(json_number(connect, "took_ns"), 1500000000);
		assert_null(json_object_get(connect, "translated"));
		syn = json_array_get(json_object_get(connect, "syns"), 1);
		assert_string_equal(json_text(syn, "fate"), "dropped");
		assert_string_equal(json_text(syn, "by"), "here: QDISC_DROP");
		assert_int_equal(json_number(syn, "after_ns"), NSEC_PER_SEC);
		syn = json_array_get(json_object_get(connect, "answers"), 0);
		assert_string_equal(json_text(syn, "taken"), "accepted");
		json_decref(line);
		capture_end(&cap);
	}
	v.connect.over = false;
	v.connect.err = 0;
	capture_start(&cap);
	jsonl_verdict(&cap.o, &v);
	line = capture_json(&cap);
	connect = json_object_get(line, "connect");
	assert_true(json_is_false(json_object_get(connect, "over")));
	assert_null(json_object_get(connect, "given_up"));
	assert_null(json_object_get(connect, "errno"));
	json_decref(line);
	capture_end(&cap);
}

static void connects_have_their_steps(void **state)
{
	struct out_connects c = {.value = {.connected = 3, .failed = 1, .max_ns = 900000}};
	struct capture cap;
	json_t *line, *steps;
	(void)state;

	c.key = (struct connect_key){
		.netns = 7, .dport = 443, .family = 6, .dst = {0xfd, [15] = 1}};
	c.value.buckets[0] = 1;
	c.value.buckets[9] = 2;
	capture_start(&cap);
	jsonl_connects(&cap.o, &c);
	line = capture_json(&cap);
	assert_string_equal(json_text(line, "type"), "connects");
	assert_string_equal(json_text(line, "dst"), "fd00::1");
	assert_int_equal(json_number(line, "dst_port"), 443);
	assert_int_equal(json_number(line, "connected"), 3);
	assert_int_equal(json_number(line, "failed"), 1);
	assert_int_equal(json_number(line, "max_ns"), 900000);
	steps = json_object_get(line, "latency");
	assert_int_equal(json_array_size(steps), 2);
	assert_int_equal(json_number(json_array_get(steps, 0), "from_us"), 0);
	assert_int_equal(json_number(json_array_get(steps, 1), "from_us"), 512);
	assert_int_equal(json_number(json_array_get(steps, 1), "count"), 2);
	json_decref(line);
	capture_end(&cap);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(jsonl_verdict_is_complete),
		cmocka_unit_test(jsonl_record_of_a_drop),
		cmocka_unit_test(jsonl_record_shows_what_is_there),
		cmocka_unit_test(records_of_icmp_errors),
		cmocka_unit_test(community_id_of_icmp_needs_the_type),
		cmocka_unit_test(a_connect_has_its_ledger),
		cmocka_unit_test(connects_have_their_steps),
		cmocka_unit_test(every_field_is_documented),
		cmocka_unit_test(every_documented_field_is_there),
	};

	setenv("TZ", "UTC", 1);
	tzset();
	return cmocka_run_group_tests_name("jsonl", tests, NULL, NULL);
}
