/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "cli/hooks.h"

#include "record/record.h"

#include <linux/netfilter.h>

/* What both sides tell of a hook. */
struct item {
	uint8_t pf, hook;
	uint32_t ifindex;
	int32_t priority;
	const struct rec_hook *rec;
};

typedef VEC(struct item) item_list;

/* net/netfilter/nfnetlink_hook.c, nfnl_hook_dump_one: inet's ingress is listed as the device's. */
static void item_add(item_list *list, const struct rec_hook *rec, int32_t priority)
{
	bool ingress = rec->ifindex && rec->pf == NFPROTO_INET;
	struct item *item = vec_push(list);

	if (item)
		*item = (struct item){.pf = ingress ? NFPROTO_NETDEV : rec->pf,
				      .hook = ingress ? 0 : rec->hook,
				      .ifindex = rec->ifindex,
				      .priority = priority,
				      .rec = rec};
}

static bool is_nat(const struct rec_hook *rec)
{
	return !rec->nat && !strncmp(rec->name, "nf_nat_", 7);
}

/*
 * Kernels list NAT's own hooks, or (nfnl_hook_dump_nat) in their place and with their priority those
 * that they call.
 */
static void items_of(const hook_list *hooks, bool below_nat, item_list *ret)
{
	int32_t nat_priority = 0;

	for (size_t i = 0; i < hooks->n; i++) {
		const struct rec_hook *rec = &hooks->v[i];

		if (is_nat(rec))
			nat_priority = rec->priority;
		if (!below_nat && !rec->nat)
			item_add(ret, rec, rec->priority);
		else if (below_nat && !is_nat(rec))
			item_add(ret, rec, rec->nat ? nat_priority : rec->priority);
	}
}

static bool same_point(const struct item *a, const struct item *b)
{
	return a->pf == b->pf && a->hook == b->hook && a->ifindex == b->ifindex;
}

/* Without symbols one side has no names. */
static bool same_item(const struct item *a, const struct item *b)
{
	return same_point(a, b) && a->priority == b->priority &&
	       (!a->rec->name[0] || !b->rec->name[0] || !strcmp(a->rec->name, b->rec->name));
}

/* How many of the point of list[i] stand before it. */
static size_t rank(const item_list *list, size_t i)
{
	size_t n = 0;

	for (size_t j = 0; j < i; j++)
		n += same_point(&list->v[j], &list->v[i]);
	return n;
}

static const struct item *at_rank(const item_list *list, const struct item *point, size_t n)
{
	for (size_t i = 0; i < list->n; i++)
		if (same_point(&list->v[i], point) && !n--)
			return &list->v[i];
	return NULL;
}

static void item_text(const struct item *item, const char *where, struct strbuf *out)
{
	strbuf_addf(out, "%s: %s %s%s%s, priority %d, %s\n", where, nf_family_name(item->pf),
		    nf_hook_name(item->pf, item->hook), item->ifindex ? " " : "",
		    item->ifindex ? item->rec->ifname : "", item->priority,
		    item->rec->name[0] ? item->rec->name : "a function without name");
}

/* Those of a that don't stand at the same place in b. */
static void difference(const item_list *a, const item_list *b, const char *where,
		       struct strbuf *out)
{
	for (size_t i = 0; i < a->n; i++) {
		const struct item *other = at_rank(b, &a->v[i], rank(a, i));

		if (!other || !same_item(&a->v[i], other))
			item_text(&a->v[i], where, out);
	}
}

static void compare_as(const hook_list *read, const hook_list *listed, bool below_nat,
		       struct strbuf *out)
{
	item_list ours = {0}, theirs = {0};

	items_of(read, below_nat, &ours);
	for (size_t i = 0; i < listed->n; i++)
		item_add(&theirs, &listed->v[i], listed->v[i].priority);
	difference(&ours, &theirs, "only in memory", out);
	difference(&theirs, &ours, "only listed", out);
	vec_free(&ours);
	vec_free(&theirs);
}

void hooks_compare(const hook_list *read, const hook_list *listed, struct strbuf *out)
{
	_cleanup_strbuf_ struct strbuf with_nat = {0};
	_cleanup_strbuf_ struct strbuf below_nat = {0};

	compare_as(read, listed, false, &with_nat);
	compare_as(read, listed, true, &below_nat);
	if (with_nat.len && below_nat.len)
		strbuf_add(out, with_nat.len <= below_nat.len ? with_nat.s : below_nat.s);
}
