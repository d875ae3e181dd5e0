/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The netfilter hooks of namespaces, from the kernel's memory: /proc and netlink don't tell. */
#include "enrich/hooks.h"

#include "enrich/bpf.h"
#include "enrich/hooks_walk.h"
#include "enrich/lookup.h"
#include "enrich/modules.h"
#include "enrich/netns.h"

struct dump {
	struct hooks_memory memory;
	struct module_list modules;
	uint8_t family, hook; /* that are asked for */
	uint32_t ifindex;     /* 0: of every device */
	uint32_t netns;
	enrich_hook_fn fn;
	void *arg;
};

static int memory_read(void *arg, uint64_t addr, void *buf, size_t len)
{
	(void)arg;
	return kmem_read(addr, buf, len);
}

static int dump_open(struct dump *d)
{
	int err = hooks_layout_get(&d->memory.layout);

	d->memory.read = memory_read;
	if (!err)
		err = kmem_open();
	return err ? err : modules_read(NULL, &d->modules);
}

static void dump_close(struct dump *d)
{
	modules_free(&d->modules);
}

/* "iptable_filter", "ip6table_nat", "arptable_filter", "ebtable_broute": the name of the table. */
static const char *legacy_table(const char *module)
{
	static const char *const prefixes[] = {"iptable_", "ip6table_", "arptable_", "ebtable_"};

	for (size_t i = 0; i < ARRAY_SIZE(prefixes); i++)
		if (!strncmp(module, prefixes[i], strlen(prefixes[i])))
			return module + strlen(prefixes[i]);
	return NULL;
}

static bool legacy_module(const char *module)
{
	return !strcmp(module, "ip_tables") || !strcmp(module, "ip6_tables") ||
	       !strcmp(module, "arp_tables") || !strcmp(module, "ebtables");
}

/* What the structs did not tell, the module does. */
static void maker_by_module(const struct module *mod, struct rec_hook *rec)
{
	const char *table = legacy_table(mod->name);

	if (mod->foreign) {
		rec->maker = HOOK_FOREIGN;
	} else if (table || legacy_module(mod->name)) {
		rec->maker = HOOK_IPTABLES;
		if (table)
			str_copy(rec->table, sizeof(rec->table), table);
	} else if (!strcmp(mod->name, "nf_tables") || !strcmp(mod->name, "nft_chain_nat")) {
		rec->maker = HOOK_NFTABLES;
	}
}

static void hook_complete(void *arg, struct rec_hook *rec)
{
	struct dump *d = arg;
	const struct module *mod = modules_find(&d->modules, rec->function);

	if (d->ifindex && rec->ifindex && rec->ifindex != d->ifindex)
		return;
	if (mod)
		str_copy(rec->module, sizeof(rec->module), mod->name);
	if (mod && rec->maker == HOOK_KERNEL)
		maker_by_module(mod, rec);
	if (rec->prog_id)
		(void)bpf_holder(rec->prog_id, &rec->prog_pid, rec->prog_comm);
	rec->hdr.netns = d->netns;
	d->fn(d->arg, rec);
}

/* The namespace that the thread is in. */
static int dump_visit(void *arg, uint32_t netns)
{
	struct dump *d = arg;
	uint64_t net;
	int r = kmem_current_net(&net);

	d->netns = netns;
	if (!r)
		r = hooks_walk(&d->memory, net, d->family, d->hook, hook_complete, d);
	return r > 0 ? -EAGAIN : r;
}

static int dump_run(struct dump *d, struct netns_map *m, uint32_t netns)
{
	int err = dump_open(d);

	if (!err && !netns) {
		err = netns_each(m, 0, dump_visit, d);
	} else if (!err) {
		err = netns_enter(m, netns);
		if (!err)
			err = dump_visit(d, netns);
		netns_leave(m);
	}
	dump_close(d);
	return err;
}

int hooks_dump(struct netns_map *m, uint32_t netns, enrich_hook_fn fn, void *arg)
{
	struct dump d = {.hook = NF_HOOK_ANY, .fn = fn, .arg = arg};

	return dump_run(&d, m, netns);
}

static void hook_answer(void *arg, const struct rec_hook *hook)
{
	struct lookup *l = arg;
	struct rec_hook rec = *hook;

	lookup_add(l, &rec, REC_HOOK, rec.hdr.netns);
}

int hooks_answer(struct lookup *l)
{
	const struct question *q = l->q;
	struct dump d = {.family = q->nf_family,
			 .hook = q->nf_hook,
			 .ifindex = q->ifindex,
			 .fn = hook_answer,
			 .arg = l};

	return q->netns ? dump_run(&d, l->netns, q->netns) : -EINVAL;
}
