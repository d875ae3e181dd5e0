/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "cli/options.h"
#include "cli/nearest.h"

#define HELP_COLUMN 24

static const struct option_def *find_name(const struct option_def *defs, const char *name, size_t n)
{
	for (; defs->name; defs++)
		if (!strncmp(defs->name, name, n) && !defs->name[n])
			return defs;
	return NULL;
}

static const struct option_def *find_letter(const struct option_def *defs, char letter)
{
	for (; defs->name; defs++)
		if (defs->letter && defs->letter == letter)
			return defs;
	return NULL;
}

static int unknown_option(const struct option_def *defs, const char *word, size_t len,
			  struct strbuf *err)
{
	char name[64] = "";
	struct nearest near = {.asked = name};

	strbuf_addf(err, "unknown option %.*s; ", (int)len, word);
	if (len < sizeof(name)) {
		size_t dashes = strspn(word, "-");

		memcpy(name, word + dashes, len - dashes);
		for (; defs->name; defs++)
			nearest_offer(&near, defs->name);
	}
	if (near.word)
		strbuf_addf(err, "did you mean --%s? See tcpwhy --help", near.word);
	else
		strbuf_add(err, "see tcpwhy --help");
	return -EINVAL;
}

/*
 * --name, --name=value, --name value. *next is at the option, and is left behind it and its value.
 */
static int parse_long(const struct option_def *defs, void *target, int argc, char *const *argv,
		      int *next, struct strbuf *err)
{
	const char *word = argv[(*next)++];
	const char *name = word + 2;
	size_t n = strcspn(name, "=");
	const struct option_def *def = find_name(defs, name, n);
	const char *value = name[n] ? name + n + 1 : NULL;

	if (!def)
		return unknown_option(defs, word, n ? n + 2 : strlen(word), err);
	if (!def->arg && value) {
		strbuf_addf(err, "--%s takes no value, but got \"%s\"", def->name, value);
		return -EINVAL;
	}
	if (def->arg && !value) {
		if (*next >= argc || !strcmp(argv[*next], "--")) {
			strbuf_addf(err, "--%s needs a value: --%s %s", def->name, def->name,
				    def->arg);
			return -EINVAL;
		}
		value = argv[(*next)++];
	}
	return option_set(def, target, value, err);
}

/* -q, -qh, -o value, -ovalue. */
static int parse_letters(const struct option_def *defs, void *target, int argc, char *const *argv,
			 int *next, struct strbuf *err)
{
	const char *word = argv[(*next)++];

	for (const char *c = word + 1; *c; c++) {
		const struct option_def *def = find_letter(defs, *c);
		int r;

		if (!def)
			return unknown_option(defs, word, strlen(word), err);
		if (def->arg && !c[1] && (*next >= argc || !strcmp(argv[*next], "--"))) {
			strbuf_addf(err, "-%c needs a value: -%c %s", *c, *c, def->arg);
			return -EINVAL;
		}
		if (def->arg)
			return option_set(def, target, c[1] ? c + 1 : argv[(*next)++], err);
		r = option_set(def, target, NULL, err);
		if (r)
			return r;
	}
	return 0;
}

int options_parse(const struct option_def *defs, void *target, int argc, char *const *argv,
		  int *next, bool *ret_dashes, struct strbuf *err)
{
	int r = 0;

	*ret_dashes = false;
	while (!r && *next < argc) {
		const char *word = argv[*next];

		if (!strcmp(word, "--")) {
			(*next)++;
			*ret_dashes = true;
			return 0;
		}
		if (word[0] != '-' || !word[1])
			return 0;
		if (word[1] == '-') {
			r = parse_long(defs, target, argc, argv, next, err);
		} else {
			r = parse_letters(defs, target, argc, argv, next, err);
		}
	}
	return r;
}

void options_help(const struct option_def *defs, struct strbuf *out)
{
	const char *group = "";

	for (; defs->name; defs++) {
		size_t start;

		if (strcmp(group, defs->group)) {
			group = defs->group;
			strbuf_addf(out, "\n%s:\n", group);
		}
		start = out->len;
		if (defs->letter)
			strbuf_addf(out, "  -%c, --%s", defs->letter, defs->name);
		else
			strbuf_addf(out, "  --%s", defs->name);
		if (defs->arg)
			strbuf_addf(out, " %s", defs->arg);
		while (out->len - start < HELP_COLUMN)
			strbuf_addc(out, ' ');
		strbuf_addf(out, "  %s\n", defs->help);
	}
}
