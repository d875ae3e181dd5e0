/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What iptables-save and its relatives print. */
#include "enrich/child.h"
#include "enrich/ruleset.h"

#include <linux/netfilter.h>
#include <linux/netfilter_bridge.h>

#define SAVED_MAX ((size_t)32 * 1024 * 1024)

int xtables_hook(uint8_t family, const char *chain)
{
	static const struct {
		const char *name;
		int hook;
	} hooks[] = {
		{"PREROUTING", NF_INET_PRE_ROUTING},   {"INPUT", NF_INET_LOCAL_IN},
		{"FORWARD", NF_INET_FORWARD},	       {"OUTPUT", NF_INET_LOCAL_OUT},
		{"POSTROUTING", NF_INET_POST_ROUTING},
	};

	/* Bridges number theirs alike; broute's chain runs before the hooks. */
	if (family == NFPROTO_BRIDGE && !strcmp(chain, "BROUTING"))
		return NF_BR_PRE_ROUTING;
	for (size_t i = 0; i < ARRAY_SIZE(hooks); i++)
		if (!strcmp(hooks[i].name, chain))
			return hooks[i].hook;
	return -1;
}

bool xtables_is_builtin_table(uint8_t family, const char *table)
{
	static const char *const ip[] = {"filter", "nat", "mangle", "raw", "security"};
	static const char *const bridge[] = {"filter", "nat", "broute"};

	for (size_t i = 0; i < ARRAY_SIZE(ip); i++)
		if ((family == NFPROTO_IPV4 || family == NFPROTO_IPV6) && !strcmp(ip[i], table))
			return true;
	for (size_t i = 0; i < ARRAY_SIZE(bridge); i++)
		if (family == NFPROTO_BRIDGE && !strcmp(bridge[i], table))
			return true;
	return false;
}

/* ---- parsing --------------------------------------------------------------------------------- */

struct word {
	const char *s;
	size_t len;
};

/* The next word of a line, quotes and escapes included; of no length at the end. */
static struct word word_next(const char **at)
{
	const char *p = *at + strspn(*at, " ");
	struct word w = {p, 0};
	bool quoted = false;

	for (; *p && (quoted || *p != ' '); p++) {
		if (*p == '\\' && p[1])
			p++;
		else if (*p == '"')
			quoted = !quoted;
	}
	w.len = (size_t)(p - w.s);
	*at = p;
	return w;
}

static bool word_is(struct word w, const char *s)
{
	return w.len == strlen(s) && !memcmp(w.s, s, w.len);
}

/*
 * The target or chain. "-j" may also be the value of a match, such as a comment, but then an option
 * follows, and never a name.
 */
static struct word target_find(const char *rule)
{
	struct word w = word_next(&rule);

	while (w.len) {
		bool jump = word_is(w, "-j") || word_is(w, "-g");

		w = word_next(&rule);
		if (jump && w.len && *w.s != '-' && *w.s != '!')
			return w;
	}
	return w;
}

/* "[packets:bytes]" at *at; skips it. */
static bool counter_cut(char **at, uint64_t *ret)
{
	unsigned long long packets;
	int len = 0;

	if (sscanf(*at, "[%llu:%*u]%n", &packets, &len) < 1 || !len)
		return false;
	*ret = packets;
	*at += len;
	*at += strspn(*at, " ");
	return true;
}

/* ":NAME POLICY [packets:bytes]"; the policy of a chain that isn't builtin is "-". */
static void chain_line(struct ruleset *rs, uint32_t table, char *line)
{
	char *name = line + 1, *policy = strchr(name, ' '), *rest;
	struct rs_chain *c;
	int hook;

	if (!policy || policy == name)
		return;
	*policy++ = '\0';
	rest = strchrnul(policy, ' ');
	if (*rest)
		*rest++ = '\0';
	c = ruleset_add_chain(rs, table, name);
	hook = xtables_hook(rs->tables.v[table].family, name);
	if (!c || hook < 0)
		return;
	c->base = true;
	c->hook = (uint8_t)hook;
	c->policy_drop = !strcmp(policy, "DROP");
	c->counted = counter_cut(&rest, &c->packets);
}

/* "[packets:bytes] -A CHAIN …" */
static void rule_line(struct ruleset *rs, uint32_t table, char *line)
{
	_cleanup_free_ char *chain_name = NULL, *target_name = NULL;
	uint64_t packets = 0;
	bool counted = counter_cut(&line, &packets);
	const char *at = line;
	struct word option = word_next(&at), name = word_next(&at), target;
	struct rs_rule *r;
	uint32_t chain;

	if (!word_is(option, "-A"))
		return;
	chain_name = strndup(name.s, name.len);
	chain = chain_name ? ruleset_chain(rs, table, chain_name) : RS_NONE;
	r = chain != RS_NONE ? ruleset_add_rule(rs, chain) : NULL;
	if (!r)
		return;
	r->flags = counted ? RS_COUNTED : 0;
	r->packets = packets;
	r->text = strdup(line);
	target = target_find(at);
	target_name = strndup(target.s, target.len);
	if (word_is(target, "DROP") || word_is(target, "REJECT"))
		r->flags |= RS_DROPS;
	else if (target_name)
		ruleset_add_edge(rs, chain, ruleset_chain(rs, table, target_name));
}

/* What can change without the table being changed doesn't count. */
static void content_note(struct rs_table *t, const char *line)
{
	const char *end = strstr(line, " [");

	if (*line == '[')
		line += strcspn(line, "]");
	t->content = hash_add(t->content, line,
			      *line == ':' && end ? (size_t)(end - line) : strlen(line) + 1);
}

int xtables_parse(const char *text, uint8_t family, struct ruleset *rs)
{
	uint32_t table = RS_NONE;

	while (*text) {
		size_t len = strcspn(text, "\n");
		_cleanup_free_ char *line = strndup(text, len);

		text += len + (text[len] == '\n');
		if (!line)
			return -ENOMEM;
		if (*line == '*') {
			table = ruleset_table(rs, family, line + 1);
			if (table != RS_NONE)
				rs->tables.v[table].content = HASH_START;
		}
		if (table == RS_NONE || *line == '#' || *line == '*')
			continue;
		content_note(&rs->tables.v[table], line);
		if (*line == ':')
			chain_line(rs, table, line);
		else
			rule_line(rs, table, line);
	}
	return ruleset_finish(rs);
}

/* ---- the programs ---------------------------------------------------------------------------- */

/*
 * iptables-FLAVOUR-save, or iptables-save where that is a name of this flavour's program and of no
 * other: a look by the other one would make tables.
 */
static int program_find(const char *base, const char *flavour, char **ret)
{
	_cleanup_free_ char *named = NULL, *plain = NULL, *path = NULL, *real = NULL, *multi = NULL;
	int err;

	if (asprintf(&named, "%s-%s-save", base, flavour) < 0)
		named = NULL;
	if (asprintf(&plain, "%s-save", base) < 0)
		plain = NULL;
	if (asprintf(&multi, "/xtables-%s-multi", flavour) < 0)
		multi = NULL;
	if (!named || !plain || !multi)
		return -ENOMEM;
	if (!child_find(named, ret))
		return 0;
	err = child_find(plain, &path);
	if (err)
		return err;
	real = realpath(path, NULL);
	if (!real || strlen(real) < strlen(multi) ||
	    strcmp(real + strlen(real) - strlen(multi), multi))
		return -ENOENT;
	*ret = path;
	path = NULL;
	return 0;
}

/* with: "-c" for counters, or NULL. */
static int save(uint8_t family, const char *flavour, const char *table, const char *with,
		char **ret)
{
	const char *base = family == NFPROTO_IPV4   ? "iptables"
			   : family == NFPROTO_IPV6 ? "ip6tables"
						    : "ebtables";
	_cleanup_free_ char *program = NULL;
	int err = program_find(base, flavour, &program);
	const char *const argv[] = {program, "-t", table, with, NULL};

	return err ? err : child_output(argv, SAVED_MAX, ret);
}

int xtables_nft_save(uint8_t family, const char *table, char **ret)
{
	return save(family, "nft", table, NULL, ret);
}

/* The tables that there are, one a line. There is no such file without them in the kernel. */
static int legacy_names(uint8_t family, char **ret)
{
	const char *path = family == NFPROTO_IPV4   ? "/proc/thread-self/net/ip_tables_names"
			   : family == NFPROTO_IPV6 ? "/proc/thread-self/net/ip6_tables_names"
						    : "/proc/thread-self/net/arp_tables_names";
	ssize_t n = read_file(path, 4096, ret);

	return n < 0 ? (int)n : 0;
}

/*
 * ebtables' tables show nowhere, and asking for one makes it (net/bridge/netfilter/ebtables.c,
 * find_inlist_lock_noload): where its modules are loaded, there may be some.
 */
static int ebtables_legacy_load(void)
{
	static const char *const modules[] = {"/sys/module/ebtable_filter",
					      "/sys/module/ebtable_nat",
					      "/sys/module/ebtable_broute"};

	for (size_t i = 0; i < ARRAY_SIZE(modules); i++)
		if (!access(modules[i], F_OK))
			return -EOPNOTSUPP;
	return 0;
}

int xtables_legacy_load(uint8_t family, struct ruleset *rs)
{
	_cleanup_free_ char *names = NULL;
	int result = 0, err;
	char *rest, *name;

	if (family == NFPROTO_BRIDGE)
		return ebtables_legacy_load();
	err = legacy_names(family, &names);
	if (err)
		return err == -ENOENT ? 0 : err;
	rest = names;
	while ((name = strsep(&rest, "\n"))) {
		_cleanup_free_ char *text = NULL;

		if (!*name)
			continue;
		err = xtables_is_builtin_table(family, name)
			      ? save(family, "legacy", name, "-c", &text)
			      : -EOPNOTSUPP;
		if (!err)
			err = xtables_parse(text, family, rs);
		result = result ? result : err;
	}
	return result;
}
