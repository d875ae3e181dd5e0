/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The running kernel as a source of records: loads the BPF programs, reads their ring buffer and
 * counters.
 */
#ifndef TCPWHY_LIVE_H
#define TCPWHY_LIVE_H

#include "abi/config.h"
#include "base/base.h"
#include "sym/ksyms.h"

struct live;

/* How programs are attached: what a kernel offers, from the least that it may allow. */
enum live_tier {
	TIER_TRACEPOINT, /* BTF tracepoints */
	TIER_TRAMPOLINE, /* fentry, fexit */
	TIER_KPROBE,	 /* kprobe, kretprobe; several at once where the kernel can */
	TIER_COUNT,
};

const char *live_tier_name(enum live_tier tier); /* "trampoline" */

struct live_options {
	struct config config;
	const char *btf; /* vmlinux BTF file for a kernel that carries none, or NULL */
	/* To attach by address; NULL: by name, for which some kernels go through all symbols each time. */
	const struct ksyms *ksyms;
	/*
	 * One bit a tier: ways of others aren't taken; 0 all. Of two tiers the tracepoint tier is what
	 * is taken where the other has none.
	 */
	uint32_t tiers;
	bool follow_forks;		      /* children of watched processes are watched */
	bool (*is_noise)(const char *reason); /* drop reasons that are never a failure; NULL none */
};

struct live_probe {
	const char *name;
	const char *what; /* what it tells, in words */
	bool attached;
	enum live_tier tier; /* if attached */
	char how[256];	     /* "tp_btf/kfree_skb", "fentry/tcp_v4_send_reset, …"; or why not */
	const char *lost;    /* what is lost when it isn't, or by this way; NULL nothing */
};

/*
 * Loads and attaches. Every optional probe that this kernel lacks is left out and shows in
 * live_probes(); 0 if at least one is attached, else a negative errno with one sentence for the
 * user in why.
 */
int live_open(const struct live_options *o, struct live **ret, struct strbuf *why);
/* Detaches and frees all. NULL is fine. */
void live_close(struct live *l);

/* Readable when records wait; owned by l. */
int live_fd(const struct live *l);
/*
 * Hands each waiting record, validated, to fn; valid during the call. Number of records or a
 * negative errno.
 */
int live_take(struct live *l, void (*fn)(void *arg, struct rec_hdr *rec), void *arg);
/*
 * With config.snaplen: hands what packets carry to fn, bytes are p->len; valid during the call. Those of all records that
 * live_take() has handed out are there by then.
 */
void live_take_payloads(struct live *l,
			void (*fn)(void *arg, const struct rec_payload *p, const uint8_t *bytes),
			void *arg);
/* How many there was no room for. */
uint64_t live_payloads_lost(const struct live *l);

/* Events lost so far because the ring buffer was full. */
uint64_t live_lost(const struct live *l);

/*
 * Every counter, summed over CPUs. fn's name is the reason's (may be empty). 0 or a negative errno.
 */
int live_counts(struct live *l,
		void (*fn)(void *arg, const struct count_key *key, const struct count_value *sum,
			   const char *reason_name),
		void *arg);

/* What was counted instead of watched (config.stacks). */
struct live_stack {
	const struct stack_key *key; /* NULL: what found no room in the table, or no program saw */
	uint64_t count;
	const char *reason;	/* its name, may be empty */
	const uint64_t *frames; /* return addresses, innermost first, without tcpwhy's own */
	unsigned nr_frames;
};
/* Every row, summed over CPUs. 0 or a negative errno. */
int live_stacks(struct live *l, void (*fn)(void *arg, const struct live_stack *row), void *arg);

/* What became of connect(), for each destination; the key is all 0 for those that found no room. */
int live_connects(struct live *l,
		  void (*fn)(void *arg, const struct connect_key *key,
			     const struct connect_value *v),
		  void *arg);

int live_watch_pid(struct live *l, uint32_t pid);
/* What comes for this port of a namespace is a watched task's: a socket that listens already. */
int live_watch_port(struct live *l, uint32_t netns, uint16_t port);
/* Lets the flow of t (and of its reverse) pass the host, port and task filters. */
int live_admit(struct live *l, const struct rec_tuple *t);

/* A function that is registered as a netfilter hook. */
struct live_hook {
	uint64_t function; /* address */
	bool nft;	   /* nftables': its argument is a base chain */
	bool fleeting;	   /* of a module that may go: another one may then come to its place */
};

/* How often hooks have been registered since live_open(). */
uint64_t live_hooks_registered(const struct live *l);
/* Were hooks registered since live_cover_hooks(), so that it is to be called again? */
bool live_hooks_stale(const struct live *l);
/*
 * Puts a probe on each of these hook functions, in place of those of the last call. registered: what
 * live_hooks_registered() said before they were enumerated. 0; -EOPNOTSUPP where kprobes can't be had, or
 * the error of a function that can't be probed (the others are).
 */
int live_cover_hooks(struct live *l, const struct live_hook *hooks, size_t n, uint64_t registered);

const struct live_probe *live_probes(const struct live *l, size_t *ret_n);
/* Why no probe is attached by this tier's ways; NULL: they are there. */
const char *live_tier_why(const struct live *l, enum live_tier tier);
/* The tier of the probe that needs most: what verdicts may rest on. */
enum live_tier live_tier(const struct live *l);

#endif
