/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "enrich/counter.h"

#include "enrich/conntrack.h"
#include "enrich/conntrack_stats.h"
#include "enrich/lookup.h"
#include "enrich/netns.h"

/* Of the calling thread's namespace: /proc/net would be that of the thread group's leader. */
static const char *const files[] = {
	"/proc/thread-self/net/netstat",
	"/proc/thread-self/net/snmp",
	"/proc/thread-self/net/snmp6",
	"/proc/thread-self/net/xfrm_stat",
};

struct counter {
	uint64_t key; /* hash of the name */
	uint64_t value;
};

/* Counters that were 0 aren't kept: most are, in most namespaces. */
struct counter_base {
	uint64_t mono_ns;
	VEC(struct counter) v;
};

/* FNV-1a, 64 bits: no two of the some 500 names of a kernel collide. */
static uint64_t hash_add(uint64_t hash, const char *s, size_t n)
{
	for (size_t i = 0; i < n; i++)
		hash = (hash ^ (uint8_t)s[i]) * 0x100000001b3ull;
	return hash;
}

static uint64_t counter_key(const char *prefix, size_t prefix_len, const char *name, size_t len)
{
	return hash_add(hash_add(0xcbf29ce484222325ull, prefix, prefix_len), name, len);
}

/* "Key: name name…" and "Key: value value…" */
static const char *pair_parse(const char *line, counter_fn fn, void *arg)
{
	const char *colon = line + strcspn(line, ":\n");
	const char *values = strchrnul(line, '\n');
	const char *name = colon, *value;

	values += *values == '\n';
	value = values + strcspn(values, ":\n");
	while (*name && *value) {
		size_t name_len, value_len;

		name += strspn(name, ": ");
		value += strspn(value, ": ");
		name_len = strcspn(name, " \n");
		value_len = strcspn(value, " \n");
		if (!name_len || !value_len)
			break;
		fn(arg, line, (size_t)(colon - line), name, name_len, strtoull(value, NULL, 10));
		name += name_len;
		value += value_len;
	}
	return strchrnul(values, '\n');
}

void counter_parse(const char *text, counter_fn fn, void *arg)
{
	const char *p = text;

	while (*p) {
		size_t len = strcspn(p, " \t:\n");

		if (p[len] == ':') {
			p = pair_parse(p, fn, arg);
		} else {
			if (len)
				fn(arg, p, 0, p, len, strtoull(p + len, NULL, 10));
			p = strchrnul(p, '\n');
		}
		p += *p == '\n';
	}
}

/* Of the thread's present namespace. Kernels without IPv6 or xfrm lack a file. */
static int counters_read(bool conntrack, counter_fn fn, void *arg)
{
	int err = -ENOENT;

	for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
		_cleanup_free_ char *text = NULL;
		ssize_t n = read_file(files[i], 65536, &text);

		if (n >= 0) {
			counter_parse(text, fn, arg);
			err = 0;
		}
	}
	conntrack_stats(conntrack, fn, arg);
	return err;
}

struct reading {
	uint64_t wanted; /* key */
	uint64_t value;
	bool found;
	struct counter_base *base; /* to fill, or NULL */
};

static void counter_note(void *arg, const char *prefix, size_t prefix_len, const char *name,
			 size_t len, uint64_t value)
{
	struct reading *r = arg;
	uint64_t key = counter_key(prefix, prefix_len, name, len);
	struct counter *c;

	if (key == r->wanted) {
		r->value = value;
		r->found = true;
	}
	c = r->base && value ? vec_push(&r->base->v) : NULL;
	if (c)
		*c = (struct counter){key, value};
}

void counter_base_free(struct counter_base *base)
{
	if (!base)
		return;
	vec_free(&base->v);
	free(base);
}

/* Reads all counters of a namespace, as its base line too if it has none yet. */
static int namespace_read(struct netns_map *m, uint32_t inum, struct reading *r)
{
	bool conntrack = conntrack_is_loaded();
	int err = netns_enter(m, inum);
	struct netns *ns;

	if (err)
		return err;
	ns = netns_find(m, inum);
	if (ns && !ns->base)
		ns->base = r->base = calloc(1, sizeof(*r->base));
	if (r->base)
		r->base->mono_ns = now_mono();
	err = counters_read(conntrack, counter_note, r);
	if (err && r->base) {
		counter_base_free(r->base);
		ns->base = r->base = NULL;
	}
	netns_leave(m);
	return err;
}

bool counter_base_step(struct netns_map *m)
{
	struct netns *ns;

	for (size_t i = 0; (ns = netns_at(m, i)); i++) {
		struct reading r = {0};

		if (ns->base || ns->tried)
			continue;
		ns->tried = true;
		namespace_read(m, ns->inum, &r);
		return true;
	}
	return false;
}

static uint64_t base_value(const struct counter_base *base, uint64_t key)
{
	for (size_t i = 0; i < base->v.n; i++)
		if (base->v.v[i].key == key)
			return base->v.v[i].value;
	return 0;
}

int counter_answer(struct lookup *l)
{
	const struct question *q = l->q;
	struct reading r = {.wanted = counter_key("", 0, q->name, strlen(q->name))};
	struct rec_counter rec = {0};
	struct netns *ns;
	int err = namespace_read(l->netns, q->netns, &r);

	if (err)
		return err;
	if (!r.found)
		return -ENOENT;
	rec.value = r.value;
	ns = netns_find(l->netns, q->netns);
	if (ns && ns->base && !r.base && strcmp(q->name, CONNTRACK_COUNT) != 0) {
		rec.base_ns = ns->base->mono_ns;
		rec.delta = r.value - base_value(ns->base, r.wanted);
	}
	str_copy(rec.name, sizeof(rec.name), q->name);
	lookup_add(l, &rec, REC_COUNTER, q->netns);
	return 0;
}
