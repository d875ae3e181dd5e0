/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The filters of bpf/filter.bpf.h over again, for records that have been recorded. */
#include "cli/replay_filter.h"

#include "record/record.h"

static bool prefix_has(const struct prefix *p, const uint8_t addr[16])
{
	unsigned whole = p->len / 8, rest = p->len % 8;

	if (memcmp(p->addr, addr, whole) != 0)
		return false;
	return !rest || ((p->addr[whole] ^ addr[whole]) & (0xff00 >> rest) & 0xff) == 0;
}

static bool any_has(const struct prefix_list *list, const uint8_t addr[16])
{
	for (size_t i = 0; i < list->n; i++)
		if (prefix_has(&list->v[i], addr))
			return true;
	return false;
}

static bool any_is(const struct port_list *list, uint16_t port)
{
	for (size_t i = 0; i < list->n; i++)
		if (list->v[i] == port)
			return true;
	return false;
}

/* Alternatives within an option; of all options that are there one has to be right. */
static bool tuple_wanted(const struct watch_options *o, const struct rec_tuple *t)
{
	return (!o->host.n || any_has(&o->host, t->src) || any_has(&o->host, t->dst)) &&
	       (!o->src.n || any_has(&o->src, t->src)) && (!o->dst.n || any_has(&o->dst, t->dst)) &&
	       (!o->port.n || any_is(&o->port, t->sport) || any_is(&o->port, t->dport)) &&
	       (!o->sport.n || any_is(&o->sport, t->sport)) &&
	       (!o->dport.n || any_is(&o->dport, t->dport));
}

/* As live, but of what a recording knows: the namespace's number, its name, or who lives there. */
static bool netns_wanted(const struct watch_options *o, const struct world *w, uint32_t netns)
{
	const struct rec_netns *ns = netns ? world_netns(w, netns) : NULL;
	uint64_t n;

	if (!o->netns)
		return true;
	if (ns && (strcmp(ns->name, o->netns) == 0 ||
		   (world_is_host(ns) && strcmp(o->netns, "host") == 0)))
		return true;
	if (strncmp(o->netns, "pid:", 4) == 0)
		return ns && !parse_u64(o->netns + 4, 1, UINT32_MAX, &n) && ns->pid == n;
	return netns && !parse_u64(o->netns, 1, UINT32_MAX, &n) && n == netns;
}

static bool process_wanted(const struct watch_options *o, uint32_t pid, const char *comm)
{
	return pid && (!o->pid || o->pid == pid) && (!o->comm || strcmp(o->comm, comm) == 0);
}

/* Not one that is merely near: found to say what listens instead. */
static bool is_its_socket(const struct rec_sock_info *s)
{
	return s->match == SOCK_MATCH_EXACT || s->match == SOCK_MATCH_PORTS ||
	       s->match == SOCK_MATCH_LISTEN || s->match == SOCK_MATCH_OWNER;
}

/* Whose connection it is: who called, who closed it, who holds its socket. */
static bool task_wanted(const struct session *s, const struct rec_event *e,
			const struct timeline *tl)
{
	const struct watch_options *o = s->o;

	if (!o->pid && !o->comm)
		return true;
	if (!world_in_softirq(s->world, e) && process_wanted(o, e->task.pid, e->task.comm))
		return true;
	if (process_wanted(o, e->mem.closed_pid, e->mem.closed_comm))
		return true;
	if (!tl)
		return false;
	timeline_each(tl, REC_SOCK, struct rec_sock_info, sock) {
		if (is_its_socket(sock) && process_wanted(o, sock->pid, sock->comm))
			return true;
	}
	return false;
}

bool replay_wanted(const struct session *s, const struct rec_event *e, const struct timeline *tl)
{
	const struct watch_options *o = s->o;
	const struct rec_packet *p = &e->pkt;

	if (o->proto && p->tuple.proto != o->proto)
		return false;
	if (o->iface && strcmp(e->ifname, o->iface) != 0)
		return false;
	if (!netns_wanted(o, s->world, e->hdr.netns) || !task_wanted(s, e, tl))
		return false;
	return tuple_wanted(o, &p->tuple) ||
	       (p->has & PKT_CT && (tuple_wanted(o, &p->ct_orig) || tuple_wanted(o, &p->ct_reply)));
}
