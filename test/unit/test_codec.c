/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "record/codec.h"

#define ROUNDS 50

static struct codec *codec;

static int setup(void **state)
{
	(void)state;
	return codec_new(&codec);
}

static int teardown(void **state)
{
	(void)state;
	codec_free(codec);
	return 0;
}

/* ---- records full of odd values -------------------------------------------------------------- */

struct hole {
	uint16_t kind; /* REC_DROP: all events */
	uint16_t offset;
	uint16_t size;
};

#define HOLE(kind, type, member)                                                              \
	{                                                                                     \
		REC_##kind, offsetof(struct type, member), sizeof(((struct type *)0)->member) \
	}

/* All that means nothing. Every other byte has to come back. */
static const struct hole holes[] = {
	HOLE(DROP, rec_event, pkt.tuple.pad),
	HOLE(DROP, rec_event, pkt.pad),
	HOLE(DROP, rec_event, pkt.ct_orig.pad),
	HOLE(DROP, rec_event, pkt.ct_reply.pad),
	HOLE(DROP, rec_event, sock.tuple.pad),
	{REC_DROP, offsetof(struct rec_event, sock.pad),
	 sizeof(struct rec_sock) - offsetof(struct rec_sock, pad)},
	HOLE(DROP, rec_event, task.pad),
	HOLE(DROP, rec_event, mem.syn_tuple.pad),
	HOLE(DROP, rec_event, mem.ct_end.orig.pad),
	HOLE(DROP, rec_event, mem.ct_end.reply.pad),
	HOLE(DROP, rec_event, mem.ct_end.pad),
	HOLE(DROP, rec_event, mem.connect.pad),
	HOLE(DROP, rec_event, mem.connect.nat_tuple.pad),
	HOLE(DROP, rec_event, mem.pad),
	HOLE(DROP, rec_event, user.sp), /* what a process has in its memory is not recorded */
	HOLE(DROP, rec_event, user.bp),
	HOLE(DROP, rec_event, user.top),
	HOLE(DROP, rec_event, user.nr_top),
	HOLE(DROP, rec_event, user.pad),
	HOLE(DROP, rec_event, nf.pad),
	HOLE(DROP, rec_event, nf.invalid_args), /* already in the words */
	HOLE(CAPTURED, rec_captured, from.pad),
	HOLE(CAPTURED, rec_captured, to.pad),
	HOLE(CAPTURED, rec_captured, pad),
	HOLE(SOCK, rec_sock_info, tuple.pad),
	HOLE(SOCK, rec_sock_info, pad),
	HOLE(CT, rec_ct, orig.pad),
	HOLE(CT, rec_ct, reply.pad),
	HOLE(CT, rec_ct, pad),
	HOLE(NETNS, rec_netns, pad),
	HOLE(ROUTE, rec_route, tuple.pad),
	HOLE(ROUTE, rec_route, pad),
	HOLE(NEIGH, rec_neigh, pad),
	HOLE(HOOK, rec_hook, pad),
	HOLE(BPF_PROG, rec_bpf_prog, pad),
	HOLE(LINK, rec_link, pad),
	HOLE(CT_TOP, rec_ct_top, pad),
	HOLE(PORTS, rec_ports, pad),
	HOLE(USER_FRAME, rec_user_frame, pad),
};

/* What lies behind the end of a string or of the used part of an array means nothing, too. */
static void tidy_table(const struct field *f, uint8_t *base)
{
	for (; f->type != FIELD_END; f++) {
		uint8_t *at = base + f->offset;
		size_t one = f->type == FIELD_LLADDR ? 1 : sizeof(uint64_t), used;

		switch (f->type) {
		case FIELD_GROUP:
		case FIELD_TUPLE:
			tidy_table(f->u.group, at);
			break;
		case FIELD_STRING:
			at[f->size - 1] = '\0';
			used = strlen((char *)at);
			memset(at + used, 0, f->size - used);
			break;
		case FIELD_LLADDR:
		case FIELD_SYMBOLS:
		case FIELD_ADDRESSES:
		case FIELD_TIMES:
			used = field_count(f, base) % (f->size / one + 1);
			memset(base + f->u.count.offset, 0, f->u.count.size);
			base[f->u.count.offset] = (uint8_t)used; /* little endian, or one byte */
			memset(at + used * one, 0, f->size - used * one);
			break;
		default:
			break;
		}
	}
}

static void fill(union codec_record *rec, unsigned kind, unsigned *seed)
{
	uint8_t *bytes = (uint8_t *)rec;

	assert_int_equal(codec_start(record_kind_name(kind), rec), 0);
	for (size_t i = offsetof(struct rec_hdr, netns); i < rec->hdr.size; i++)
		bytes[i] = rand_r(seed) % 3 ? (uint8_t)rand_r(seed) : 0;
	for (size_t i = 0; i < ARRAY_SIZE(holes); i++)
		if (holes[i].kind == kind || (holes[i].kind == REC_DROP && REC_KIND_IS_EVENT(kind)))
			memset(bytes + holes[i].offset, 0, holes[i].size);
	tidy_table(record_fields(kind), bytes);
	assert_int_equal(record_validate(rec, rec->hdr.size), 0);
}

static union codec_record copy;

static void take(void *arg, const char *name, const char *value, size_t len)
{
	(void)arg;
	assert_int_equal(strlen(value), len);
	if (strcmp(name, "kind") == 0)
		assert_int_equal(codec_start(value, &copy), 0);
	else if (codec_set(codec, &copy, name, value))
		fail_msg("%s %s=%s is refused", record_kind_name(copy.hdr.kind), name, value);
}

static void every_byte_comes_back(void **state)
{
	unsigned seed = 1;
	(void)state;

	for (unsigned kind = REC_NONE + 1; kind < REC_KIND_COUNT; kind++)
		for (int round = 0; round < ROUNDS; round++) {
			union codec_record rec;

			fill(&rec, kind, &seed);
			assert_int_equal(codec_encode(codec, &rec.hdr, take, NULL), 0);
			for (size_t i = 0; i < rec.hdr.size; i++)
				if (((uint8_t *)&rec)[i] != ((uint8_t *)&copy)[i])
					fail_msg("%s: byte %zu is lost", record_kind_name(kind), i);
		}
}

/* ---- texts ----------------------------------------------------------------------------------- */

static struct strbuf said;

static void note(void *arg, const char *name, const char *value, size_t len)
{
	(void)arg;
	(void)len;
	strbuf_addf(&said, "%s=%s\n", name, value);
}

static void records_read_well(void **state)
{
	union codec_record rec;
	(void)state;

	codec_start("state", &rec);
	rec.hdr.mono_ns = 7;
	rec.event.pkt.tuple = (struct rec_tuple){
		.src = {[10] = 0xff, 0xff, 10, 0, 0, 1}, .dport = 80, .family = 4, .proto = 6};
	rec.event.old_state = 1;
	rec.event.err = 111;
	rec.event.pkt.tcp_flags = TCPHDR_SYN | TCPHDR_ACK;
	rec.event.nr_kstack = 2;
	rec.event.kstack[0] = 0xffffffff81000000;
	assert_int_equal(codec_encode(codec, &rec.hdr, note, NULL), 0);
	assert_string_equal(said.s, "kind=state\nmono_ns=7\nproto=tcp\nfamily=4\nsrc=10.0.0.1\n"
				    "dst_port=80\nold_state=ESTABLISHED\nerror=ECONNREFUSED\n"
				    "packet_tcp_flags=SYN,ACK\n"
				    "kernel_stack=ffffffff81000000,0\n");
	strbuf_free(&said);
}

static void other_versions_are_read(void **state)
{
	_cleanup_strbuf_ struct strbuf lengthy = {0};
	union codec_record rec;
	(void)state;

	assert_int_equal(codec_start("telepathy", &rec), -ENOENT);
	assert_int_equal(codec_start("drop", &rec), 0);
	assert_int_equal(codec_set(codec, &rec, "mood", "good"), -ENOENT);
	for (int i = 0; i < 1000; i++)
		strbuf_addf(&lengthy, "%s%x", i ? "," : "", i);
	assert_int_equal(codec_set(codec, &rec, "kernel_stack", lengthy.s), 0);
	assert_int_equal(rec.event.nr_kstack, REC_KSTACK_MAX);
	assert_int_equal(rec.event.kstack[REC_KSTACK_MAX - 1], REC_KSTACK_MAX - 1);
	assert_int_equal(codec_set(codec, &rec, "interface", lengthy.s), 0);
	assert_int_equal(strlen(rec.event.ifname), sizeof(rec.event.ifname) - 1);
	assert_int_equal(record_validate(&rec, rec.hdr.size), 0);
}

static void bad_values_are_refused(void **state)
{
	static const char *const bad[][2] = {
		{"src", "10.0.0"},
		{"src_port", "65536"},
		{"src_port", "-1"},
		{"src_port", "80x"},
		{"src_port", ""},
		{"mono_ns", "99999999999999999999"},
		{"error", "EMYOWN"},
		{"error", "4294967296"},
		{"proto", "256"},
		{"packet_tcp_flags", "SYN,NUL"},
		{"packet_tcp_flags", "0x100"},
		{"kernel_stack", "12,zz"},
		{"location", "here"},
	};
	union codec_record rec;
	(void)state;

	codec_start("drop", &rec);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		if (codec_set(codec, &rec, bad[i][0], bad[i][1]) != -EINVAL)
			fail_msg("%s=%s is taken", bad[i][0], bad[i][1]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_byte_comes_back),
		cmocka_unit_test(records_read_well),
		cmocka_unit_test(other_versions_are_read),
		cmocka_unit_test(bad_values_are_refused),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
