/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Lookups. A worker thread answers questions so that the event loop never waits; each answer is one
 * or more records, closed by a rec_answer of the same question id and kind (its err says if the
 * lookup could not be made).
 *
 * The worker moves itself, and no other thread, between network namespaces; another one looks into
 * processes, which may end while the first is busy. They need CAP_SYS_ADMIN for that, CAP_SYS_PTRACE
 * and CAP_DAC_READ_SEARCH to see who holds a socket, CAP_NET_ADMIN for conntrack; what they lack
 * becomes an answer's err or an owner unknown.
 */
#ifndef TCPWHY_ENRICH_H
#define TCPWHY_ENRICH_H

#include "base/base.h"
#include "enrich/nft_trace.h"
#include "record/question.h"

struct enrich;

/* Starts the worker. 0 or a negative errno. */
int enrich_open(struct enrich **ret);
/*
 * Waits until all counters' base lines are taken, but no longer than max (nanoseconds): what counts later
 * shows in their growth.
 */
void enrich_settle(struct enrich *e, uint64_t max);
/* Stops the worker, waits for it, frees everything. NULL is fine. */
void enrich_close(struct enrich *e);

/*
 * Queues one question (copied). 0; -EBUSY when the queue is full (1024) or the rate limit is used
 * up: the caller counts it and gets a rec_answer with err -EBUSY all the same.
 */
int enrich_ask(struct enrich *e, const struct question *q);

/* An eventfd that is readable while answers wait. Owned by e. */
int enrich_fd(const struct enrich *e);

/*
 * Hands every waiting answer record to fn (valid during the call only), in order. Returns the
 * number handed over. Record headers are complete except seq.
 */
int enrich_take(struct enrich *e, void (*fn)(void *arg, const struct rec_hdr *rec), void *arg);

/* How many questions are queued or being answered right now. */
size_t enrich_pending(struct enrich *e);

/*
 * For start-up: these answer at once, in a thread of their own, while the caller waits; fn is
 * called in that thread.
 */

/*
 * The namespace that a user means: a name of ip netns, "pid:N", a path, or an inode number. 0;
 * -ENOENT if there is no such one, -EINVAL if it isn't a network namespace, or another negative
 * errno.
 */
int enrich_netns_inum(const char *spec, uint32_t *ret);
/* The calling thread's own. */
int enrich_self_netns(uint32_t *ret);

/*
 * Every conntrack entry with NAT, in every known namespace or (netns not 0) in that one. Takes some
 * 3 us per entry, NAT or not. Records have a netns but otherwise no header, no question. 0;
 * -EOPNOTSUPP without conntrack in the kernel.
 */
typedef void (*enrich_ct_fn)(void *arg, const struct rec_ct *ct);
int enrich_ct_dump(uint32_t netns, enrich_ct_fn fn, void *arg);

/*
 * Every netfilter hook, in call order at each point, in every known namespace or (netns not 0) in that
 * one; may be asked again at any time. Records have a netns but otherwise no header, no question, no
 * name. 0; -EPERM; -EOPNOTSUPP if this kernel's BTF does not tell enough, -ENODATA if it has none;
 * -EAGAIN if some points could not be read (they change all the time), the others were handed over.
 */
typedef void (*enrich_hook_fn)(void *arg, const struct rec_hook *hook);
int enrich_hooks(uint32_t netns, enrich_hook_fn fn, void *arg);
/*
 * Loads what reads the kernel's memory, for enrich_hooks and the question HOOKS. Without this call they
 * do it themselves, when privileges may be gone.
 */
int enrich_prepare(void);
/*
 * The kernel's own list of them (nfnetlink_hook), to compare: no addresses, but names; without those that
 * NAT's hooks call, or, of newer kernels, with them in the place of NAT's. As enrich_hooks; -ENOENT if
 * its module isn't loaded; -EOPNOTSUPP if this kernel has none.
 */
int enrich_hooks_listed(uint32_t netns, enrich_hook_fn fn, void *arg);

/* Every known namespace, the caller's own first; or (netns not 0) that one. Records as above. */
typedef void (*enrich_netns_fn)(void *arg, const struct rec_netns *ns);
int enrich_netns_list(uint32_t netns, enrich_netns_fn fn, void *arg);

/*
 * Every TCP and UDP socket of a process, in its namespace. Records as above, owner filled, match 0.
 */
typedef void (*enrich_sock_fn)(void *arg, const struct rec_sock_info *sock);
int enrich_pid_sockets(uint32_t pid, enrich_sock_fn fn, void *arg);

/* nft_trace_open(); what it returns is the caller's. */
int enrich_nft_trace(uint32_t netns, const struct config *c, struct nft_trace **ret,
		     struct strbuf *why);

#endif
