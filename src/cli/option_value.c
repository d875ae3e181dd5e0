/* SPDX-License-Identifier: GPL-2.0-or-later */
/* One option's value from its text. */
#include "cli/options.h"

#include <arpa/inet.h>

#define V4_BITS_BEFORE 96 /* of ::ffff:a.b.c.d */

static const uint8_t v4_mapped[12] = {[10] = 0xff, [11] = 0xff};

static int bad_value(struct strbuf *err, const struct option_def *def, const char *text,
		     const char *allowed)
{
	strbuf_addf(err, "--%s: \"%s\" is not allowed; give %s", def->name, text, allowed);
	return -EINVAL;
}

static int bad_number(struct strbuf *err, const struct option_def *def, const char *text)
{
	char allowed[80];

	if (def->max == UINT64_MAX)
		snprintf(allowed, sizeof(allowed), "a number of at least %llu",
			 (unsigned long long)def->min);
	else
		snprintf(allowed, sizeof(allowed), "a number from %llu to %llu",
			 (unsigned long long)def->min, (unsigned long long)def->max);
	return bad_value(err, def, text, allowed);
}

static int set_u64(const struct option_def *def, uint64_t *field, const char *text,
		   struct strbuf *err)
{
	if (parse_u64(text, def->min, def->max, field))
		return bad_number(err, def, text);
	return 0;
}

static int set_string(const struct option_def *def, const char **field, const char *text,
		      struct strbuf *err)
{
	char allowed[64];

	if (!*text)
		return bad_value(err, def, text, "something");
	if (strlen(text) > def->max) {
		snprintf(allowed, sizeof(allowed), "at most %llu characters",
			 (unsigned long long)def->max);
		return bad_value(err, def, text, allowed);
	}
	*field = text;
	return 0;
}

static int set_word(const struct option_def *def, int *field, const char *text, struct strbuf *err)
{
	_cleanup_strbuf_ struct strbuf allowed = {0};

	for (const struct option_word *w = def->words; w->word; w++) {
		if (!strcmp(w->word, text)) {
			*field = w->value;
			return 0;
		}
		strbuf_addf(&allowed, "%s%s",
			    w == def->words ? ""
			    : w[1].word	    ? ", "
					    : " or ",
			    w->word);
	}
	return bad_value(err, def, text, allowed.s);
}

static int set_size(const struct option_def *def, uint64_t *field, const char *text,
		    struct strbuf *err)
{
	static const char letters[] = "KMG";
	size_t digits = strspn(text, "0123456789");
	const char *letter = text[digits] ? strchr(letters, text[digits]) : NULL;
	unsigned shift = letter ? 10 * (unsigned)(letter - letters + 1) : 0;
	char number[24], allowed[96];
	uint64_t n;

	if (digits && digits < sizeof(number) && (!text[digits] || (letter && !text[digits + 1]))) {
		memcpy(number, text, digits);
		number[digits] = '\0';
		if (!parse_u64(number, (def->min >> shift) + !!(def->min & ((1ull << shift) - 1)),
			       def->max >> shift, &n)) {
			*field = n << shift;
			return 0;
		}
	}
	snprintf(allowed, sizeof(allowed), "a size such as 512K, 64M or 2G, from %lluK to %lluG",
		 (unsigned long long)(def->min >> 10), (unsigned long long)(def->max >> 30));
	return bad_value(err, def, text, allowed);
}

static int set_duration(const struct option_def *def, uint64_t *field, const char *text,
			struct strbuf *err)
{
	static const struct {
		const char *name;
		uint64_t ns;
	} units[] = {
		{"ms", NSEC_PER_MSEC},
		{"s", NSEC_PER_SEC},
		{"m", 60 * NSEC_PER_SEC},
		{"h", 3600 * NSEC_PER_SEC},
	};
	size_t digits = strspn(text, "0123456789");
	char number[24], allowed[96];
	uint64_t n;

	if (!digits || digits >= sizeof(number))
		goto bad;
	memcpy(number, text, digits);
	number[digits] = '\0';
	for (size_t i = 0; i < ARRAY_SIZE(units); i++) {
		uint64_t unit = units[i].ns;

		if (strcmp(text + digits, units[i].name))
			continue;
		if (parse_u64(number, (def->min + unit - 1) / unit, def->max / unit, &n))
			break;
		*field = n * unit;
		return 0;
	}
bad:
	snprintf(allowed, sizeof(allowed),
		 "a time with its unit, such as 500ms, 5s, 2m or 1h, from %llums to %lluh",
		 (unsigned long long)(def->min / NSEC_PER_MSEC),
		 (unsigned long long)(def->max / (3600 * NSEC_PER_SEC)));
	return bad_value(err, def, text, allowed);
}

static bool is_v4(const uint8_t *addr)
{
	return !memcmp(addr, v4_mapped, sizeof(v4_mapped));
}

/* Clears the bits beyond the prefix; true if one was set. */
static bool clear_host_bits(struct prefix *p)
{
	bool any = false;

	for (unsigned int i = p->len / 8; i < 16; i++) {
		unsigned int keep = i == p->len / 8 ? p->len % 8 : 0;
		uint8_t mask = (uint8_t)(0xff00 >> keep);

		any |= (p->addr[i] & ~mask) != 0;
		p->addr[i] &= mask;
	}
	return any;
}

void prefix_text(const struct prefix *p, struct strbuf *out)
{
	bool v4 = p->family == 4;
	unsigned int len = v4 ? p->len - V4_BITS_BEFORE : p->len;
	char text[INET6_ADDRSTRLEN];

	inet_ntop(v4 ? AF_INET : AF_INET6, v4 ? p->addr + 12 : p->addr, text, sizeof(text));
	strbuf_add(out, text);
	if (len < (v4 ? 32 : 128))
		strbuf_addf(out, "/%u", len);
}

static int bad_host_bits(struct strbuf *err, const struct option_def *def, const char *text,
			 const char *addr, const struct prefix *p)
{
	_cleanup_strbuf_ struct strbuf right = {0};

	prefix_text(p, &right);
	strbuf_addf(err, "--%s: %s has host bits set; did you mean %s or %s?", def->name, text,
		    right.s, addr);
	return -EINVAL;
}

/* "10.0.0.0/8", "2001:db8::1": 0, or -EINVAL. The address without its length is left in addr. */
static int parse_prefix(const char *text, char *addr, size_t size, struct prefix *p)
{
	const char *slash = strchr(text, '/');
	size_t n = slash ? (size_t)(slash - text) : strlen(text);
	uint64_t max, len;

	if (n >= size)
		return -EINVAL;
	memcpy(addr, text, n);
	addr[n] = '\0';
	if (inet_pton(AF_INET, addr, p->addr + 12) == 1) {
		memcpy(p->addr, v4_mapped, sizeof(v4_mapped));
		p->family = 4;
	} else if (inet_pton(AF_INET6, addr, p->addr) == 1) {
		p->family = 6;
	} else {
		return -EINVAL;
	}
	len = max = p->family == 4 ? 32 : 128;
	if (slash && parse_u64(slash + 1, 0, max, &len))
		return -EINVAL;
	p->len = (uint8_t)(len + 128 - max);
	/* ::ffff:10.0.0.0/104 is IPv4 in other words. */
	if (is_v4(p->addr) && p->len >= V4_BITS_BEFORE)
		p->family = 4;
	return 0;
}

static int too_many(struct strbuf *err, const struct option_def *def)
{
	strbuf_addf(err, "--%s may be given at most %d times", def->name, OPT_LIST_MAX);
	return -EINVAL;
}

static int set_prefix(const struct option_def *def, struct prefix_list *list, const char *text,
		      struct strbuf *err)
{
	char addr[INET6_ADDRSTRLEN];
	struct prefix p = {0};

	if (parse_prefix(text, addr, sizeof(addr), &p))
		return bad_value(err, def, text,
				 "an IPv4 or IPv6 address or prefix, such as 10.0.0.0/8 (names "
				 "are not looked up)");
	if (clear_host_bits(&p))
		return bad_host_bits(err, def, text, addr, &p);
	if (list->n == OPT_LIST_MAX)
		return too_many(err, def);
	list->v[list->n++] = p;
	return 0;
}

static int set_port(const struct option_def *def, struct port_list *list, const char *text,
		    struct strbuf *err)
{
	uint64_t n;

	if (parse_u64(text, 1, 65535, &n))
		return bad_value(err, def, text, "a number from 1 to 65535");
	if (list->n == OPT_LIST_MAX)
		return too_many(err, def);
	list->v[list->n++] = (uint16_t)n;
	return 0;
}

int option_set(const struct option_def *def, void *target, const char *text, struct strbuf *err)
{
	void *field = (char *)target + def->offset;

	switch (def->type) {
	case OPT_FLAG:
		*(bool *)field = true;
		return 0;
	case OPT_U64:
		return set_u64(def, field, text, err);
	case OPT_STRING:
		return set_string(def, field, text, err);
	case OPT_WORD:
		return set_word(def, field, text, err);
	case OPT_SIZE:
		return set_size(def, field, text, err);
	case OPT_DURATION:
		return set_duration(def, field, text, err);
	case OPT_PREFIX:
		return set_prefix(def, field, text, err);
	case OPT_PORT:
		return set_port(def, field, text, err);
	}
	return -EINVAL;
}
