/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "cli/cli.h"
#include "cli/nearest.h"

static int list_pages(void)
{
	for (const struct cause_page *p = cause_pages; p->id; p++)
		printf("%-24s %s\n", p->id, p->title);
	return EXIT_SUCCESS;
}

int cmd_explain(const char *id)
{
	struct nearest near = {.asked = id};

	if (!id)
		return list_pages();
	for (const struct cause_page *p = cause_pages; p->id; p++) {
		if (!strcmp(p->id, id)) {
			fputs(p->text, stdout);
			return EXIT_SUCCESS;
		}
		nearest_offer(&near, p->id);
	}
	if (near.word)
		fprintf(stderr, "tcpwhy: no cause is called \"%s\"; did you mean %s?\n", id,
			near.word);
	else
		fprintf(stderr, "tcpwhy: no cause is called \"%s\"; tcpwhy explain lists them\n",
			id);
	return EXIT_USAGE;
}
