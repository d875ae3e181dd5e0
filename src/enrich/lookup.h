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
#include "record/record.h"

struct netns_map;
struct owner_cache;
struct user_files;

struct lookup {
	const struct question *q;
	struct netns_map *netns;
	struct owner_cache *owners;
	struct user_files *files; /* of the worker that looks into processes */
	struct strbuf out;	  /* the records, one after the other */
	uint32_t count;		  /* of the records in out */
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
int hooks_answer(struct lookup *l);
int rule_answer(struct lookup *l);
int drop_rules_answer(struct lookup *l);
int bpf_progs_answer(struct lookup *l);
int nfqueues_answer(struct lookup *l);
int conntrack_top_answer(struct lookup *l);
int link_answer(struct lookup *l);
int ports_answer(struct lookup *l);
int user_stack_answer(struct lookup *l);

/* The kernel's interfaces want the family's own bytes of an address: the last 4, or all 16. */
static inline const uint8_t *addr_bytes(const uint8_t addr[16], bool v4)
{
	return v4 ? addr + 12 : addr;
}

/* And back: bytes are 4 or 16. */
static inline void addr_set(uint8_t ret[16], bool v4, const void *bytes)
{
	static const uint8_t v4_mapped[12] = {[10] = 0xff, [11] = 0xff};

	if (v4)
		memcpy(ret, v4_mapped, sizeof(v4_mapped));
	memcpy(v4 ? ret + 12 : ret, bytes, v4 ? 4 : 16);
}

#endif
