/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Sockets: of a tuple, of its ports, and those that listen (or nearly do) where it goes to. */
#include "enrich/address.h"
#include "enrich/diag.h"
#include "enrich/lookup.h"
#include "enrich/netns.h"
#include "enrich/process.h"

#include <linux/netlink.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#define STATES_CONNECTED (~(1u << TCP_LISTEN))
#define STATES_LISTEN (1u << TCP_LISTEN)
#define STATES_UDP_BOUND (1u << TCP_CLOSE) /* UDP sockets are either ESTABLISHED or this */

#define PORT_NEAR 10

/* One namespace's part of a lookup. */
struct visit {
	struct lookup *l;
	uint32_t netns;
	struct rec_tuple local; /* looked for now, as local and remote side */
	enum sock_match match;	/* what a socket of exactly `local` is */
};

/* A socket may be found several times: one address can be on several interfaces. */
static bool sock_is_known(const struct lookup *l, uint64_t cookie)
{
	for (size_t at = 0; at < l->out.len;) {
		const struct rec_sock_info *s = (const struct rec_sock_info *)(l->out.s + at);

		if (s->cookie == cookie && cookie)
			return true;
		at += s->hdr.size;
	}
	return false;
}

static void sock_answer(struct visit *v, const struct diag_sock *s, enum sock_match match)
{
	struct rec_sock_info rec = s->rec;

	rec.match = (uint8_t)match;
	if (!sock_is_known(v->l, rec.cookie))
		lookup_add(v->l, &rec, REC_SOCK, v->netns);
}

static bool sock_is_bound_only(const struct diag_sock *s)
{
	return !s->rec.tuple.dport;
}

/*
 * The kernel falls back to a socket that merely listens (or, UDP, is bound) where the packet goes
 * to. For TCP that is the listeners' question; an unconnected UDP socket is all that there is, if
 * the packet goes to it.
 */
static void found_one(void *arg, const struct diag_sock *s)
{
	struct visit *v = arg;

	if (tuple_equal(&s->rec.tuple, &v->local))
		sock_answer(v, s, v->match);
	else if (v->local.proto == IPPROTO_UDP && v->match == SOCK_MATCH_EXACT &&
		 sock_is_bound_only(s) && s->rec.tuple.sport == v->local.sport)
		sock_answer(v, s, SOCK_MATCH_EXACT);
}

/* Of the same ports as the asked tuple: is the peer the same too, and the local address another? */
static void found_by_ports(void *arg, const struct diag_sock *s)
{
	struct visit *v = arg;
	const struct rec_tuple *t = &s->rec.tuple;
	struct rec_tuple asked = v->l->q->tuple;

	for (int i = 0; i < 2; i++, asked = tuple_reverse(&asked)) {
		if (t->sport != asked.sport || t->dport != asked.dport)
			continue;
		if (addr_equal(t->dst, asked.dst) && !addr_equal(t->src, asked.src)) {
			sock_answer(v, s, SOCK_MATCH_PORTS);
			return;
		}
	}
}

/* Of the packet's sender as peer: is it a socket that a NAT could have given another port too? */
static void found_by_peer(void *arg, const struct diag_sock *s)
{
	struct visit *v = arg;
	const struct rec_tuple *asked = &v->l->q->tuple;

	if (addr_equal(s->rec.tuple.dst, asked->src) && s->rec.tuple.dport == asked->sport &&
	    !addr_equal(s->rec.tuple.src, asked->dst))
		sock_answer(v, s, SOCK_MATCH_PORTS);
}

/* Walks the whole table, once for IPv6, as AF_INET6 sockets can talk IPv4 too: some 0.5 ms each. */
static int table_dump(struct nl *nl, struct visit *v, diag_fn found)
{
	const struct rec_tuple *asked = &v->l->q->tuple;
	struct diag_filter filter;
	int err = 0;

	if (found == found_by_ports)
		diag_filter_pair(&filter, asked->sport, asked->dport);
	else
		diag_filter_remote(&filter, asked->sport);
	if (addr_is_v4(asked->src))
		err = diag_dump(nl, asked->proto, AF_INET, STATES_CONNECTED, &filter, found, v);
	if (err)
		return err;
	return diag_dump(nl, asked->proto, AF_INET6, STATES_CONNECTED, &filter, found, v);
}

/*
 * The sockets that the asked tuple, or the reversed one, has at each of the namespace's own
 * addresses: at the same address as asked, or at all others. With the address's interface, so that
 * sockets bound to it are found too.
 */
static int address_find(struct nl *nl, struct visit *v, const struct address_list *list, bool same)
{
	struct rec_tuple asked = v->l->q->tuple;
	int err = 0;

	for (size_t i = 0; i < 2 * list->n; i++) {
		const struct address *a = &list->v[i / 2];

		v->local = i % 2 ? tuple_reverse(&asked) : asked;
		if (addr_is_v4(a->addr) != addr_is_v4(v->local.dst) ||
		    addr_equal(a->addr, v->local.src) != same)
			continue;
		memcpy(v->local.src, a->addr, 16);
		err = diag_find(nl, &v->local, a->ifindex, found_one, v);
		if (err && err != -ENOENT)
			return err;
	}
	return 0;
}

/* A walk over the table, which all namespaces share, costs as much as a hundred lookups in it. */
static int ports_find(struct nl *nl, struct visit *v)
{
	struct address_list list;
	int err = addresses_read(&list);

	if (err)
		return err;
	v->match = SOCK_MATCH_PORTS;
	return list.cut ? table_dump(nl, v, found_by_ports) : address_find(nl, v, &list, false);
}

static int peer_find(struct nl *nl, struct visit *v)
{
	return table_dump(nl, v, found_by_peer);
}

static bool addr_is_link_local(const uint8_t addr[16])
{
	return addr[0] == 0xfe && (addr[1] & 0xc0) == 0x80;
}

/*
 * Both orientations. A socket that is bound to a device is only found by that device's index: try
 * the packet's. A link-local one always is.
 */
static int tuple_find(struct nl *nl, struct visit *v)
{
	const struct question *q = v->l->q;
	struct address_list list;
	int err = 0;

	v->match = SOCK_MATCH_EXACT;
	if (addr_is_link_local(q->tuple.src) || addr_is_link_local(q->tuple.dst)) {
		err = addresses_read(&list);
		return err ? err : address_find(nl, v, &list, true);
	}
	for (int i = 0; i < 2; i++) {
		uint32_t count = v->l->count;

		v->local = i ? tuple_reverse(&q->tuple) : q->tuple;
		err = diag_find(nl, &v->local, 0, found_one, v);
		if (v->l->count == count && v->netns == q->netns && q->ifindex)
			err = diag_find(nl, &v->local, q->ifindex, found_one, v);
		if (err && err != -ENOENT)
			return err;
	}
	return 0;
}

/* Would a packet of the question's tuple reach this listener's address, family and device? */
static enum sock_match listener_match(const struct question *q, const struct diag_sock *s)
{
	const struct rec_tuple *t = &s->rec.tuple;
	bool want_v4 = addr_is_v4(q->tuple.dst);
	bool dual = s->family == AF_INET6 && !s->rec.v6only && addr_is_any(t->src) &&
		    !addr_is_v4(t->src);

	if (addr_is_v4(t->src) != want_v4 && !dual)
		return SOCK_MATCH_LISTEN_FAMILY;
	if (!addr_is_any(t->src) && !addr_equal(t->src, q->tuple.dst))
		return SOCK_MATCH_LISTEN_ADDR;
	if (s->bound_if && q->ifindex && s->bound_if != q->ifindex)
		return SOCK_MATCH_LISTEN_ADDR;
	return SOCK_MATCH_LISTEN;
}

static void found_listener(void *arg, const struct diag_sock *s)
{
	struct visit *v = arg;
	const struct question *q = v->l->q;

	if (!sock_is_bound_only(s))
		return;
	if (v->netns != q->netns)
		sock_answer(v, s, SOCK_MATCH_LISTEN_NETNS);
	else if (s->rec.tuple.sport != q->tuple.dport)
		sock_answer(v, s, SOCK_MATCH_LISTEN_NEAR);
	else
		sock_answer(v, s, listener_match(q, s));
}

static int listeners_dump(struct nl *nl, struct visit *v)
{
	const struct question *q = v->l->q;
	uint16_t port = q->tuple.dport, near = v->netns == q->netns ? PORT_NEAR : 0;
	uint32_t states = q->tuple.proto == IPPROTO_UDP ? STATES_UDP_BOUND : STATES_LISTEN;
	struct diag_filter filter;
	int err;

	diag_filter_local(&filter, port > near ? port - near : 1,
			  port < UINT16_MAX - near ? port + near : UINT16_MAX);
	err = diag_dump(nl, q->tuple.proto, AF_INET, states, &filter, found_listener, v);
	return err ? err
		   : diag_dump(nl, q->tuple.proto, AF_INET6, states, &filter, found_listener, v);
}

/* What to do in each namespace. */
struct tour {
	struct lookup *l;
	int (*fn)(struct nl *nl, struct visit *v);
};

static int tour_visit(void *arg, uint32_t netns)
{
	struct tour *tour = arg;
	struct visit v = {.l = tour->l, .netns = netns};
	_cleanup_nl_ struct nl nl;
	int err = nl_open(&nl, NETLINK_SOCK_DIAG);

	return err ? err : tour->fn(&nl, &v);
}

static int tour_all(struct lookup *l, int (*fn)(struct nl *nl, struct visit *v))
{
	struct tour tour = {l, fn};
	int err;

	if (l->q->tuple.proto != IPPROTO_TCP && l->q->tuple.proto != IPPROTO_UDP)
		return -EPROTONOSUPPORT;
	err = netns_each(l->netns, l->q->netns, tour_visit, &tour);
	owners_fill(l->owners, l->out.s, l->out.len);
	return err;
}

int socket_answer(struct lookup *l)
{
	return tour_all(l, tuple_find);
}

int socket_ports_answer(struct lookup *l)
{
	int err = tour_all(l, ports_find);

	return err || l->count ? err : tour_all(l, peer_find);
}

int listener_answer(struct lookup *l)
{
	return tour_all(l, listeners_dump);
}
