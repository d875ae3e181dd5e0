/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "enrich/hooks_walk.h"

#include "record/question.h"

/* How often what changed under the walk is read again. */
#define TRIES 5
#define DEVICES_MAX 65536

#define PF_INET 1
#define PF_IPV4 2
#define PF_ARP 3
#define PF_NETDEV 5
#define PF_BRIDGE 7
#define PF_IPV6 10
#define INET_INGRESS 5 /* include/uapi/linux/netfilter.h, NF_INET_INGRESS */

/* include/uapi/linux/netfilter_ipv4.h, netfilter_ipv6.h: where NAT's hooks are. */
#define PRIORITY_DST_NAT (-100)
#define PRIORITY_SRC_NAT 100

typedef VEC(struct rec_hook) hook_vec;

struct walk {
	const struct hooks_memory *m;
	uint8_t family, hook; /* that are asked for */
	hooks_fn fn;
	void *arg;
	int lost; /* points that could not be read */
};

struct device {
	uint64_t addr;
	uint32_t ifindex;
	uint64_t entries[2]; /* ingress, egress: pointers to struct nf_hook_entries */
	char name[16];
};

/* ---- reading --------------------------------------------------------------------------------- */

int hooks_view(const struct hooks_memory *m, uint64_t addr, enum hooks_member first,
	       enum hooks_member last, struct hooks_view *ret)
{
	uint32_t from = UINT32_MAX, to = 0;

	ret->m = m;
	for (unsigned id = first; id <= last; id++) {
		const struct kmem_member *at = &m->layout.at[id];

		if (!at->found)
			continue;
		from = at->at < from ? at->at : from;
		to = at->at + at->size > to ? at->at + at->size : to;
	}
	if (from >= to || to > sizeof(ret->data))
		return -EOPNOTSUPP;
	if (!kernel_pointer(addr))
		return -EFAULT;
	return m->read(m->arg, addr + from, ret->data + from, to - from);
}

int hooks_string(const struct hooks_memory *m, uint64_t addr, char *ret, size_t size)
{
	size_t len = 0;

	if ((int64_t)addr >= 0)
		return -EFAULT;
	memset(ret, 0, size);
	/* In small steps: what follows the string may not be readable. */
	while (len < size - 1 && strnlen(ret, len) == len) {
		size_t n = 16 - (addr + len) % 16;
		int err;

		n = n < size - 1 - len ? n : size - 1 - len;
		err = m->read(m->arg, addr + len, ret + len, n);
		if (err)
			return err;
		len += n;
	}
	len = strlen(ret);
	memset(ret + len, 0, size - len);
	return len ? (int)len : -EINVAL;
}

static int read_pointer(const struct hooks_memory *m, uint64_t addr, uint64_t *ret)
{
	return m->read(m->arg, addr, ret, sizeof(*ret));
}

/* ---- the hooks of one point ------------------------------------------------------------------ */

/* A struct nf_hook_entries, copied. */
struct entries {
	uint32_t n;
	uint64_t *words; /* n times hook and priv, then n times the address of the nf_hook_ops */
};

static void entries_free(struct entries *e)
{
	free(e->words);
}

#define _cleanup_entries_ _cleanup_(entries_free)

/* net/netfilter/core.c, nf_hook_entries_get_hook_ops: the ops stand behind the hooks. */
static int entries_read(const struct hooks_memory *m, uint64_t addr, struct entries *ret)
{
	struct hooks_view v;
	int err = hooks_view(m, addr, HM_ENTRIES_COUNT, HM_ENTRIES_COUNT, &v);

	if (err)
		return err;
	ret->n = (uint32_t)view_get(&v, HM_ENTRIES_COUNT);
	if (ret->n > HOOKS_MAX)
		return -EINVAL;
	ret->words = calloc(ret->n ? ret->n : 1, 3 * sizeof(uint64_t));
	if (!ret->words)
		return -ENOMEM;
	return m->read(m->arg, addr + m->layout.at[HM_ENTRIES_HOOKS].at, ret->words,
		       ret->n * 3 * sizeof(uint64_t));
}

static int slot_read(const struct hooks_memory *m, uint64_t slot, const struct rec_hook *at,
		     bool nat, hook_vec *ret);

/*
 * net/netfilter/nf_nat_core.c, nf_nat_register_fn: NAT's own hooks hold the chains in a list of the
 * same form. A hook of NAT's priority that holds such a list, each entry confirmed by its
 * nf_hook_ops, is one of them.
 */
static void nat_chains(const struct hooks_memory *m, const struct rec_hook *nat, hook_vec *ret)
{
	struct rec_hook below = {.pf = nat->pf, .hook = nat->hook, .nat = 1};
	const struct kmem_member *at = &m->layout.at[HM_NAT_ENTRIES];

	if (nat->maker != HOOK_KERNEL || !kernel_pointer(nat->priv) || !at->found ||
	    (nat->priority != PRIORITY_DST_NAT && nat->priority != PRIORITY_SRC_NAT))
		return;
	(void)slot_read(m, nat->priv + at->at, &below, true, ret);
}

/* One entry. 1: it is none any more; 0; or a negative errno: it is changing. */
static int entry_add(const struct hooks_memory *m, const struct entries *e, uint32_t i,
		     const struct rec_hook *at, hook_vec *ret)
{
	uint64_t function = e->words[2 * i], priv = e->words[2 * i + 1];
	struct hooks_view ops;
	struct rec_hook rec = *at, *slot;
	int err = hooks_view(m, e->words[2 * e->n + i], HM_OPS_HOOK, HM_OPS_PRIORITY, &ops);

	if (err)
		return err;
	if (function != view_get(&ops, HM_OPS_HOOK))
		return -ESTALE;
	if (!view_get(&ops, HM_OPS_PF)) /* dummy_ops, in the place of one that has just gone */
		return 1;
	if ((int64_t)function >= 0 || priv != view_get(&ops, HM_OPS_PRIV))
		return -ESTALE;
	rec.function = function;
	rec.priv = priv;
	rec.priority = (int32_t)view_get(&ops, HM_OPS_PRIORITY);
	if (rec.pf == PF_NETDEV && view_get(&ops, HM_OPS_PF) == PF_INET) {
		rec.pf = PF_INET;
		rec.hook = INET_INGRESS;
	}
	hooks_maker(m, view_get(&ops, HM_OPS_TYPE), &rec);
	slot = vec_push(ret);
	if (!slot)
		return -ENOMEM;
	*slot = rec;
	if (!rec.nat)
		nat_chains(m, &rec, ret);
	return 0;
}

static int slot_try(const struct hooks_memory *m, uint64_t slot, const struct rec_hook *at,
		    hook_vec *ret)
{
	_cleanup_entries_ struct entries e = {0};
	uint64_t before, after;
	int err = read_pointer(m, slot, &before);

	if (err || !before)
		return err;
	err = entries_read(m, before, &e);
	for (uint32_t i = 0; err >= 0 && i < e.n; i++)
		err = entry_add(m, &e, i, at, ret);
	if (err < 0)
		return err;
	err = read_pointer(m, slot, &after);
	return err ? err : after == before ? 0 : -ESTALE;
}

/* slot: where the pointer to the struct nf_hook_entries is. Adds none, or all that are there. */
static int slot_read(const struct hooks_memory *m, uint64_t slot, const struct rec_hook *at,
		     bool nat, hook_vec *ret)
{
	size_t n = ret->n;
	int err = -ESTALE;

	/* What NAT's hook has for its priv need not be a list of entries: that is no reason to retry. */
	for (int i = 0; err && i < (nat ? 2 : TRIES); i++) {
		ret->n = n;
		err = slot_try(m, slot, at, ret);
	}
	if (err)
		ret->n = n;
	return err;
}

static bool asked(const struct walk *w, uint8_t pf, uint8_t hook)
{
	if (w->hook != NF_HOOK_ANY && w->hook != hook)
		return false;
	return !w->family || w->family == pf ||
	       (w->family == PF_INET && (pf == PF_IPV4 || pf == PF_IPV6));
}

static void point_walk(struct walk *w, uint64_t slot, const struct rec_hook *at)
{
	hook_vec hooks = {0};

	w->lost += slot_read(w->m, slot, at, false, &hooks) < 0;
	for (size_t i = 0; i < hooks.n; i++) {
		struct rec_hook *rec = &hooks.v[i];

		/* Those of the inet family hang at devices too: now it is known which they are. */
		if (at->pf == PF_NETDEV && !asked(w, rec->pf, rec->hook))
			continue;
		w->fn(w->arg, rec);
	}
	vec_free(&hooks);
}

/* ---- the points of a namespace --------------------------------------------------------------- */

static void family_walk(struct walk *w, uint64_t net, enum hooks_member id, uint8_t pf)
{
	const struct kmem_member *at = &w->m->layout.at[id];

	for (uint32_t i = 0; at->found && i < at->count; i++) {
		struct rec_hook point = {.pf = pf, .hook = (uint8_t)i};

		if (asked(w, pf, point.hook))
			point_walk(w, net + at->at + i * sizeof(uint64_t), &point);
	}
}

typedef VEC(struct device) device_vec;

static int device_read(const struct hooks_memory *m, uint64_t addr, device_vec *ret,
		       uint64_t *ret_next)
{
	const struct kmem_member *name = &m->layout.at[HM_DEV_NAME];
	struct device *d;
	struct hooks_view v;
	int err = hooks_view(m, addr, HM_DEV_LIST, HM_DEV_EGRESS, &v);

	if (err)
		return err;
	d = vec_push(ret);
	if (!d)
		return -ENOMEM;
	d->addr = addr;
	d->ifindex = (uint32_t)view_get(&v, HM_DEV_IFINDEX);
	d->entries[0] = view_get(&v, HM_DEV_INGRESS);
	d->entries[1] = view_get(&v, HM_DEV_EGRESS);
	if (name->size <= sizeof(d->name))
		memcpy(d->name, v.data + name->at, name->size);
	d->name[sizeof(d->name) - 1] = '\0';
	*ret_next = view_get(&v, HM_DEV_LIST);
	return d->ifindex && d->name[0] ? 0 : -ESTALE;
}

/* include/net/net_namespace.h, dev_base_head: a ring of net_device.dev_list. */
static int devices_try(const struct hooks_memory *m, uint64_t net, device_vec *ret)
{
	uint64_t head = net + m->layout.at[HM_NET_DEVICES].at, next;
	int err = read_pointer(m, head, &next);

	ret->n = 0;
	while (!err && next != head && ret->n < DEVICES_MAX)
		err = kernel_pointer(next)
			      ? device_read(m, next - m->layout.at[HM_DEV_LIST].at, ret, &next)
			      : -ESTALE;
	return err ? err : next == head ? 0 : -ELOOP;
}

static void devices_walk(struct walk *w, uint64_t net)
{
	static const enum hooks_member ids[] = {HM_DEV_INGRESS, HM_DEV_EGRESS};
	const struct hooks_layout *l = &w->m->layout;
	device_vec devices = {0};
	int err = -ESTALE;

	if (!l->at[HM_NET_DEVICES].found || !l->at[HM_DEV_LIST].found)
		return;
	for (int i = 0; err && i < TRIES; i++)
		err = devices_try(w->m, net, &devices);
	if (err == -ELOOP) /* the same ones, over and over */
		devices.n = 0;
	w->lost += err < 0;
	for (size_t i = 0; i < devices.n; i++) {
		const struct device *d = &devices.v[i];
		struct rec_hook at = {.pf = PF_NETDEV, .ifindex = d->ifindex};

		memcpy(at.ifname, d->name, sizeof(at.ifname));
		for (at.hook = 0; at.hook < 2; at.hook++)
			if (d->entries[at.hook] && (asked(w, PF_NETDEV, at.hook) ||
						    (!at.hook && asked(w, PF_INET, INET_INGRESS))))
				point_walk(w, d->addr + l->at[ids[at.hook]].at, &at);
	}
	vec_free(&devices);
}

int hooks_walk(const struct hooks_memory *m, uint64_t net, uint8_t family, uint8_t hook,
	       hooks_fn fn, void *arg)
{
	struct walk w = {.m = m, .family = family, .hook = hook, .fn = fn, .arg = arg};
	struct hooks_view v;
	int err = hooks_view(m, net, HM_NET_IPV4, HM_NET_IPV4, &v);

	if (err)
		return err;
	family_walk(&w, net, HM_NET_IPV4, PF_IPV4);
	family_walk(&w, net, HM_NET_IPV6, PF_IPV6);
	family_walk(&w, net, HM_NET_ARP, PF_ARP);
	family_walk(&w, net, HM_NET_BRIDGE, PF_BRIDGE);
	devices_walk(&w, net);
	return w.lost;
}
