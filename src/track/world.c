/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "track/world.h"

#include <uthash.h>

struct symbol {
	uint64_t addr;
	struct rec_symbol rec;
	UT_hash_handle hh;
};

struct netns {
	uint32_t inum;
	bool known; /* or only asked for */
	struct rec_netns rec;
	UT_hash_handle hh;
};

struct world {
	struct symbol *symbols;
	struct netns *netns;
};

int world_new(struct world **ret)
{
	*ret = calloc(1, sizeof(**ret));
	return *ret ? 0 : -ENOMEM;
}

void world_free(struct world *w)
{
	struct symbol *s, *s_next;
	struct netns *n, *n_next;

	if (!w)
		return;
	HASH_ITER(hh, w->symbols, s, s_next) {
		HASH_DEL(w->symbols, s);
		free(s);
	}
	HASH_ITER(hh, w->netns, n, n_next) {
		HASH_DEL(w->netns, n);
		free(n);
	}
	free(w);
}

/* A kernel has a bounded number of places that events come from; a hostile recording hasn't. */
#define SYMBOLS_MAX 20000
#define NETNS_MAX 20000

static int symbol_add(struct world *w, const struct rec_symbol *rec)
{
	struct symbol *s;

	HASH_FIND(hh, w->symbols, &rec->addr, sizeof(rec->addr), s);
	if (!s) {
		if (HASH_COUNT(w->symbols) >= SYMBOLS_MAX)
			return 0;
		s = calloc(1, sizeof(*s));
		if (!s)
			return -ENOMEM;
		s->addr = rec->addr;
		HASH_ADD(hh, w->symbols, addr, sizeof(s->addr), s);
	}
	s->rec = *rec;
	return 0;
}

static struct netns *netns_find(const struct world *w, uint32_t inum)
{
	struct netns *n;

	HASH_FIND(hh, w->netns, &inum, sizeof(inum), n);
	return n;
}

static struct netns *netns_new(struct world *w, uint32_t inum)
{
	struct netns *n = HASH_COUNT(w->netns) < NETNS_MAX ? calloc(1, sizeof(*n)) : NULL;

	if (!n)
		return NULL;
	n->inum = inum;
	HASH_ADD(hh, w->netns, inum, sizeof(n->inum), n);
	return n;
}

static int netns_add(struct world *w, const struct rec_netns *rec)
{
	struct netns *n = netns_find(w, rec->hdr.netns);

	if (!n)
		n = netns_new(w, rec->hdr.netns);
	if (!n)
		return 0;
	n->rec = *rec;
	n->known = true;
	return 0;
}

bool world_is_host(const struct rec_netns *n)
{
	return n && !n->name[0] && !n->container[0] && (n->pid == 1 || n->pid == 2);
}

bool world_netns_wanted(struct world *w, uint32_t inum)
{
	return inum && !netns_find(w, inum) && netns_new(w, inum);
}

int world_add(struct world *w, const struct rec_hdr *rec)
{
	if (rec->kind == REC_SYMBOL)
		return symbol_add(w, (const struct rec_symbol *)rec);
	if (rec->kind == REC_NETNS)
		return netns_add(w, (const struct rec_netns *)rec);
	return 0;
}

const struct rec_symbol *world_symbol(const struct world *w, uint64_t addr)
{
	struct symbol *s;

	HASH_FIND(hh, w->symbols, &addr, sizeof(addr), s);
	return s ? &s->rec : NULL;
}

const struct rec_netns *world_netns(const struct world *w, uint32_t inum)
{
	const struct netns *n = netns_find(w, inum);

	return n && n->known ? &n->rec : NULL;
}

bool symbol_is(const struct rec_symbol *s, const char *function)
{
	size_t len = strlen(function);

	return strncmp(s->name, function, len) == 0 &&
	       (s->name[len] == '\0' || s->name[len] == '.');
}

/*
 * kernel/softirq.c: __do_softirq, since 6.9 handle_softirqs. What stands below was interrupted, or
 * only lent its time: often the very sender, whose packet came back through a veth pair.
 */
static bool is_softirq_entry(const struct rec_symbol *s)
{
	return symbol_is(s, "handle_softirqs") || symbol_is(s, "__do_softirq");
}

bool world_frames_have(const struct world *w, const uint64_t *frames, unsigned n,
		       const char *function)
{
	for (unsigned i = 0; i < n; i++) {
		const struct rec_symbol *s = world_symbol(w, frames[i]);

		if (s && symbol_is(s, function))
			return true;
		if (s && is_softirq_entry(s))
			return false;
	}
	return false;
}

bool world_stack_has(const struct world *w, const struct rec_event *e, const char *function)
{
	return world_frames_have(w, e->kstack, e->nr_kstack, function);
}

bool world_in_softirq(const struct world *w, const struct rec_event *e)
{
	for (unsigned i = 0; i < e->nr_kstack; i++) {
		const struct rec_symbol *s = world_symbol(w, e->kstack[i]);

		if (s && is_softirq_entry(s))
			return true;
	}
	return false;
}

static bool stack_has_any(const struct world *w, const struct rec_event *e,
			  const char *const *functions, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (world_stack_has(w, e, functions[i]))
			return true;
	return false;
}

/*
 * net/ipv4/netfilter/nf_reject_ipv4.c, net/ipv6/netfilter/nf_reject_ipv6.c, and their callers:
 * which of them shows depends on what the compiler made tail calls.
 */
bool world_by_reject(const struct world *w, const struct rec_event *e)
{
	static const char *const functions[] = {
		"nf_send_reset",
		"nf_send_reset6",
		"nf_send_unreach",
		"nf_send_unreach6",
		"nft_reject_inet_eval",
		"nft_reject_ipv4_eval",
		"nft_reject_ipv6_eval",
		"nft_reject_netdev_eval",
		"nft_reject_bridge_eval",
		"reject_tg",
		"reject_tg6",
	};

	return (e->hdr.kind == REC_RST_OUT || e->hdr.kind == REC_ICMP_SENT) &&
	       stack_has_any(w, e, functions, ARRAY_SIZE(functions));
}

/* net/core/dev.c do_xdp_generic, drivers/net/veth.c. */
bool world_in_xdp(const struct world *w, const struct rec_event *e)
{
	static const char *const functions[] = {"do_xdp_generic", "netif_receive_generic_xdp",
						"veth_xdp_rcv", "veth_xdp_rcv_skb"};

	return stack_has_any(w, e, functions, ARRAY_SIZE(functions));
}
