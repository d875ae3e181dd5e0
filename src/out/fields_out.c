/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "out/fields_out.h"
#include "sym/labels.h"

#include <time.h>

struct out_vec field_vec(const struct field *f, const void *base)
{
	struct out_vec vec;

	memcpy(&vec, field_at(f, base), sizeof(vec));
	return vec;
}

const char *field_string(const struct field *f, const void *base)
{
	const char *s = field_at(f, base);

	if (f->type == FIELD_CSTR)
		memcpy(&s, field_at(f, base), sizeof(s));
	return s ? s : "";
}

void symbol_text(const struct out_symbols *syms, uint64_t addr, struct strbuf *out)
{
	const struct rec_symbol *sym = syms && syms->find ? syms->find(syms->arg, addr) : NULL;

	if (!sym || !sym->name[0]) {
		strbuf_addf(out, "0x%llx", (unsigned long long)addr);
		return;
	}
	strbuf_add(out, sym->name);
	if (sym->offset) /* else the function itself: no call returns to its first byte */
		strbuf_addf(out, "+0x%llx", (unsigned long long)sym->offset);
	if (sym->module[0])
		strbuf_addf(out, " [%s]", sym->module);
}

void frame_text(const char *frame, const char *source, const char *caller, struct strbuf *out)
{
	const char *label = label_of(frame, caller);
	size_t start = out->len, wide, columns = *source ? SOURCE_COLUMNS : FRAME_COLUMNS;

	escape_text(frame, out);
	if (*source) {
		strbuf_addc(out, ' ');
		escape_text(source, out);
	}
	wide = out->len - start;
	if (label)
		strbuf_addf(out, "%*s  %s", wide < columns ? (int)(columns - wide) : 0, "", label);
}

void time_text_utc(uint64_t wall_ns, struct strbuf *out)
{
	time_t seconds = (time_t)(wall_ns / NSEC_PER_SEC);
	char text[32] = "";
	struct tm tm;

	if (gmtime_r(&seconds, &tm))
		strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S", &tm);
	strbuf_addf(out, "%s.%09lluZ", text, (unsigned long long)(wall_ns % NSEC_PER_SEC));
}

void time_text_local(uint64_t wall_ns, bool milliseconds, struct strbuf *out)
{
	time_t seconds = (time_t)(wall_ns / NSEC_PER_SEC);
	char text[32] = "";
	struct tm tm;

	if (localtime_r(&seconds, &tm))
		strftime(text, sizeof(text), "%H:%M:%S", &tm);
	strbuf_add(out, text);
	if (milliseconds)
		strbuf_addf(out, ".%03llu",
			    (unsigned long long)(wall_ns % NSEC_PER_SEC / NSEC_PER_MSEC));
}

static void lladdr_text(const struct field *f, const void *base, struct strbuf *out)
{
	const uint8_t *bytes = field_at(f, base);

	for (size_t i = 0; i < field_count(f, base) && i < f->size; i++)
		strbuf_addf(out, "%s%02x", i ? ":" : "", bytes[i]);
}

void field_text(const struct field *f, const void *base, const struct out_symbols *syms,
		struct strbuf *out)
{
	const struct rec_packet *packet = base; /* FIELD_ICMP */
	uint64_t v = f->size <= sizeof(v) ? field_uint(f, base) : 0;

	switch (f->type) {
	case FIELD_UINT:
	case FIELD_NS:
		strbuf_addf(out, "%llu", (unsigned long long)v);
		break;
	case FIELD_INT:
		strbuf_addf(out, "%lld", (long long)v);
		break;
	case FIELD_HEX:
		strbuf_addf(out, "0x%llx", (unsigned long long)v);
		break;
	case FIELD_BOOL:
		strbuf_add(out, v ? "yes" : "no");
		break;
	case FIELD_TIME:
		time_text_utc(v, out);
		break;
	case FIELD_NAME:
	case FIELD_ERRNO:
		field_name_text(f, base, out);
		break;
	case FIELD_FLAGS:
		flags_text(v, f->u.flags, out);
		break;
	case FIELD_STRING:
	case FIELD_CSTR:
		strbuf_add(out, field_string(f, base));
		break;
	case FIELD_ADDR:
		addr_text(field_at(f, base), out);
		break;
	case FIELD_LLADDR:
		lladdr_text(f, base, out);
		break;
	case FIELD_SYMBOL:
		symbol_text(syms, v, out);
		break;
	case FIELD_HOOK:
		field_hook_text(f, base, out);
		break;
	case FIELD_ICMP:
		strbuf_add(out,
			   icmp_name(packet->tuple.family, packet->icmp_type, packet->icmp_code));
		break;
	case FIELD_COMMUNITY:
		field_community_text(f, base, out);
		break;
	case FIELD_TUPLE:
		tuple_text(field_at(f, base), out);
		break;
	default:
		break; /* tables and lists: the outputs' own work */
	}
}

/* ---- strange strings ------------------------------------------------------------------------- */

/*
 * The length of the UTF-8 sequence at s and its code point; 0 if it isn't one. RFC 3629 section 4:
 * no overlong ones.
 */
static size_t utf8_next(const char *s, uint32_t *ret)
{
	static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
	const uint8_t *u = (const uint8_t *)s;
	size_t len = u[0] < 0x80       ? 1
		     : u[0] >> 5 == 6  ? 2
		     : u[0] >> 4 == 14 ? 3
		     : u[0] >> 3 == 30 ? 4
				       : 0;
	uint32_t cp = len == 1 ? u[0] : len ? u[0] & (0x7f >> len) : 0;

	for (size_t i = 1; i < len; i++) {
		if (u[i] >> 6 != 2)
			return 0;
		cp = cp << 6 | (u[i] & 0x3f);
	}
	if (!len || cp < least[len] || cp > 0x10ffff || (cp >= 0xd800 && cp <= 0xdfff))
		return 0;
	*ret = cp;
	return len;
}

/*
 * Controls, and what turns the direction of writing or breaks lines (Unicode's Bidi_Control;
 * U+2028, U+2029).
 */
static bool steers_terminal(uint32_t cp)
{
	return cp < 0x20 || (cp >= 0x7f && cp < 0xa0) || cp == 0x61c || cp == 0x200e ||
	       cp == 0x200f || (cp >= 0x2028 && cp <= 0x202e) || (cp >= 0x2066 && cp <= 0x2069);
}

void escape_text(const char *s, struct strbuf *out)
{
	while (*s) {
		uint32_t cp = 0;
		size_t len = utf8_next(s, &cp);

		if (len > 1 && steers_terminal(cp))
			strbuf_addf(out, "\\u%04x", cp);
		else if (!len || steers_terminal(cp))
			strbuf_addf(out, "\\x%02x", (uint8_t)*s);
		else
			strbuf_addn(out, s, len);
		s += len ? len : 1;
	}
}

void escape_json(const char *s, struct strbuf *out)
{
	while (*s) {
		uint32_t cp;
		size_t len = utf8_next(s, &cp);

		if (len)
			strbuf_addn(out, s, len);
		else
			strbuf_add(out, "\xef\xbf\xbd");
		s += len ? len : 1;
	}
}

void out_write(const struct out_options *o, const struct strbuf *text)
{
	if (text->s)
		fwrite(text->s, 1, text->len, o->to);
	fflush(o->to);
}
