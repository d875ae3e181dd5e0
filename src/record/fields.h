/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The field tables: what each kind of record holds, once, for every output and for validation. A
 * table is an array of struct field that ends with FIELD_END; the offsets in it count from the
 * struct that it describes (its base).
 */
#ifndef TCPWHY_FIELDS_H
#define TCPWHY_FIELDS_H

#include "record/record.h"

enum field_type {
	FIELD_END,
	FIELD_UINT,   /* 1, 2, 4 or 8 bytes */
	FIELD_INT,    /* 4 or 8 bytes */
	FIELD_HEX,    /* as FIELD_UINT; reads "0x1f" */
	FIELD_BOOL,   /* 1 byte */
	FIELD_NS,     /* u64, a duration or a time of CLOCK_MONOTONIC, nanoseconds */
	FIELD_TIME,   /* u64, CLOCK_REALTIME, nanoseconds */
	FIELD_NAME,   /* a number that `u.name` knows by name */
	FIELD_ERRNO,  /* s32, of either sign */
	FIELD_FLAGS,  /* bits that `u.flags` names */
	FIELD_STRING, /* char[size], terminated; from outside: may hold any bytes */
	FIELD_CSTR,   /* char *, may be NULL */
	FIELD_ADDR,   /* u8[16] */
	FIELD_LLADDR, /* u8[size], `u.count` of them are used */
	FIELD_SYMBOL, /* u64, an address in the kernel */
	FIELD_SYMBOLS, /* u64[], `u.count` of them are used: a stack or a list of functions of the kernel */
	FIELD_ADDRESSES, /* u64[], `u.count` of them are used: addresses of a process */
	FIELD_TIMES, /* u64[], `u.count` of them are used: times of CLOCK_MONOTONIC, nanoseconds */
	FIELD_HOOK,  /* two u8: NFPROTO_*, number of a hook in that family; its name */
	FIELD_ICMP,  /* struct rec_packet: the name of its ICMP type and code */
	FIELD_COMMUNITY, /* struct rec_tuple, or struct rec_packet: its community id */
	FIELD_TUPLE,	 /* struct rec_tuple: as FIELD_GROUP, and one value in a line of text */
	FIELD_GROUP, /* the struct at this place has a table of its own, `u.group`; without a name it reads as
			    part of this one */
	FIELD_LINES, /* VEC(char *) */
	FIELD_LIST,  /* VEC(struct) with the table `u.items` */
	FIELD_MAP,   /* the same; the first field, a FIELD_CSTR, is the key of the others */
};

struct field {
	enum field_type type;
	const char *name;  /* in JSON */
	const char *label; /* in a line of text: "key", "" for the value alone, NULL: left out */
	uint16_t offset;
	uint16_t size;
	bool kept;			/* in recordings only: no output shows it */
	bool optional;			/* zero, or empty, means that there is nothing to tell */
	bool (*when)(const void *base); /* else it is not there; NULL: always. base is aligned */
	union {
		const char *(*name)(unsigned number);
		const char *const *flags; /* bit 0 first, ends with NULL */
		const struct field *group;
		struct {
			uint16_t offset; /* of the count */
			uint16_t size;
		} count;
		struct {
			const struct field *table;
			size_t size; /* of one item */
		} items;
	} u;
};

#define FIELD(type_, base, member, name_, label_, ...)                                             \
	{                                                                                          \
		.type = FIELD_##type_, .name = (name_), .label = (label_),                         \
		.offset = offsetof(base, member), .size = sizeof(((base *)0)->member), __VA_ARGS__ \
	}
#define FIELD_KEPT(type_, base, member, name_, ...) \
	FIELD(type_, base, member, name_, NULL, .kept = true, ##__VA_ARGS__)
#define FIELD_COUNT(base, member) .u.count = {offsetof(base, member), sizeof(((base *)0)->member)}

#define FIELD_TUPLE_OF(base, member, name_, label_, ...) \
	FIELD(TUPLE, base, member, name_, label_, .u.group = tuple_fields, ##__VA_ARGS__)
#define FIELD_GROUP_OF(base, member, name_, table, ...) \
	FIELD(GROUP, base, member, name_, NULL, .u.group = (table), ##__VA_ARGS__)
/* A table as part of another one of the same struct. */
#define FIELD_INLINE(table, ...)                                       \
	{                                                              \
		.type = FIELD_GROUP, .u.group = (table), ##__VA_ARGS__ \
	}

/* The table of a kind, NULL if the kind is unknown. Base is the record. */
const struct field *record_fields(unsigned kind);
/* The same for the kinds that are events. */
const struct field *event_fields(unsigned kind);
extern const struct field header_fields[]; /* of struct rec_hdr */
extern const struct field tuple_fields[];  /* of struct rec_tuple */
extern const struct field memory_fields[]; /* of struct rec_memory */
/* Is anything of it known? */
bool memory_is_known(const struct rec_memory *m);

/* Is the field there to be shown, in this base? */
bool field_present(const struct field *f, const void *base);
/* Is it zero, an empty string, an array of which nothing is used? */
bool field_is_empty(const struct field *f, const void *base);
/* The place of the field. */
const void *field_at(const struct field *f, const void *base);
/* A number of f->size bytes; one that is signed is extended to 64 bits. */
uint64_t field_uint(const struct field *f, const void *base);
/*
 * How many elements are used of a type that has a count (perhaps more than there are, before
 * validation).
 */
size_t field_count(const struct field *f, const void *base);
/* The text of a FIELD_NAME or FIELD_ERRNO: a number without a name reads as the number. */
void field_name_text(const struct field *f, const void *base, struct strbuf *out);
/* The text of a FIELD_HOOK. */
void field_hook_text(const struct field *f, const void *base, struct strbuf *out);
/* The text of a FIELD_COMMUNITY. */
void field_community_text(const struct field *f, const void *base, struct strbuf *out);

/* ---- names that only tables need ------------------------------------------------------------- */

extern const char
	name_unknown[]; /* what the functions of record.h say of a number that they don't know */
extern const char *const ct_status_names[];
extern const char *const captured_did_names[];
extern const char *const sock_flag_names[];
extern const char *const shutdown_names[];
extern const char *const rule_flag_names[];
extern const char *const nf_has_names[];
extern const char *const tcp_flag_names[];
extern const char *const packet_has_names[];

const char *domain_name(unsigned domain);			      /* AF_INET: "inet" */
const char *icmp_name(unsigned family, unsigned type, unsigned code); /* "port-unreachable" */
/* "SEEN_REPLY,ASSURED"; bits without a name as a number; "none". */
void flags_text(uint64_t flags, const char *const *names, struct strbuf *out);

#endif
