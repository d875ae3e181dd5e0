/* SPDX-License-Identifier: GPL-2.0-or-later */
/* tcpwhy addr2line: the source lines of places as stack traces name them. */
#include "cli/cli.h"
#include "out/fields_out.h"
#include "record/source_text.h"
#include "sym/lines.h"

struct place {
	char name[512];
	char module[64];
	struct lines_place at;
};

/* "0x596" or "1430" up to one of the bytes of `ends`. */
static const char *parse_number(const char *s, const char *ends, uint64_t *ret)
{
	char *end;

	if (*s < '0' || *s > '9')
		return NULL;
	errno = 0;
	*ret = strtoull(s, &end, 0);
	return errno || (*end && !strchr(ends, *end)) ? NULL : end;
}

/* FUNC+0xOFF[/0xSIZE][ [MODULE]] */
static bool parse_place(const char *word, struct place *ret)
{
	const char *plus = strchr(word, '+'), *end;
	size_t len = plus ? (size_t)(plus - word) : 0;

	*ret = (struct place){.at = {.name = ret->name, .module = ret->module}};
	if (!len || len >= sizeof(ret->name))
		return false;
	memcpy(ret->name, word, len);
	end = parse_number(plus + 1, "/ ", &ret->at.offset);
	if (end && *end == '/')
		end = parse_number(end + 1, " ", &ret->at.size);
	if (!end || !*end)
		return end;
	len = strlen(end);
	if (len < 4 || len - 3 >= sizeof(ret->module) || end[1] != '[' || end[len - 1] != ']')
		return false;
	memcpy(ret->module, end + 2, len - 3);
	return true;
}

/* As scripts/faddr2line of the kernel writes it, innermost first. A file may have any names. */
static void print_match(const struct place *p, const struct lines_match *m, bool first)
{
	struct source_line lines[SOURCE_LINES_MAX];
	size_t n = source_lines(m->source, lines);
	_cleanup_strbuf_ struct strbuf line = {0};

	printf("%s%s+0x%llx/0x%llx%s%s%s:\n", first ? "" : "\n", p->name,
	       (unsigned long long)p->at.offset, (unsigned long long)m->size,
	       p->module[0] ? " [" : "", p->module, p->module[0] ? "]" : "");
	if (!n)
		printf("no line is known\n");
	for (size_t i = n; i-- > 0;) {
		_cleanup_strbuf_ struct strbuf text = {0};

		strbuf_addf(&text, "%.*s at %.*s", lines[i].function_len, lines[i].function,
			    lines[i].place_len, lines[i].place);
		strbuf_reset(&line);
		escape_text(text.s ? text.s : "", &line);
		printf("%s%s\n", i + 1 < n ? " (inlined by) " : "", line.s ? line.s : "");
	}
}

static int print_place(struct lines *l, const struct place *p, bool *first)
{
	lines_matches m = {0};
	int n = lines_all(l, &p->at, &m);

	for (size_t i = 0; i < m.n; i++) {
		print_match(p, &m.v[i], *first);
		*first = false;
	}
	lines_matches_free(&m);
	if (n == -ENOENT && p->module[0])
		fprintf(stderr,
			"tcpwhy: no debug information of the module %s, or it isn't loaded\n",
			p->module);
	else if (n < 0)
		fprintf(stderr, "tcpwhy: no debug information could be read: %s\n", strerror(-n));
	else if (!n)
		fprintf(stderr, "tcpwhy: no function %s%s%s reaches to +0x%llx%s\n", p->name,
			p->at.size ? " of that size" : "",
			p->module[0] ? "" : " of the kernel itself",
			(unsigned long long)p->at.offset,
			p->module[0] ? "" : "; those of a module are FUNC+0xOFF [MODULE]");
	return n;
}

int cmd_addr2line(const struct addr2line_options *o, int n, char *const *words)
{
	struct lines_options lo = {.vmlinux = o->vmlinux, .any_kernel = o->vmlinux != NULL};
	_cleanup_strbuf_ struct strbuf why = {0};
	_cleanup_free_ struct place *places = calloc((size_t)n, sizeof(*places));
	struct lines *l = NULL;
	int status = EXIT_SUCCESS;
	bool first = true;

	for (int i = 0; places && i < n; i++) {
		if (parse_place(words[i], &places[i]))
			continue;
		fprintf(stderr,
			"tcpwhy: \"%s\" is no place in the kernel; write FUNC+0xOFF, as "
			"tcp_v4_rcv+0x596, or \"nft_do_chain+0x9a [nf_tables]\"\n",
			words[i]);
		return EXIT_USAGE;
	}
	if (!places || lines_open(&lo, &l, &why) < 0) {
		fprintf(stderr, "tcpwhy: %s%s\n", why.s ? why.s : "out of memory",
			o->vmlinux ? "" : "; tcpwhy doctor says how to get it");
		return EXIT_FAILURE;
	}
	for (int i = 0; i < n; i++)
		if (print_place(l, &places[i], &first) <= 0)
			status = EXIT_FAILURE;
	lines_close(l);
	return fflush(stdout) ? EXIT_FAILURE : status;
}
