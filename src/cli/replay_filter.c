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

bool replay_wanted(const struct watch_options *o, const struct rec_event *e)
{
	const struct rec_packet *p = &e->pkt;

	if (o->proto && p->tuple.proto != o->proto)
		return false;
	if (o->iface && strcmp(e->ifname, o->iface) != 0)
		return false;
	return tuple_wanted(o, &p->tuple) ||
	       (p->has & PKT_CT && (tuple_wanted(o, &p->ct_orig) || tuple_wanted(o, &p->ct_reply)));
}
