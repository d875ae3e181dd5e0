/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "record/fields.h"

/*
 * A record of this kind with nothing in it; caller frees. Exactly as large as it is, so that ASan
 * sees every overrun.
 */
static void *record_new(unsigned kind)
{
	struct rec_hdr *hdr = calloc(1, record_kind_size(kind));

	assert_non_null(hdr);
	*hdr = (struct rec_hdr){.magic = REC_MAGIC,
				.version = REC_VERSION,
				.kind = (u16)kind,
				.size = (u32)record_kind_size(kind)};
	return hdr;
}

/* ---- validation ------------------------------------------------------------------------------ */

static void kinds_have_name_words_and_size(void **state)
{
	(void)state;
	for (unsigned kind = REC_NONE + 1; kind < REC_KIND_COUNT; kind++) {
		assert_non_null(record_kind_name(kind));
		assert_non_null(record_kind_words(kind));
		assert_true(record_kind_size(kind) >= sizeof(struct rec_hdr));
		assert_non_null(record_fields(kind));
	}
	assert_string_equal(record_kind_name(REC_RST_SENT), "reset_sent");
	assert_string_equal(record_kind_words(REC_DROP), "packet dropped");
	assert_int_equal(record_kind_size(REC_CT), sizeof(struct rec_ct));
}

static void unknown_kinds_have_nothing(void **state)
{
	const unsigned unknown[] = {REC_NONE, REC_KIND_COUNT, 0xffff, UINT32_MAX};
	(void)state;

	for (size_t i = 0; i < ARRAY_SIZE(unknown); i++) {
		assert_null(record_kind_name(unknown[i]));
		assert_null(record_kind_words(unknown[i]));
		assert_int_equal(record_kind_size(unknown[i]), 0);
		assert_null(record_fields(unknown[i]));
	}
}

static void validate_accepts_each_kind(void **state)
{
	(void)state;
	for (unsigned kind = REC_NONE + 1; kind < REC_KIND_COUNT; kind++) {
		_cleanup_free_ void *rec = record_new(kind);

		assert_int_equal(record_validate(rec, record_kind_size(kind)), 0);
	}
}

static void validate_reports_every_truncation(void **state)
{
	(void)state;
	for (unsigned kind = REC_NONE + 1; kind < REC_KIND_COUNT; kind++) {
		_cleanup_free_ char *rec = record_new(kind);

		for (size_t len = 0; len < record_kind_size(kind); len++) {
			_cleanup_free_ char *cut = malloc(len + 1);

			assert_non_null(cut);
			memcpy(cut + 1, rec, len); /* at the end of its memory, and not aligned */
			assert_int_equal(record_validate(cut + 1, len), -E2BIG);
		}
	}
}

static void validate_takes_records_anywhere(void **state)
{
	(void)state;
	for (unsigned kind = REC_NONE + 1; kind < REC_KIND_COUNT; kind++) {
		_cleanup_free_ char *rec = record_new(kind);
		_cleanup_free_ char *shifted = calloc(1, record_kind_size(kind) + 9);

		assert_non_null(shifted);
		memcpy(shifted + 1, rec, record_kind_size(kind));
		assert_int_equal(record_validate(shifted + 1, record_kind_size(kind)), 0);
		/* More may follow: another record. */
		assert_int_equal(record_validate(shifted + 1, record_kind_size(kind) + 8), 0);
	}
}

static void validate_reports_damaged_headers(void **state)
{
	_cleanup_free_ struct rec_event *e = record_new(REC_DROP);
	(void)state;

	e->hdr.magic ^= 1;
	assert_int_equal(record_validate(e, sizeof(*e)), -EBADMSG);
	e->hdr.magic ^= 1;
	e->hdr.version++;
	assert_int_equal(record_validate(e, sizeof(*e)), -EPROTONOSUPPORT);
	e->hdr.version--;
	e->hdr.kind = REC_NONE;
	assert_int_equal(record_validate(e, sizeof(*e)), -EBADMSG);
	e->hdr.kind = REC_KIND_COUNT;
	assert_int_equal(record_validate(e, sizeof(*e)), -EBADMSG);
	e->hdr.kind = REC_CT; /* of another size */
	assert_int_equal(record_validate(e, sizeof(*e)), -EBADMSG);
	e->hdr.kind = REC_DROP;
	for (int i = -1; i <= 1; i += 2) {
		e->hdr.size = (u32)((int)sizeof(*e) + i);
		assert_int_equal(record_validate(e, sizeof(*e)), -EBADMSG);
	}
	e->hdr.size = UINT32_MAX;
	assert_int_equal(record_validate(e, sizeof(*e)), -EBADMSG);
	e->hdr.size = sizeof(*e);
	assert_int_equal(record_validate(e, sizeof(*e)), 0);
}

static void validate_checks_the_counts_of_each_event(void **state)
{
	(void)state;
	for (unsigned kind = REC_RST_SENT; REC_KIND_IS_EVENT(kind); kind++) {
		_cleanup_free_ struct rec_event *e = record_new(kind);

		e->nr_kstack = REC_KSTACK_MAX;
		e->user.nr = REC_USTACK_MAX;
		e->nr_hooks = REC_HOOKS_MAX;
		assert_int_equal(record_validate(e, e->hdr.size), 0);
		e->nr_kstack = REC_KSTACK_MAX + 1;
		assert_int_equal(record_validate(e, e->hdr.size), -EBADMSG);
		e->nr_kstack = UINT16_MAX;
		assert_int_equal(record_validate(e, e->hdr.size), -EBADMSG);
		e->nr_kstack = 0;
		e->user.nr = REC_USTACK_MAX + 1;
		assert_int_equal(record_validate(e, e->hdr.size), -EBADMSG);
		e->user.nr = 0;
		e->nr_hooks = REC_HOOKS_MAX + 1;
		assert_int_equal(record_validate(e, e->hdr.size), -EBADMSG);
	}
}

static void validate_checks_the_hardware_address(void **state)
{
	_cleanup_free_ struct rec_neigh *n = record_new(REC_NEIGH);
	(void)state;

	n->lladdr_len = sizeof(n->lladdr);
	assert_int_equal(record_validate(n, sizeof(*n)), 0);
	n->lladdr_len++;
	assert_int_equal(record_validate(n, sizeof(*n)), -EBADMSG);
}

#define CHECK_STRING(rec, member)                                                                  \
	do {                                                                                       \
		memset((rec)->member, 'A', sizeof((rec)->member));                                 \
		assert_int_equal(record_validate(rec, ((struct rec_hdr *)(rec))->size), -EBADMSG); \
		(rec)->member[sizeof((rec)->member) - 1] = '\0';                                   \
		assert_int_equal(record_validate(rec, ((struct rec_hdr *)(rec))->size), 0);        \
	} while (0)

static void validate_checks_that_strings_end(void **state)
{
	_cleanup_free_ struct rec_sock_info *sock = record_new(REC_SOCK);
	_cleanup_free_ struct rec_netns *netns = record_new(REC_NETNS);
	_cleanup_free_ struct rec_route *route = record_new(REC_ROUTE);
	_cleanup_free_ struct rec_neigh *neigh = record_new(REC_NEIGH);
	_cleanup_free_ struct rec_sysctl *sysctl = record_new(REC_SYSCTL);
	_cleanup_free_ struct rec_counter *counter = record_new(REC_COUNTER);
	_cleanup_free_ struct rec_symbol *symbol = record_new(REC_SYMBOL);
	(void)state;

	for (unsigned kind = REC_RST_SENT; REC_KIND_IS_EVENT(kind); kind++) {
		_cleanup_free_ struct rec_event *e = record_new(kind);

		CHECK_STRING(e, ifname);
		CHECK_STRING(e, reason_name);
		CHECK_STRING(e, task.comm);
		CHECK_STRING(e, mem.closed_comm);
		CHECK_STRING(e, mem.syn_ifname);
	}
	CHECK_STRING(sock, comm);
	CHECK_STRING(sock, container);
	CHECK_STRING(netns, name);
	CHECK_STRING(netns, comm);
	CHECK_STRING(netns, container);
	CHECK_STRING(route, ifname);
	CHECK_STRING(neigh, ifname);
	CHECK_STRING(sysctl, name);
	CHECK_STRING(counter, name);
	CHECK_STRING(symbol, name);
	CHECK_STRING(symbol, module);
}

/* ---- tables ---------------------------------------------------------------------------------- */

static void table_cover(const struct field *f, size_t offset, uint8_t *covered, size_t size)
{
	for (; f->type != FIELD_END; f++) {
		bool nested = f->type == FIELD_GROUP || f->type == FIELD_TUPLE;

		assert_true(offset + f->offset + f->size <= size);
		assert_true(f->name || nested);
		if (nested)
			table_cover(f->u.group, offset + f->offset, covered, size);
		else if (f->type != FIELD_COMMUNITY && f->type != FIELD_ICMP)
			memset(covered + offset + f->offset, 1, f->size);
	}
}

#define EXCEPT(covered, type, member) \
	memset((covered) + offsetof(struct type, member), 1, sizeof(((struct type *)0)->member))

/* What isn't told by itself: padding, counts, conditions, and what only some kinds have. */
static void table_exceptions(unsigned kind, uint8_t *c)
{
	memset(c, 1, offsetof(struct rec_hdr, netns)); /* magic to size */
	if (REC_KIND_IS_EVENT(kind)) {
		EXCEPT(c, rec_event, has_reason);
		EXCEPT(c, rec_event, nr_kstack);
		EXCEPT(c, rec_event, nr_hooks);
		/* All but frames: a process's memory is nobody's business. */
		memset(c + offsetof(struct rec_event, user.sp), 1,
		       sizeof(struct rec_user) - offsetof(struct rec_user, sp));
		EXCEPT(c, rec_event, task.pad);
		EXCEPT(c, rec_event, pkt.has);
		EXCEPT(c, rec_event, pkt.pad);
		EXCEPT(c, rec_event, pkt.tuple.pad);
		EXCEPT(c, rec_event, pkt.ct_orig.pad);
		EXCEPT(c, rec_event, pkt.ct_reply.pad);
		EXCEPT(c, rec_event, sock.tuple.pad);
		/* and what the compiler adds to align it */
		memset(c + offsetof(struct rec_event, sock.pad), 1,
		       offsetof(struct rec_event, segment) - offsetof(struct rec_event, sock.pad));
		EXCEPT(c, rec_event, mem.syn_tuple.pad);
		EXCEPT(c, rec_event, mem.ct_end.orig.pad);
		EXCEPT(c, rec_event, mem.ct_end.reply.pad);
		EXCEPT(c, rec_event, mem.ct_end.nr_stack);
		EXCEPT(c, rec_event, mem.ct_end.pad);
		EXCEPT(c, rec_event, mem.connect.nr_syn);
		EXCEPT(c, rec_event, mem.connect.pad);
		EXCEPT(c, rec_event, mem.connect.nat_tuple.pad);
		EXCEPT(c, rec_event, mem.pad);
		EXCEPT(c, rec_event, nf.hook);
		EXCEPT(c, rec_event, nf.pad);
		EXCEPT(c, rec_event, nf.invalid_args); /* are in its text by then */
	}
	if (REC_KIND_IS_EVENT(kind) && kind != REC_RST_SENT)
		EXCEPT(c, rec_event, active);
	if (REC_KIND_IS_EVENT(kind) && kind != REC_DROP)
		EXCEPT(c, rec_event, location);
	if (REC_KIND_IS_EVENT(kind) && kind != REC_SYN_AGAIN)
		EXCEPT(c, rec_event, repeats);
	if (REC_KIND_IS_EVENT(kind) && kind != REC_STATE) {
		EXCEPT(c, rec_event, old_state);
		EXCEPT(c, rec_event, new_state);
	}
	if (REC_KIND_IS_EVENT(kind) && kind != REC_HANDSHAKE && kind != REC_TW_ANSWER &&
	    kind != REC_REJECT)
		EXCEPT(c, rec_event, step);
	if (kind == REC_CAPTURED) {
		EXCEPT(c, rec_captured, from.pad);
		EXCEPT(c, rec_captured, to.pad);
		EXCEPT(c, rec_captured, pad);
	} else if (kind == REC_SOCK) {
		EXCEPT(c, rec_sock_info, tuple.pad);
		EXCEPT(c, rec_sock_info, pad);
	} else if (kind == REC_CT) {
		EXCEPT(c, rec_ct, orig.pad);
		EXCEPT(c, rec_ct, reply.pad);
		EXCEPT(c, rec_ct, pad);
	} else if (kind == REC_NETNS) {
		EXCEPT(c, rec_netns, pad);
	} else if (kind == REC_ROUTE) {
		EXCEPT(c, rec_route, tuple.pad);
		EXCEPT(c, rec_route, has_gateway);
		EXCEPT(c, rec_route, pad);
	} else if (kind == REC_NEIGH) {
		EXCEPT(c, rec_neigh, lladdr_len);
		EXCEPT(c, rec_neigh, pad);
	} else if (kind == REC_HOOK) {
		EXCEPT(c, rec_hook, hook); /* told with pf */
		EXCEPT(c, rec_hook, pad);
	} else if (kind == REC_RULE) {
		EXCEPT(c, rec_rule, hook); /* told with family */
	} else if (kind == REC_BPF_PROG) {
		EXCEPT(c, rec_bpf_prog, pad);
	} else if (kind == REC_CT_TOP) {
		EXCEPT(c, rec_ct_top, pad);
	} else if (kind == REC_USER_FRAME) {
		EXCEPT(c, rec_user_frame, pad);
	} else if (kind == REC_PORTS) {
		EXCEPT(c, rec_ports, pad);
	} else if (kind == REC_LINK) {
		EXCEPT(c, rec_link, pad);
	}
}

static void tables_cover_their_structs(void **state)
{
	(void)state;
	for (unsigned kind = REC_NONE + 1; kind < REC_KIND_COUNT; kind++) {
		size_t size = record_kind_size(kind);
		_cleanup_free_ uint8_t *covered = calloc(1, size);

		assert_non_null(covered);
		table_cover(record_fields(kind), 0, covered, size);
		table_exceptions(kind, covered);
		for (size_t i = 0; i < size; i++)
			if (!covered[i])
				fail_msg("%s: no field tells of byte %zu", record_kind_name(kind),
					 i);
	}
}

struct seen_names {
	const char *v[128];
	size_t n;
};

/*
 * JSON objects must not have a key twice; a group or tuple without a name belongs to the object
 * around it.
 */
static void table_names(const struct field *f, struct seen_names *seen)
{
	for (; f->type != FIELD_END; f++) {
		bool nested = f->type == FIELD_GROUP || f->type == FIELD_TUPLE;

		if (nested && f->name) {
			struct seen_names inner = {0};

			table_names(f->u.group, &inner);
		} else if (nested) {
			table_names(f->u.group, seen);
		}
		if (!f->name || f->kept)
			continue;
		for (size_t i = 0; i < seen->n; i++)
			if (strcmp(seen->v[i], f->name) == 0)
				fail_msg("%s is there twice", f->name);
		assert_true(seen->n < ARRAY_SIZE(seen->v));
		seen->v[seen->n++] = f->name;
	}
}

static void tables_have_no_name_twice(void **state)
{
	(void)state;
	for (unsigned kind = REC_NONE + 1; kind < REC_KIND_COUNT; kind++) {
		struct seen_names seen = {.v = {"type", "kind"}, .n = 2};

		table_names(record_fields(kind), &seen);
	}
}

static bool width_is(enum field_type type, size_t size)
{
	switch (type) {
	case FIELD_UINT:
	case FIELD_HEX:
	case FIELD_NAME:
	case FIELD_FLAGS:
		return size == 1 || size == 2 || size == 4 || size == 8;
	case FIELD_INT:
		return size == 4 || size == 8;
	case FIELD_ERRNO:
		return size == 4;
	case FIELD_BOOL:
		return size == 1;
	case FIELD_NS:
	case FIELD_TIME:
	case FIELD_SYMBOL:
		return size == 8;
	case FIELD_ADDR:
		return size == 16;
	case FIELD_TUPLE:
		return size == sizeof(struct rec_tuple);
	default:
		return true;
	}
}

static void table_types(const struct field *f)
{
	for (; f->type != FIELD_END; f++) {
		assert_true(width_is(f->type, f->size));
		assert_true(f->type != FIELD_NAME || f->u.name);
		assert_true(f->type != FIELD_FLAGS || f->u.flags);
		if (f->type == FIELD_GROUP || f->type == FIELD_TUPLE)
			table_types(f->u.group);
		if (f->type == FIELD_LLADDR || f->type == FIELD_SYMBOLS ||
		    f->type == FIELD_ADDRESSES || f->type == FIELD_TIMES)
			assert_true(width_is(FIELD_UINT, f->u.count.size));
	}
}

static void tables_have_types_that_fit(void **state)
{
	(void)state;
	for (unsigned kind = REC_NONE + 1; kind < REC_KIND_COUNT; kind++)
		table_types(record_fields(kind));
}

static void fields_read_numbers_of_any_size(void **state)
{
	struct numbers {
		uint8_t a;
		uint16_t b;
		uint32_t c;
		uint64_t d;
		int32_t e;
		int64_t f;
	} n = {0xff, 0xfffe, 0xfffffffd, UINT64_MAX - 3, -5, -6};
	const struct field fields[] = {
		FIELD(UINT, struct numbers, a, "a", NULL),
		FIELD(UINT, struct numbers, b, "b", NULL),
		FIELD(UINT, struct numbers, c, "c", NULL),
		FIELD(UINT, struct numbers, d, "d", NULL),
		FIELD(INT, struct numbers, e, "e", NULL),
		FIELD(INT, struct numbers, f, "f", NULL),
	};
	const uint64_t want[] = {0xff,		 0xfffe,       0xfffffffd,
				 UINT64_MAX - 3, (uint64_t)-5, (uint64_t)-6};
	(void)state;

	for (size_t i = 0; i < ARRAY_SIZE(fields); i++)
		assert_true(field_uint(&fields[i], &n) == want[i]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(kinds_have_name_words_and_size),
		cmocka_unit_test(unknown_kinds_have_nothing),
		cmocka_unit_test(validate_accepts_each_kind),
		cmocka_unit_test(validate_reports_every_truncation),
		cmocka_unit_test(validate_takes_records_anywhere),
		cmocka_unit_test(validate_reports_damaged_headers),
		cmocka_unit_test(validate_checks_the_counts_of_each_event),
		cmocka_unit_test(validate_checks_the_hardware_address),
		cmocka_unit_test(validate_checks_that_strings_end),
		cmocka_unit_test(tables_cover_their_structs),
		cmocka_unit_test(tables_have_no_name_twice),
		cmocka_unit_test(tables_have_types_that_fit),
		cmocka_unit_test(fields_read_numbers_of_any_size),
	};

	return cmocka_run_group_tests_name("record", tests, NULL, NULL);
}
