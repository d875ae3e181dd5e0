/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Timelines written by hand: what the kernel and the lookups would have told, as data. */
#ifndef TCPWHY_TEST_TIMELINE_FIXTURE_H
#define TCPWHY_TEST_TIMELINE_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "diagnose/engine.h"
#include "record/record.h"
#include "track/track.h"

/* Two network namespaces: the host's own, and one behind it. */
#define HOST 4026531840u
#define INSIDE 4026532210u

#define SYN TCPHDR_SYN
#define ACK TCPHDR_ACK
#define RST TCPHDR_RST
#define FIN TCPHDR_FIN

/* IPv6 if src has a colon. */
struct rec_tuple flow_make(uint8_t proto, const char *src, uint16_t sport, const char *dst,
			   uint16_t dport);
struct rec_tuple tcp(const char *src, uint16_t sport, const char *dst, uint16_t dport);
struct rec_tuple udp(const char *src, uint16_t sport, const char *dst, uint16_t dport);

/* Zeroes *rec and fills in its header. */
void rec_init(void *rec, enum rec_kind kind, uint32_t netns, uint64_t ns);
/* An event about a packet of that flow, with nothing else known: no stack, no socket. */
struct rec_event event_make(enum rec_kind kind, const struct rec_tuple *t, uint64_t ns);
/* The address under which a function stands in stacks, now known to w. */
uint64_t symbol_add(struct world *w, const char *name);
/* Puts these functions, innermost first and NULL-terminated, into the stack of e. */
void event_stack(struct world *w, struct rec_event *e, ...) __attribute__((sentinel));

/*
 * A timeline in the making and its verdict. Each call appends a record, a millisecond after the
 * last, and returns it to be filled in further; it is freed with the story.
 */
struct story {
	struct world *world;
	struct timeline tl;
	struct diagnose_loss loss;
	struct verdict v;
	uint64_t now;
};

void story_start(struct story *s);
void story_end(struct story *s);
/* As a cmocka fixture, in *state. */
int story_setup(void **state);
int story_teardown(void **state);
#define story_test(f) cmocka_unit_test_setup_teardown(f, story_setup, story_teardown)

struct rec_event *story_event(struct story *s, enum rec_kind kind, struct rec_tuple t);
/* A dropped packet, and the kernel's reason for it. */
struct rec_event *story_drop(struct story *s, struct rec_tuple t, const char *reason);
/* The kernel's reason for e, told. */
void story_reason(struct rec_event *e, const char *reason);
/* Functions in the stack of e. */
#define story_stack(s, e, ...) event_stack((s)->world, e, __VA_ARGS__, NULL)
/* A function among the hooks that e brought along. */
void story_hook(struct story *s, struct rec_event *e, const char *function);
/* The socket of e: its tuple is that of the event. */
void story_own_socket(struct rec_event *e, uint8_t state);
/* Who ran. */
void story_task(struct rec_event *e, uint32_t pid, const char *comm);

/* What lookups found. */
struct rec_ct *story_conntrack(struct story *s, struct rec_tuple orig, struct rec_tuple reply);
void story_no_conntrack(struct story *s);
struct rec_sock_info *story_socket(struct story *s, enum sock_match match, struct rec_tuple t,
				   uint8_t state);
void story_owner(struct rec_sock_info *sock, uint32_t netns, uint32_t pid, const char *comm);
void story_sysctl(struct story *s, const char *name, int64_t value);
struct rec_counter *story_counter(struct story *s, const char *name, uint64_t delta);
struct rec_route *story_route(struct story *s, const char *dst, uint8_t type, int err);
struct rec_neigh *story_neighbour(struct story *s, const char *addr, uint16_t state);
struct rec_answer *story_answer(struct story *s, enum question_kind what);
void story_netns(struct story *s, uint32_t netns, const char *name);
/* A hook function of IPv4's LOCAL_IN, and a base chain there: inet, table "filter". */
struct rec_hook *story_hook_found(struct story *s, enum hook_maker maker, const char *function);
struct rec_hook *story_chain(struct story *s, const char *chain, uint8_t policy);
/* A rule of that table (of IPv4's, if made with iptables), which chain "input" leads to. */
struct rec_rule *story_rule(struct story *s, enum rule_maker maker, uint64_t handle,
			    const char *text);
struct rec_bpf_prog *story_program(struct story *s, enum bpf_place place, uint32_t id,
				   const char *name);
struct rec_nfqueue *story_queue(struct story *s, uint32_t queue, uint32_t pid);
struct rec_ports *story_ports(struct story *s);
struct rec_link *story_link(struct story *s, uint8_t port_state);
/* What netfilter's probes saw of e: the function of h was entered last, and all are watched. */
void story_entered(struct story *s, struct rec_event *e, const struct rec_hook *h);

/*
 * Judges: "conntrack-invalid, certain", or "no verdict". Until the next call. Every record has to
 * be valid, and a verdict to come with an explanation and evidence.
 */
const char *story_judge(struct story *s);
/* After that: is a text part of what the verdict says, part of a fix's command, of who is hit? */
bool story_says(const struct story *s, const char *text);
bool story_offers(const struct story *s, const char *command);
bool story_hits(const struct story *s, const char *text);

#endif
