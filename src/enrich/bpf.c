/* SPDX-License-Identifier: GPL-2.0-or-later */
/* BPF programs that can drop a packet at a device (XDP, tc) or at a cgroup. */
#include "enrich/bpf_private.h"

#include "enrich/netns.h"

#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <net/if.h>

/* enum bpf_attach_type, 6.6 and later; libbpf 1.1 does not know them. */
#define ATTACH_TCX_INGRESS ((enum bpf_attach_type)46)
#define ATTACH_TCX_EGRESS ((enum bpf_attach_type)47)

static void btf_free(struct btf **btf)
{
	btf__free(*btf);
}

/*
 * The kernel keeps 15 bytes of a program's name; the whole one is in its BTF, as that of its first
 * function.
 */
static void name_complete(int fd, const struct bpf_prog_info *known, char *ret, size_t size)
{
	_cleanup_(btf_free) struct btf *btf = NULL;
	struct bpf_func_info func = {0};
	struct bpf_prog_info info = {
		.nr_func_info = 1,
		.func_info_rec_size = sizeof(func),
		.func_info = (uint64_t)(uintptr_t)&func,
	};
	uint32_t len = sizeof(info);
	const struct btf_type *t;
	const char *name;

	str_copy(ret, size, known->name);
	if (strlen(known->name) + 1 < sizeof(known->name) || !known->btf_id ||
	    bpf_obj_get_info_by_fd(fd, &info, &len) || !info.nr_func_info)
		return;
	btf = btf__load_from_kernel_by_id(known->btf_id);
	t = btf ? btf__type_by_id(btf, func.type_id) : NULL;
	name = t ? btf__name_by_offset(btf, t->name_off) : NULL;
	if (name && *name)
		str_copy(ret, size, name);
}

void bpf_note(struct bpf_found *f, enum bpf_place place, uint32_t id, const char *name,
	      const char *where)
{
	_cleanup_close_ int fd = id ? bpf_prog_get_fd_by_id(id) : -1;
	struct bpf_prog_info info = {0};
	uint32_t len = sizeof(info);
	struct rec_bpf_prog *rec;

	if (f->n == LOOKUP_RECORDS_MAX)
		return;
	rec = &f->v[f->n++];
	*rec = (struct rec_bpf_prog){.id = id, .place = (uint8_t)place};
	str_copy(rec->where, sizeof(rec->where), where);
	str_copy(rec->name, sizeof(rec->name), name);
	if (fd < 0 || bpf_obj_get_info_by_fd(fd, &info, &len))
		return;
	rec->loaded_ns = info.load_time;
	rec->uid = info.created_by_uid;
	name_complete(fd, &info, rec->name, sizeof(rec->name));
}

/* At most one program per mode: include/uapi/linux/if_link.h, IFLA_XDP. */
static void xdp_parse(struct bpf_found *f, const struct nlattr *xdp)
{
	const struct nlattr *attr;

	mnl_attr_for_each_nested(attr, xdp) {
		uint16_t type = mnl_attr_get_type(attr);
		const char *mode = type == IFLA_XDP_DRV_PROG_ID	  ? "native"
				   : type == IFLA_XDP_SKB_PROG_ID ? "generic"
				   : type == IFLA_XDP_HW_PROG_ID  ? "offloaded"
								  : NULL;

		if (mode && mnl_attr_get_payload_len(attr) >= 4 && mnl_attr_get_u32(attr))
			bpf_note(f, BPF_AT_XDP, mnl_attr_get_u32(attr), "", mode);
	}
}

static int link_parse(const struct nlmsghdr *nlh, void *arg)
{
	const struct nlattr *attr;

	mnl_attr_for_each(attr, nlh, sizeof(struct ifinfomsg))
		if (mnl_attr_get_type(attr) == IFLA_XDP)
			xdp_parse(arg, attr);
	return MNL_CB_OK;
}

static int xdp_find(struct bpf_found *f, struct nl *nl, uint32_t ifindex)
{
	char buf[256] __attribute__((aligned(8)));
	struct nlmsghdr *nlh = nl_request(buf, sizeof(buf), RTM_GETLINK, 0);
	struct ifinfomsg *ifi = mnl_nlmsg_put_extra_header(nlh, sizeof(*ifi));

	ifi->ifi_index = (int)ifindex;
	return nl_ask(nl, nlh, link_parse, f);
}

int bpf_query(int target, enum bpf_attach_type type, uint32_t flags, uint32_t ret_ids[BPF_IDS_MAX],
	      uint32_t *ret_n)
{
	uint32_t n = BPF_IDS_MAX;
	int err = bpf_prog_query(target, type, flags, NULL, ret_ids, &n);

	if (err && err != -ENOSPC) { /* there are more */
		*ret_n = 0;
		return err;
	}
	*ret_n = n < BPF_IDS_MAX ? n : BPF_IDS_MAX;
	return 0;
}

/* EINVAL before 6.6. */
static void tcx_find(struct bpf_found *f, uint32_t ifindex, enum bpf_attach_type type,
		     enum bpf_place place)
{
	uint32_t ids[BPF_IDS_MAX], n;

	bpf_query((int)ifindex, type, 0, ids, &n);
	for (uint32_t i = 0; i < n; i++)
		bpf_note(f, place, ids[i], "", "tcx");
}

static int device_find(struct bpf_found *f, uint32_t ifindex)
{
	char ifname[IF_NAMESIZE] = "";
	_cleanup_nl_ struct nl nl;
	int err = nl_open(&nl, NETLINK_ROUTE);

	if (!err)
		err = xdp_find(f, &nl, ifindex);
	if (err)
		return err;
	tcx_find(f, ifindex, ATTACH_TCX_INGRESS, BPF_AT_TC_INGRESS);
	tcx_find(f, ifindex, ATTACH_TCX_EGRESS, BPF_AT_TC_EGRESS);
	err = bpf_tc_find(f, &nl, ifindex);
	if_indextoname(ifindex, ifname);
	for (size_t i = 0; i < f->n; i++) {
		f->v[i].ifindex = ifindex;
		memcpy(f->v[i].ifname, ifname, sizeof(f->v[i].ifname));
	}
	return err;
}

static void found_add(struct bpf_found *f, uint32_t netns)
{
	if (f->n)
		bpf_pins_fill(f);
	for (size_t i = 0; i < f->n; i++) {
		struct rec_bpf_prog *rec = &f->v[i];

		bpf_holder(rec->id, &rec->pid, rec->comm);
		lookup_add(f->l, rec, REC_BPF_PROG, netns);
	}
}

int bpf_progs_answer(struct lookup *l)
{
	const struct question *q = l->q;
	struct bpf_found f = {.l = l};
	int err = q->ifindex || q->cgroup ? 0 : -EINVAL, cgroup_err;

	if (q->ifindex) {
		err = netns_enter(l->netns, q->netns);
		if (!err)
			err = device_find(&f, q->ifindex);
		netns_leave(l->netns);
	}
	if (q->cgroup) {
		cgroup_err = bpf_cgroup_find(&f, q->cgroup);
		err = err ? err : cgroup_err;
	}
	found_add(&f, q->netns);
	return err;
}
