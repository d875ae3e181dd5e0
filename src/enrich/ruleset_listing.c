/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What `nft -a list …` prints. */
#include "enrich/ruleset.h"

#include <ctype.h>
#include <linux/netfilter.h>

static const struct {
	const char *name;
	uint8_t family;
} families[] = {
	{"ip", NFPROTO_IPV4}, {"ip6", NFPROTO_IPV6},	  {"inet", NFPROTO_INET},
	{"arp", NFPROTO_ARP}, {"bridge", NFPROTO_BRIDGE}, {"netdev", NFPROTO_NETDEV},
};

const char *nft_family_word(uint8_t family)
{
	for (size_t i = 0; i < ARRAY_SIZE(families); i++)
		if (families[i].family == family)
			return families[i].name;
	return "";
}

static uint8_t family_read(const char *word)
{
	for (size_t i = 0; i < ARRAY_SIZE(families); i++)
		if (!strcmp(families[i].name, word))
			return families[i].family;
	return 0;
}

/* Cuts "# handle N" off the end of a line. A comment can't look like that: it ends with a quote. */
static bool handle_cut(struct strbuf *line, uint64_t *ret)
{
	static const char mark[] = " # handle ";
	size_t digits = line->len;

	while (digits && isdigit((unsigned char)line->s[digits - 1]))
		digits--;
	if (digits == line->len || digits < sizeof(mark) - 1 ||
	    memcmp(line->s + digits - (sizeof(mark) - 1), mark, sizeof(mark) - 1) ||
	    parse_u64(line->s + digits, 0, UINT64_MAX, ret))
		return false;
	line->len = digits - (sizeof(mark) - 1);
	line->s[line->len] = '\0';
	return true;
}

/* "PREFIXfirst second {…": what stands up to " {", at ret. */
static bool header_read(const char *line, size_t len, const char *prefix, char *ret, size_t size)
{
	size_t skip = strlen(prefix);
	const char *end = memmem(line, len, " {", 2);

	if (len <= skip || memcmp(line, prefix, skip) || !end || end < line + skip)
		return false;
	snprintf(ret, size, "%.*s", (int)(end - line - (ptrdiff_t)skip), line + skip);
	return true;
}

struct listing {
	char table[512], chain[512]; /* table: with its family */
	struct strbuf rule;	     /* the lines so far of one rule */
	int depth;		     /* of braces at their end, */
	bool quoted;		     /* and whether in quotes */
	nft_listed_fn fn;
	void *arg;
};

static void rule_reset(struct listing *l)
{
	strbuf_reset(&l->rule);
	l->depth = 0;
	l->quoted = false;
}

/* Where a set or a block is open at the end, the rule goes on. nft has no escapes. */
static void rule_add(struct listing *l, const char *line, size_t len)
{
	if (l->rule.len)
		strbuf_addc(&l->rule, '\n');
	strbuf_addn(&l->rule, line, len);
	for (size_t i = 0; i < len; i++) {
		if (line[i] == '"')
			l->quoted = !l->quoted;
		else if (!l->quoted)
			l->depth += line[i] == '{' ? 1 : line[i] == '}' ? -1 : 0;
	}
}

/* "… jump {" and a rule a line, which have no handles here. */
static bool starts_block(const char *s)
{
	const char *end = strchrnul(s, '\n');

	return *end && end - s > 6 &&
	       (!memcmp(end - 6, "jump {", 6) || !memcmp(end - 6, "goto {", 6));
}

/* The rules of a block, line by line: all but the first and the last. */
static void listing_block(const struct listing *l, struct nft_listed rule)
{
	_cleanup_free_ char *lines = strdup(l->rule.s);
	char *rest = lines, *line;

	for (const char *p = l->rule.s; (p = strchr(p, '\n')); p++)
		rule.places++;
	rule.places--;
	strsep(&rest, "\n");
	while (rest && rule.place < rule.places) {
		line = strsep(&rest, "\n");
		rule.place++;
		rule.text = line;
		l->fn(l->arg, &rule);
	}
}

/* Lines become one, in nft's own language. */
static void lines_join(struct strbuf *ret, const char *s, bool block)
{
	for (; *s; s++) {
		if (*s == '\n' && block && s[-1] != '{' && s[1] != '}')
			strbuf_add(ret, "; ");
		else
			strbuf_addc(ret, *s == '\n' ? ' ' : *s);
	}
}

static void listing_rule(struct listing *l)
{
	_cleanup_strbuf_ struct strbuf text = {0};
	char family[16] = "";
	size_t word = strcspn(l->table, " ");
	struct nft_listed rule = {.chain = l->chain};
	bool block = starts_block(l->rule.s);

	if (l->table[word] && word < sizeof(family) && handle_cut(&l->rule, &rule.handle)) {
		memcpy(family, l->table, word);
		rule.family = family_read(family);
		rule.table = l->table + word + 1;
		lines_join(&text, l->rule.s, block);
		rule.text = text.s ? text.s : "";
		l->fn(l->arg, &rule);
		if (block)
			listing_block(l, rule);
	}
	rule_reset(l);
}

/* Sets and the like stand between chains, but with no "# handle" at the depth of rules. */
static void listing_line(struct listing *l, const char *line, size_t len)
{
	if (len && line[0] != '\t' && line[0] != ' ') {
		l->chain[0] = '\0';
		rule_reset(l);
		if (!header_read(line, len, "table ", l->table, sizeof(l->table)))
			l->table[0] = '\0';
	} else if (len > 1 && line[0] == '\t' && line[1] != '\t') {
		rule_reset(l);
		if (!header_read(line, len, "\tchain ", l->chain, sizeof(l->chain)))
			l->chain[0] = '\0';
	} else if (l->chain[0]) {
		while (len && (*line == '\t' || *line == ' ')) {
			line++;
			len--;
		}
		if (!len)
			return;
		rule_add(l, line, len);
		if (l->depth <= 0 && l->rule.s)
			listing_rule(l);
	}
}

void nft_text_parse(const char *text, nft_listed_fn fn, void *arg)
{
	struct listing l = {.fn = fn, .arg = arg};

	while (*text) {
		size_t len = strcspn(text, "\n");

		listing_line(&l, text, len);
		text += len + (text[len] == '\n');
	}
	strbuf_free(&l.rule);
}
