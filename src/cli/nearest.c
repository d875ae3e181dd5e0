/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "cli/nearest.h"

#define WORD_MAX 63

static unsigned int min3(unsigned int a, unsigned int b, unsigned int c)
{
	unsigned int m = a < b ? a : b;

	return m < c ? m : c;
}

unsigned int edit_distance(const char *a, const char *b)
{
	unsigned int d[WORD_MAX + 1][WORD_MAX + 1];
	size_t la = strlen(a), lb = strlen(b);

	if (la > WORD_MAX || lb > WORD_MAX)
		return WORD_MAX;
	for (unsigned int i = 0; i <= la; i++)
		d[i][0] = i;
	for (unsigned int j = 0; j <= lb; j++)
		d[0][j] = j;
	for (size_t i = 1; i <= la; i++) {
		for (size_t j = 1; j <= lb; j++) {
			unsigned int replace = d[i - 1][j - 1] + (a[i - 1] != b[j - 1]);

			d[i][j] = min3(d[i - 1][j] + 1, d[i][j - 1] + 1, replace);
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
				d[i][j] = min3(d[i][j], d[i - 2][j - 2] + 1, d[i][j]);
		}
	}
	return d[la][lb];
}

/* A third of the word may be wrong. */
static bool near_enough(const char *asked, const char *word, unsigned int distance)
{
	size_t la = strlen(asked), lw = strlen(word);

	return distance <= (la > lw ? la : lw) / 3 || (distance == 1 && lw > 2);
}

void nearest_offer(struct nearest *n, const char *word)
{
	size_t asked = strlen(n->asked);
	/*
	 * A word cut short is as near as can be: "--dur" for "--duration", "conntrack" for its
	 * page.
	 */
	bool begins = asked >= 3 && !strncmp(n->asked, word, asked);
	unsigned int distance = begins ? 0 : edit_distance(n->asked, word);

	if (!near_enough(n->asked, word, distance))
		return;
	if (n->word && distance >= n->distance)
		return;
	n->word = word;
	n->distance = distance;
}
