/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The structure of nftables' ruleset, from the kernel: some 5 us per rule, where libnftables takes
 * 30, or 70 for JSON.
 */
#include "enrich/ruleset_nft.h"

#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <stdatomic.h>

/* The ruleset may change while it is read. */
#define LOAD_TRIES 5

/* ---- may it be asked for? -------------------------------------------------------------------- */

static bool kernel_has(const char *function)
{
	_cleanup_free_ char *line = NULL;
	FILE *f = fopen("/proc/kallsyms", "re");
	size_t size = 0;
	bool found = false;

	while (f && !found && getline(&line, &size, f) > 0) {
		const char *name = strstr(line, function);

		found = name && name > line && name[-1] == ' ' &&
			strchr(" \t\n", name[strlen(function)]);
	}
	if (f)
		fclose(f);
	return found;
}

/*
 * A request to a kernel without nftables would make it load the module (net/netfilter/nfnetlink.c,
 * nfnetlink_rcv_msg). Built in, it has no directory in /sys/module.
 */
static bool nft_is_loaded(void)
{
	enum { UNKNOWN, BUILT_IN, MODULE };
	static _Atomic int kind;
	int k = atomic_load(&kind);

	if (access("/proc/modules", F_OK) || !access("/sys/module/nf_tables", F_OK))
		return true;
	if (k == UNKNOWN) {
		k = kernel_has("nft_do_chain") ? BUILT_IN : MODULE;
		atomic_store(&kind, k);
	}
	return k == BUILT_IN;
}

/* ---- asking the kernel ----------------------------------------------------------------------- */

static struct nlmsghdr *request_start(void *buf, size_t size, uint8_t family, int msg,
				      uint16_t flags)
{
	struct nlmsghdr *nlh =
		nl_request(buf, size, (uint16_t)(NFNL_SUBSYS_NFTABLES << 8 | msg), flags);
	struct nfgenmsg *nfg = mnl_nlmsg_put_extra_header(nlh, sizeof(*nfg));

	nfg->nfgen_family = family;
	nfg->version = NFNETLINK_V0;
	return nlh;
}

static int generation_read(const struct nlmsghdr *nlh, void *arg)
{
	*(uint32_t *)arg = nft_attr_u32(nft_attrs_of(nlh).v[NFTA_GEN_ID], 0);
	return MNL_CB_OK;
}

static int generation_ask(struct nl *nl, uint32_t *ret)
{
	char buf[256] __attribute__((aligned(8)));
	int err = nl_ask(nl, request_start(buf, sizeof(buf), AF_UNSPEC, NFT_MSG_GETGEN, 0),
			 generation_read, ret);

	/* What a kernel without it says. */
	return err == -EINVAL || err == -EPROTONOSUPPORT ? -EOPNOTSUPP : err;
}

int ruleset_generation(uint32_t *ret)
{
	_cleanup_nl_ struct nl nl = {0};
	int err;

	if (!nft_is_loaded())
		return -EOPNOTSUPP;
	err = nl_open(&nl, NETLINK_NETFILTER);
	if (err)
		return err == -EPROTONOSUPPORT ? -EOPNOTSUPP : err;
	return generation_ask(&nl, ret);
}

static int dump(struct nl *nl, struct nft_load *l, int msg, mnl_cb_t fn)
{
	char buf[256] __attribute__((aligned(8)));

	return nl_ask(nl, request_start(buf, sizeof(buf), AF_UNSPEC, msg, NLM_F_DUMP), fn, l);
}

static int map_dump(struct nl *nl, struct nft_load *l)
{
	const struct rs_table *t = &l->rs->tables.v[l->map->table];
	char buf[1024] __attribute__((aligned(8)));
	struct nlmsghdr *nlh =
		request_start(buf, sizeof(buf), t->family, NFT_MSG_GETSETELEM, NLM_F_DUMP);

	mnl_attr_put_strz(nlh, NFTA_SET_ELEM_LIST_TABLE, t->name);
	mnl_attr_put_strz(nlh, NFTA_SET_ELEM_LIST_SET, l->map->name);
	return nl_ask(nl, nlh, nft_element_read, l);
}

static int load_all(struct nl *nl, struct nft_load *l)
{
	int err = dump(nl, l, NFT_MSG_GETCHAIN, nft_chain_read);

	if (!err)
		err = dump(nl, l, NFT_MSG_GETSET, nft_set_read);
	for (l->map = l->maps; l->map && !err; l->map = l->map->hh.next)
		err = map_dump(nl, l);
	if (!err)
		err = dump(nl, l, NFT_MSG_GETRULE, nft_rule_read);
	return err;
}

/* -EAGAIN: it changed meanwhile. */
static int load_once(struct ruleset *rs)
{
	struct nft_load l = {.rs = rs, .chain = RS_NONE};
	_cleanup_nl_ struct nl nl = {0};
	uint32_t after = 0;
	int err = nl_open(&nl, NETLINK_NETFILTER);

	if (!err)
		err = generation_ask(&nl, &rs->generation);
	if (!err)
		err = load_all(&nl, &l);
	nft_maps_free(&l);
	/* EINTR: the kernel says that a dump isn't of one piece. ENOENT: a set is gone. */
	if (err)
		return err == -EINTR || err == -ENOENT ? -EAGAIN : err;
	err = generation_ask(&nl, &after);
	return !err && after != rs->generation ? -EAGAIN : err;
}

int ruleset_load(struct ruleset *rs)
{
	int err = nft_is_loaded() ? -EAGAIN : -EOPNOTSUPP;

	for (int i = 0; i < LOAD_TRIES && err == -EAGAIN; i++) {
		ruleset_free(rs);
		err = load_once(rs);
	}
	if (err)
		return err == -EOPNOTSUPP || err == -EPROTONOSUPPORT ? 0 : err;
	return ruleset_finish(rs);
}
