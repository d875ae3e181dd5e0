/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "record/record.h"

void nf_words_fill(struct rec_nf *nf)
{
	_cleanup_strbuf_ struct strbuf text = {0};
	size_t used = 0;

	nf->invalid[sizeof(nf->invalid) - 1] = '\0';
	for (const char *c = nf->invalid; *c; c++) {
		size_t length = *c == '%' ? strspn(c + 1, "hl") : 0;
		char conversion = *c == '%' ? c[1 + length] : '\0';
		unsigned value = used < 2 ? (unsigned)nf->invalid_args[used] : 0;

		if (!conversion || !strchr("udix", conversion)) {
			strbuf_addn(&text, c, 1);
			continue;
		}
		strbuf_addf(&text,
			    conversion == 'u'	? "%u"
			    : conversion == 'x' ? "%x"
						: "%d",
			    value);
		used++;
		c += 1 + length;
	}
	str_copy(nf->invalid, sizeof(nf->invalid), text.s ? text.s : "");
	memset(nf->invalid_args, 0, sizeof(nf->invalid_args));
}
