/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Values as text that can be read back. */
#include "record/codec.h"

#include <arpa/inet.h>

/* Numbers with a name are searched among these, and among single bits. */
#define NAMED_MAX 0xffff

static int number_parse(const char *text, int base, uint64_t *ret)
{
	char *end;

	errno = 0;
	*ret = strtoull(text, &end, base);
	return errno || end == text || *end ? -EINVAL : 0;
}

static bool name_is(const struct field *f, unsigned number, const char *text)
{
	const char *name = f->type == FIELD_ERRNO ? errno_name((int)number) : f->u.name(number);

	return name && strcmp(name, text) == 0;
}

static int name_parse(const struct field *f, const char *text, uint64_t *ret)
{
	uint64_t max = f->size == 1 ? UINT8_MAX : NAMED_MAX;

	for (*ret = 0; *ret <= max; ++*ret)
		if (name_is(f, (unsigned)*ret, text))
			return 0;
	for (*ret = max + 1; f->size == sizeof(uint32_t) && *ret <= UINT32_MAX; *ret <<= 1)
		if (name_is(f, (unsigned)*ret, text))
			return 0;
	return -EINVAL;
}

static int flag_parse(const struct field *f, const char *text, uint64_t *ret)
{
	for (unsigned bit = 0; f->u.flags[bit]; bit++) {
		if (strcmp(f->u.flags[bit], text))
			continue;
		*ret = 1ull << bit;
		return 0;
	}
	return number_parse(text, 0, ret);
}

/* Calls one() for each part of a list; 0 or its error. */
static int list_parse(const char *text, int (*one)(void *arg, const char *part), void *arg)
{
	char part[64];
	int err = 0;

	while (*text && !err) {
		size_t n = strcspn(text, ",");

		if (n >= sizeof(part))
			return -EINVAL;
		memcpy(part, text, n);
		part[n] = '\0';
		err = one(arg, part);
		text += n + (text[n] == ',');
	}
	return err;
}

struct flags_parsing {
	const struct field *f;
	uint64_t value;
};

static int add_flag(void *arg, const char *part)
{
	struct flags_parsing *p = arg;
	uint64_t bits;
	int err = flag_parse(p->f, part, &bits);

	p->value |= bits;
	return err;
}

/* A number of the member's size, signed or not. */
static int number_store(const struct field *f, void *base, uint64_t value)
{
	bool is_signed = f->type == FIELD_INT || f->type == FIELD_ERRNO;
	unsigned bits = f->size * 8u;
	union {
		uint8_t u8;
		uint16_t u16;
		uint32_t u32;
		uint64_t u64;
	} v;

	if (bits < 64 && value >> bits &&
	    !(is_signed && (int64_t)value < 0 && (int64_t)value >= -(1ll << (bits - 1))))
		return -EINVAL;
	switch (f->size) {
	case 1:
		v.u8 = (uint8_t)value;
		break;
	case 2:
		v.u16 = (uint16_t)value;
		break;
	case 4:
		v.u32 = (uint32_t)value;
		break;
	default:
		v.u64 = value;
	}
	memcpy((uint8_t *)base + f->offset, &v, f->size);
	return 0;
}

static int number_value(const struct field *f, const char *text, uint64_t *ret)
{
	struct flags_parsing flags = {.f = f};
	int err;

	switch (f->type) {
	case FIELD_FLAGS:
		err = list_parse(text, add_flag, &flags);
		*ret = flags.value;
		return err;
	case FIELD_NAME:
	case FIELD_ERRNO:
		return number_parse(text, 10, ret) ? name_parse(f, text, ret) : 0;
	case FIELD_HEX:
	case FIELD_SYMBOL:
		return number_parse(text, 16, ret);
	default:
		return number_parse(text, 10, ret);
	}
}

static void named_text(const struct field *f, const void *base, struct strbuf *out)
{
	size_t start = out->len;
	uint64_t value = field_uint(f, base), again;

	if (f->type == FIELD_FLAGS)
		flags_text(value, f->u.flags, out);
	else
		field_name_text(f, base, out);
	if (!out->s || (!number_value(f, out->s + start, &again) && again == value))
		return;
	/* Several numbers have that name, or it is of another sign. */
	out->len = start;
	strbuf_addf(out, "%lld", (long long)value);
}

/* ---- what isn't a number --------------------------------------------------------------------- */

struct array_parsing {
	const struct field *f;
	uint8_t *at;
	size_t n;
};

static int add_address(void *arg, const char *part)
{
	struct array_parsing *p = arg;
	uint64_t v;

	if (p->n == p->f->size / sizeof(v))
		return 0;
	if (number_parse(part, p->f->type == FIELD_TIMES ? 10 : 16, &v))
		return -EINVAL;
	memcpy(p->at + p->n++ * sizeof(v), &v, sizeof(v));
	return 0;
}

static int add_byte(void *arg, const char *part)
{
	struct array_parsing *p = arg;
	uint64_t v;

	if (p->n == p->f->size)
		return 0;
	if (number_parse(part, 16, &v) || v > UINT8_MAX)
		return -EINVAL;
	p->at[p->n++] = (uint8_t)v;
	return 0;
}

static int array_parse(const struct field *f, void *base, const char *text)
{
	struct array_parsing p = {.f = f, .at = (uint8_t *)base + f->offset};
	struct field count = {
		.type = FIELD_UINT, .offset = f->u.count.offset, .size = f->u.count.size};
	int err = list_parse(text, f->type == FIELD_LLADDR ? add_byte : add_address, &p);

	return err ? err : number_store(&count, base, p.n);
}

static void array_text(const struct field *f, const void *base, struct strbuf *out)
{
	const uint8_t *at = field_at(f, base);
	size_t one = f->type == FIELD_LLADDR ? 1 : sizeof(uint64_t);
	const char *format = f->type == FIELD_TIMES ? "%s%llu" : "%s%llx";

	for (size_t i = 0; i < field_count(f, base) && i < f->size / one; i++) {
		uint64_t v = at[i];

		if (one > 1)
			memcpy(&v, at + i * one, one);
		strbuf_addf(out, format, i ? "," : "", (unsigned long long)v);
	}
}

static int addr_parse(const struct field *f, void *base, const char *text)
{
	uint8_t addr[16] = {[10] = 0xff, [11] = 0xff};

	if (inet_pton(AF_INET, text, addr + 12) != 1 && inet_pton(AF_INET6, text, addr) != 1)
		return -EINVAL;
	memcpy((uint8_t *)base + f->offset, addr, sizeof(addr));
	return 0;
}

/* ---- all ------------------------------------------------------------------------------------- */

void value_text(const struct field *f, const void *base, struct strbuf *out)
{
	unsigned long long number = field_uint(f, base);

	switch (f->type) {
	case FIELD_STRING:
		strbuf_add(out, field_at(f, base));
		break;
	case FIELD_ADDR:
		addr_text(field_at(f, base), out);
		break;
	case FIELD_LLADDR:
	case FIELD_SYMBOLS:
	case FIELD_ADDRESSES:
	case FIELD_TIMES:
		array_text(f, base, out);
		break;
	case FIELD_NAME:
	case FIELD_ERRNO:
	case FIELD_FLAGS:
		named_text(f, base, out);
		break;
	case FIELD_HEX:
	case FIELD_SYMBOL:
		strbuf_addf(out, "0x%llx", number);
		break;
	case FIELD_INT:
		strbuf_addf(out, "%lld", (long long)number);
		break;
	default:
		strbuf_addf(out, "%llu", number);
	}
}

int value_parse(const struct field *f, void *base, const char *text)
{
	uint64_t value;

	switch (f->type) {
	case FIELD_STRING:
		str_copy((char *)base + f->offset, f->size, text);
		return 0;
	case FIELD_ADDR:
		return addr_parse(f, base, text);
	case FIELD_LLADDR:
	case FIELD_SYMBOLS:
	case FIELD_ADDRESSES:
	case FIELD_TIMES:
		return array_parse(f, base, text);
	default:
		if (number_value(f, text, &value))
			return -EINVAL;
		return number_store(f, base, value);
	}
}
