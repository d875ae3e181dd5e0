/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The kernel's own list of hooks (net/netfilter/nfnetlink_hook.c), to compare with what was read. */
#include "enrich/hooks.h"
#include "enrich/modules.h"
#include "enrich/netlink.h"
#include "enrich/netns.h"

#include <arpa/inet.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_hook.h>
#include <net/if.h>
#include <sys/utsname.h>

#define MODULE "nfnetlink_hook"

struct listing {
	struct nl nl;
	uint32_t netns;
	struct rec_hook point;
	enrich_hook_fn fn;
	void *arg;
};

static bool module_loaded(void)
{
	struct module_list modules;
	bool found = false;

	if (modules_read(NULL, &modules))
		return false;
	for (size_t i = 0; !found && i < modules.v.n; i++)
		found = !strcmp(modules.v.v[i].name, MODULE);
	modules_free(&modules);
	return found;
}

static bool list_has_module(const char *release, const char *list)
{
	_cleanup_free_ char *text = NULL;
	char path[256];

	snprintf(path, sizeof(path), "/lib/modules/%s/%s", release, list);
	return read_file(path, 8 << 20, &text) > 0 && strstr(text, "/" MODULE ".ko");
}

/*
 * Asking would load the module (net/netfilter/nfnetlink.c, nfnetlink_rcv_msg), and tcpwhy changes
 * nothing. 0 where it is loaded or built in, or where there are no modules that could be loaded;
 * -ENOENT where it could be; -EOPNOTSUPP: this kernel has none.
 */
static int may_ask(void)
{
	struct utsname u;
	char path[256];

	uname(&u);
	snprintf(path, sizeof(path), "/lib/modules/%s", u.release);
	if (module_loaded() || access(path, F_OK) < 0 ||
	    list_has_module(u.release, "modules.builtin"))
		return 0;
	return list_has_module(u.release, "modules.dep") ? -ENOENT : -EOPNOTSUPP;
}

static int attr_take(const struct nlattr *attr, void *arg)
{
	struct rec_hook *rec = arg;

	switch (mnl_attr_get_type(attr)) {
	case NFNLA_HOOK_PRIORITY:
		if (mnl_attr_validate(attr, MNL_TYPE_U32) < 0)
			return MNL_CB_ERROR;
		rec->priority = (int32_t)ntohl(mnl_attr_get_u32(attr));
		break;
	case NFNLA_HOOK_FUNCTION_NAME:
		if (mnl_attr_validate(attr, MNL_TYPE_NUL_STRING) < 0)
			return MNL_CB_ERROR;
		str_copy(rec->name, sizeof(rec->name), mnl_attr_get_str(attr));
		break;
	case NFNLA_HOOK_MODULE_NAME:
		if (mnl_attr_validate(attr, MNL_TYPE_NUL_STRING) < 0)
			return MNL_CB_ERROR;
		str_copy(rec->module, sizeof(rec->module), mnl_attr_get_str(attr));
		break;
	default:
		break;
	}
	return MNL_CB_OK;
}

static int entry_take(const struct nlmsghdr *nlh, void *arg)
{
	struct listing *l = arg;
	struct rec_hook rec = l->point;

	if (mnl_attr_parse(nlh, sizeof(struct nfgenmsg), attr_take, &rec) < 0)
		return MNL_CB_ERROR;
	l->fn(l->arg, &rec);
	return MNL_CB_OK;
}

static int point_ask(struct listing *l)
{
	char buf[256];
	struct nlmsghdr *nlh =
		nl_request(buf, sizeof(buf), NFNL_SUBSYS_HOOK << 8 | NFNL_MSG_HOOK_GET, NLM_F_DUMP);
	struct nfgenmsg *nfg = mnl_nlmsg_put_extra_header(nlh, sizeof(*nfg));

	nfg->nfgen_family = l->point.pf;
	nfg->version = NFNETLINK_V0;
	mnl_attr_put_u32(nlh, NFNLA_HOOK_HOOKNUM, htonl(l->point.hook));
	if (l->point.pf == NFPROTO_NETDEV)
		mnl_attr_put_strz(nlh, NFNLA_HOOK_DEV, l->point.ifname);
	return nl_ask(&l->nl, nlh, entry_take, l);
}

/* What this kernel was built without has no points; a device may be gone. */
static int ask_if_there(struct listing *l)
{
	int err = point_ask(l);

	return err == -EINVAL || err == -EOPNOTSUPP || err == -EPROTONOSUPPORT || err == -ENODEV
		       ? 0
		       : err;
}

static int devices_ask(struct listing *l)
{
	struct if_nameindex *devices = if_nameindex();
	int err = devices ? 0 : -errno;

	for (size_t i = 0; !err && devices[i].if_index; i++) {
		l->point = (struct rec_hook){.hdr.netns = l->netns,
					     .pf = NFPROTO_NETDEV,
					     .ifindex = devices[i].if_index};
		str_copy(l->point.ifname, sizeof(l->point.ifname), devices[i].if_name);
		for (l->point.hook = 0; !err && l->point.hook < 2; l->point.hook++)
			err = ask_if_there(l);
	}
	if (devices)
		if_freenameindex(devices);
	return err;
}

static int points_ask(struct listing *l)
{
	static const uint8_t families[] = {NFPROTO_IPV4, NFPROTO_IPV6, NFPROTO_ARP, NFPROTO_BRIDGE};
	int err = 0;

	for (size_t i = 0; !err && i < ARRAY_SIZE(families); i++) {
		for (uint8_t hook = 0; !err && hook < NF_INET_NUMHOOKS; hook++) {
			l->point = (struct rec_hook){
				.hdr.netns = l->netns, .pf = families[i], .hook = hook};
			/* The first point is there in every kernel that has the list. */
			err = i || hook ? ask_if_there(l) : point_ask(l);
			if (err == -EINVAL && !i && !hook)
				return -EOPNOTSUPP;
		}
	}
	return err ? err : devices_ask(l);
}

/* The namespace that the thread is in. */
static int listing_visit(void *arg, uint32_t netns)
{
	struct listing *l = arg;
	int err = nl_open(&l->nl, NETLINK_NETFILTER);

	if (err)
		return err;
	l->netns = netns;
	err = points_ask(l);
	nl_close(&l->nl);
	return err;
}

int hooks_listed_dump(struct netns_map *m, uint32_t netns, enrich_hook_fn fn, void *arg)
{
	struct listing l = {.fn = fn, .arg = arg};
	int err = may_ask();

	if (err)
		return err;
	if (!netns)
		return netns_each(m, 0, listing_visit, &l);
	err = netns_enter(m, netns);
	if (!err)
		err = listing_visit(&l, netns);
	netns_leave(m);
	return err;
}
