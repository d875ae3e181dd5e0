/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * tc filters of a device that can drop: BPF programs, be it as filter or as its action, and filters
 * of any kind with an action that drops.
 */
#include "enrich/bpf_private.h"

#include <linux/pkt_cls.h>
#include <linux/pkt_sched.h>
#include <linux/rtnetlink.h>
#include <linux/tc_act/tc_bpf.h>
#include <linux/tc_act/tc_gact.h>

/* Which of a filter's options are its actions. */
static const struct {
	const char *kind;
	uint16_t actions;
} kinds[] = {
	{"bpf", TCA_BPF_ACT},	    {"flower", TCA_FLOWER_ACT}, {"matchall", TCA_MATCHALL_ACT},
	{"u32", TCA_U32_ACT},	    {"basic", TCA_BASIC_ACT},	{"fw", TCA_FW_ACT},
	{"cgroup", TCA_CGROUP_ACT}, {"flow", TCA_FLOW_ACT},	{"route", TCA_ROUTE4_ACT},
};

struct dump {
	struct bpf_found *f;
	enum bpf_place place;
	bool root; /* filters of the root qdisc */
};

struct filter {
	const struct dump *dump;
	char kind[16];
	char where[48]; /* "pref 10 handle 0x1" */
};

/* "" if it isn't terminated. */
static const char *text_of(const struct nlattr *attr)
{
	return mnl_attr_validate(attr, MNL_TYPE_NUL_STRING) < 0 ? "" : mnl_attr_get_str(attr);
}

static const struct nlattr *member(const struct nlattr *nest, uint16_t type, uint16_t len)
{
	const struct nlattr *attr;

	mnl_attr_for_each_nested(attr, nest)
		if (mnl_attr_get_type(attr) == type && mnl_attr_get_payload_len(attr) >= len)
			return attr;
	return NULL;
}

static uint32_t member_u32(const struct nlattr *nest, uint16_t type)
{
	const struct nlattr *attr = member(nest, type, 4);

	return attr ? mnl_attr_get_u32(attr) : 0;
}

static void filter_note(const struct filter *filter, uint32_t id, const char *name,
			const char *action)
{
	char where[80];

	snprintf(where, sizeof(where), "%s%s%s%s", filter->dump->root ? "root " : "", filter->where,
		 *action ? " action " : "", action);
	bpf_note(filter->dump->f, filter->dump->place, id, name, where);
}

static bool action_drops(const char *kind, const struct nlattr *options)
{
	const struct nlattr *parms;
	struct tc_gact gact;
	struct tc_police police;

	if (!strcmp(kind, "gact")) {
		parms = member(options, TCA_GACT_PARMS, sizeof(gact));
		if (!parms)
			return false;
		memcpy(&gact, mnl_attr_get_payload(parms), sizeof(gact));
		return gact.action == TC_ACT_SHOT;
	}
	if (!strcmp(kind, "police")) {
		parms = member(options, TCA_POLICE_TBF, sizeof(police));
		if (!parms)
			return false;
		memcpy(&police, mnl_attr_get_payload(parms), sizeof(police));
		return police.action == TC_ACT_SHOT; /* of what exceeds the rate */
	}
	return false;
}

/* id: of the filter's own program, 0 if it is of another kind. */
static void action_parse(const struct filter *filter, const struct nlattr *action, uint32_t id)
{
	const struct nlattr *kind = member(action, TCA_ACT_KIND, 1);
	const struct nlattr *options = member(action, TCA_ACT_OPTIONS, 0);
	const char *name;

	if (!kind || !options)
		return;
	name = text_of(kind);
	if (!strcmp(name, "bpf"))
		filter_note(filter, member_u32(options, TCA_ACT_BPF_ID), filter->kind, "bpf");
	else if (action_drops(name, options))
		filter_note(filter, id, filter->kind, strcmp(name, "gact") ? name : "drop");
}

static void options_parse(const struct filter *filter, const struct nlattr *options)
{
	bool bpf = !strcmp(filter->kind, "bpf");
	uint32_t id = bpf ? member_u32(options, TCA_BPF_ID) : 0;
	const struct nlattr *actions = NULL, *action;

	/* Else its verdict is only that it matches, for the actions to be run. */
	if (bpf && member_u32(options, TCA_BPF_FLAGS) & TCA_BPF_FLAG_ACT_DIRECT)
		filter_note(filter, id, "", "");
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++)
		if (!strcmp(kinds[i].kind, filter->kind))
			actions = member(options, kinds[i].actions, 0);
	if (actions)
		mnl_attr_for_each_nested(action, actions)
			action_parse(filter, action, id);
}

static int filter_parse(const struct nlmsghdr *nlh, void *arg)
{
	const struct tcmsg *tcm = mnl_nlmsg_get_payload(nlh);
	const struct nlattr *attr, *options = NULL;
	struct filter filter = {.dump = arg};
	uint32_t chain = 0;
	char text[24] = "";

	if (mnl_nlmsg_get_payload_len(nlh) < sizeof(*tcm))
		return MNL_CB_OK;
	mnl_attr_for_each(attr, nlh, sizeof(*tcm)) {
		uint16_t type = mnl_attr_get_type(attr);

		if (type == TCA_KIND)
			str_copy(filter.kind, sizeof(filter.kind), text_of(attr));
		else if (type == TCA_CHAIN && mnl_attr_get_payload_len(attr) >= 4)
			chain = mnl_attr_get_u32(attr);
		else if (type == TCA_OPTIONS)
			options = attr;
	}
	if (!options)
		return MNL_CB_OK;
	if (chain)
		snprintf(text, sizeof(text), "chain %u ", chain);
	snprintf(filter.where, sizeof(filter.where), "%spref %u handle 0x%x", text,
		 TC_H_MAJ(tcm->tcm_info) >> 16, tcm->tcm_handle);
	options_parse(&filter, options);
	return MNL_CB_OK;
}

static struct nlmsghdr *request_start(char *buf, size_t size, uint16_t type, uint32_t ifindex,
				      uint32_t parent)
{
	struct nlmsghdr *nlh = nl_request(buf, size, type, NLM_F_DUMP);
	struct tcmsg *tcm = mnl_nlmsg_put_extra_header(nlh, sizeof(*tcm));

	tcm->tcm_ifindex = (int)ifindex;
	tcm->tcm_parent = parent;
	return nlh;
}

struct qdisc {
	uint32_t ifindex;
	bool is_ingress;
};

static int qdisc_parse(const struct nlmsghdr *nlh, void *arg)
{
	const struct tcmsg *tcm = mnl_nlmsg_get_payload(nlh);
	struct qdisc *ret = arg;
	const struct nlattr *attr;

	if (mnl_nlmsg_get_payload_len(nlh) < sizeof(*tcm) ||
	    (uint32_t)tcm->tcm_ifindex != ret->ifindex || tcm->tcm_parent != TC_H_INGRESS)
		return MNL_CB_OK;
	mnl_attr_for_each(attr, nlh, sizeof(*tcm))
		if (mnl_attr_get_type(attr) == TCA_KIND)
			ret->is_ingress = !strcmp(text_of(attr), "ingress");
	return MNL_CB_OK;
}

/*
 * The qdisc "ingress" (unlike "clsact") answers with its filters whatever the parent
 * (net/sched/sch_ingress.c, ingress_tcf_block): it has none at egress. Only a dump tells, as for a
 * single qdisc older kernels notify everybody (net/sched/sch_api.c, tc_get_qdisc).
 */
static bool has_egress(struct nl *nl, uint32_t ifindex)
{
	char buf[256] __attribute__((aligned(8)));
	struct qdisc qdisc = {.ifindex = ifindex};

	return !nl_ask(nl, request_start(buf, sizeof(buf), RTM_GETQDISC, ifindex, 0), qdisc_parse,
		       &qdisc) &&
	       !qdisc.is_ingress;
}

int bpf_tc_find(struct bpf_found *f, struct nl *nl, uint32_t ifindex)
{
	static const struct {
		uint32_t parent;
		enum bpf_place place;
	} parents[] = {
		{TC_H_MAKE(TC_H_CLSACT, TC_H_MIN_INGRESS), BPF_AT_TC_INGRESS},
		{TC_H_MAKE(TC_H_CLSACT, TC_H_MIN_EGRESS), BPF_AT_TC_EGRESS},
		{0, BPF_AT_TC_EGRESS},
	};
	char buf[256] __attribute__((aligned(8)));

	for (size_t i = 0; i < ARRAY_SIZE(parents); i++) {
		uint32_t parent = parents[i].parent;
		struct dump dump = {f, parents[i].place, !parent};
		size_t before = f->n;
		int err =
			nl_ask(nl, request_start(buf, sizeof(buf), RTM_GETTFILTER, ifindex, parent),
			       filter_parse, &dump);

		if (err)
			return err == -EOPNOTSUPP ? 0 : err; /* a kernel without tc */
		if (f->n > before && parent == parents[1].parent && !has_egress(nl, ifindex))
			f->n = before;
	}
	return 0;
}
