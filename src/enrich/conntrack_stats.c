/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Conntrack counts per namespace and CPU. /proc/net/stat/nf_conntrack has it all, but some
 * distributions build the kernel without CONFIG_NF_CONNTRACK_PROCFS; then ctnetlink tells.
 */
#include "enrich/conntrack_stats.h"

#include "enrich/netlink.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>

/* column: of the file, net/netfilter/nf_conntrack_standalone.c, ct_cpu_seq_show. */
static const struct {
	const char *name;
	const char *column;
	uint16_t attr; /* CTA_STATS_* */
} stats[] = {
	{"Invalid", "invalid", CTA_STATS_INVALID},
	{"InsertFailed", "insert_failed", CTA_STATS_INSERT_FAILED},
	{"Drop", "drop", CTA_STATS_DROP},
	{"EarlyDrop", "early_drop", CTA_STATS_EARLY_DROP},
	{"Error", "icmp_error", CTA_STATS_ERROR},
	{"SearchRestart", "search_restart", CTA_STATS_SEARCH_RESTART},
	{"ClashResolve", "clashres", CTA_STATS_CLASH_RESOLVE},
	{"ChainTooLong", "chainlength", CTA_STATS_CHAIN_TOOLONG},
};

#define STATS_MAX ARRAY_SIZE(stats)
#define COLUMNS_MAX 32

struct sums {
	uint64_t v[STATS_MAX];
	bool has[STATS_MAX];
	uint64_t entries;
	bool has_entries;
};

static void sums_hand_over(const struct sums *s, counter_fn fn, void *arg)
{
	static const char prefix[] = "Conntrack";
	size_t len = strlen(prefix);

	for (size_t i = 0; i < STATS_MAX; i++)
		if (s->has[i])
			fn(arg, prefix, len, stats[i].name, strlen(stats[i].name), s->v[i]);
	if (s->has_entries)
		fn(arg, CONNTRACK_COUNT, len, CONNTRACK_COUNT + len, strlen(CONNTRACK_COUNT) - len,
		   s->entries);
}

/* Which counter a column is, STATS_MAX if none of ours. */
static size_t column_stat(const char *name, size_t len)
{
	size_t i = 0;

	while (i < STATS_MAX &&
	       (strncmp(stats[i].column, name, len) || stats[i].column[len] != '\0'))
		i++;
	return i;
}

/* One CPU's line: hexadecimal numbers; the first is the same in each. */
static void row_add(struct sums *s, const char *row, const size_t *columns, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		uint64_t value;
		char *end;

		row += strspn(row, " ");
		if (!isxdigit((unsigned char)*row))
			break;
		value = strtoull(row, &end, 16);
		row = end;
		if (!i) {
			s->entries = value;
			s->has_entries = true;
		} else if (columns[i] < STATS_MAX) {
			s->v[columns[i]] += value;
			s->has[columns[i]] = true;
		}
	}
}

void conntrack_stats_parse(const char *text, counter_fn fn, void *arg)
{
	size_t columns[COLUMNS_MAX], n = 0;
	const char *p = text + strspn(text, " ");
	struct sums s = {0};

	while (*p && *p != '\n') {
		size_t len = strcspn(p, " \n");

		if (n < COLUMNS_MAX)
			columns[n++] = column_stat(p, len);
		p += len;
		p += strspn(p, " ");
	}
	for (; *p; p = strchrnul(p, '\n')) {
		p++;
		row_add(&s, p, columns, n);
	}
	sums_hand_over(&s, fn, arg);
}

static uint32_t be32_get(const struct nlattr *attr)
{
	return mnl_attr_get_payload_len(attr) >= 4 ? ntohl(mnl_attr_get_u32(attr)) : 0;
}

/* One message per CPU: net/netfilter/nf_conntrack_netlink.c, ctnetlink_ct_stat_cpu_fill_info. */
static int cpu_parse(const struct nlmsghdr *nlh, void *arg)
{
	const struct nlattr *attr;
	struct sums *s = arg;

	mnl_attr_for_each(attr, nlh, sizeof(struct nfgenmsg)) {
		for (size_t i = 0; i < STATS_MAX; i++) {
			if (stats[i].attr != mnl_attr_get_type(attr))
				continue;
			s->v[i] += be32_get(attr);
			s->has[i] = true;
		}
	}
	return MNL_CB_OK;
}

static int entries_parse(const struct nlmsghdr *nlh, void *arg)
{
	const struct nlattr *attr;
	struct sums *s = arg;

	mnl_attr_for_each(attr, nlh, sizeof(struct nfgenmsg)) {
		if (mnl_attr_get_type(attr) != CTA_STATS_GLOBAL_ENTRIES)
			continue;
		s->entries = be32_get(attr);
		s->has_entries = true;
	}
	return MNL_CB_OK;
}

static int stats_ask(struct nl *nl, uint8_t what, uint16_t flags, mnl_cb_t parse, struct sums *s)
{
	char buf[64] __attribute__((aligned(8)));
	struct nlmsghdr *nlh =
		nl_request(buf, sizeof(buf), NFNL_SUBSYS_CTNETLINK << 8 | what, flags);
	struct nfgenmsg *nfg = mnl_nlmsg_put_extra_header(nlh, sizeof(*nfg));

	nfg->version = NFNETLINK_V0;
	return nl_ask(nl, nlh, parse, s);
}

int conntrack_stats_ask(counter_fn fn, void *arg)
{
	struct sums s = {0};
	_cleanup_nl_ struct nl nl;
	int err = nl_open(&nl, NETLINK_NETFILTER);

	if (!err)
		err = stats_ask(&nl, IPCTNL_MSG_CT_GET_STATS_CPU, NLM_F_DUMP, cpu_parse, &s);
	if (!err)
		err = stats_ask(&nl, IPCTNL_MSG_CT_GET_STATS, 0, entries_parse, &s);
	sums_hand_over(&s, fn, arg);
	return err;
}

int conntrack_stats(bool can_ask, counter_fn fn, void *arg)
{
	_cleanup_free_ char *text = NULL;

	/* Some 160 bytes per CPU. */
	if (read_file("/proc/thread-self/net/stat/nf_conntrack", 1024 * 1024, &text) >= 0) {
		conntrack_stats_parse(text, fn, arg);
		return 0;
	}
	return can_ask ? conntrack_stats_ask(fn, arg) : -ENOENT;
}
