/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Inside enrich: what the worker carries through one lookup, and the subjects' entry points, one
 * per question kind. An entry point appends the records it found and returns 0, or a negative errno
 * when the lookup could not be made (perhaps with the records that could be had). It leaves the
 * thread in its own network namespace.
 */
#ifndef TCPWHY_ENRICH_LOOKUP_H
#define TCPWHY_ENRICH_LOOKUP_H

#include "base/base.h"
#include "record/question.h"

struct netns_map;
struct owner_cache;

struct lookup {
	const struct question *q;
	struct netns_map *netns;
	struct owner_cache *owners;
	struct strbuf out; /* the records, one after the other */
	uint32_t count;	   /* of the records in out */
};

/* More answers than this to one question help nobody. */
#define LOOKUP_RECORDS_MAX 128

/*
 * Completes the header of rec (all but seq), sets the question's id in it, and appends it to
 * l->out. netns: where it was found. Every record of a lookup has its question's id right after the
 * header.
 */
void lookup_add(struct lookup *l, void *rec, enum rec_kind kind, uint32_t netns);

int netns_answer(struct lookup *l);
int conntrack_answer(struct lookup *l);
int socket_answer(struct lookup *l);
int socket_ports_answer(struct lookup *l);
int listener_answer(struct lookup *l);
int owner_answer(struct lookup *l);
int route_answer(struct lookup *l);
int sysctl_answer(struct lookup *l);
int counter_answer(struct lookup *l);

/* Addresses of records are IPv6 or IPv4-mapped; the kernel's interfaces want either. */
static const uint8_t addr_v4_prefix[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

static inline bool addr_is_v4(const uint8_t addr[16])
{
	return !memcmp(addr, addr_v4_prefix, sizeof(addr_v4_prefix));
}

/* af: AF_INET or AF_INET6; bytes: 4 or 16 of them. */
static inline void addr_set(uint8_t ret[16], bool v4, const void *bytes)
{
	if (v4) {
		memcpy(ret, addr_v4_prefix, 12);
		memcpy(ret + 12, bytes, 4);
	} else {
		memcpy(ret, bytes, 16);
	}
}

/* The family's bytes of addr: the last 4, or all 16. */
static inline const uint8_t *addr_bytes(const uint8_t addr[16], bool v4)
{
	return v4 ? addr + 12 : addr;
}

static inline bool addr_equal(const uint8_t a[16], const uint8_t b[16])
{
	return !memcmp(a, b, 16);
}

/* 0.0.0.0 or :: */
static inline bool addr_is_any(const uint8_t addr[16])
{
	static const uint8_t zero[16];

	return !memcmp(addr_is_v4(addr) ? addr + 12 : addr, zero, addr_is_v4(addr) ? 4 : 16);
}

static inline struct rec_tuple tuple_reversed(const struct rec_tuple *t)
{
	struct rec_tuple r = *t;

	memcpy(r.src, t->dst, 16);
	memcpy(r.dst, t->src, 16);
	r.sport = t->dport;
	r.dport = t->sport;
	return r;
}

/* Addresses and ports, not what is said about them. */
static inline bool tuple_equal(const struct rec_tuple *a, const struct rec_tuple *b)
{
	return a->sport == b->sport && a->dport == b->dport && addr_equal(a->src, b->src) &&
	       addr_equal(a->dst, b->dst);
}

#endif
