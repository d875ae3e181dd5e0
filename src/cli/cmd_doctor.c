/* SPDX-License-Identifier: GPL-2.0-or-later */
/* tcpwhy doctor: what this kernel lets it see, and what is missing for the rest. */
#include "cli/cli.h"
#include "enrich/enrich.h"
#include "source/live.h"
#include "sym/ksyms.h"
#include "sym/lines.h"

#include <jansson.h>
#include <stdarg.h>
#include <sys/utsname.h>

struct finding {
	const char *name;
	bool ok;
	const char *what; /* what it gives */
	char detail[400]; /* how, or what is missing and what is lost by that */
};

typedef VEC(struct finding) finding_vec;

static void _printf_(5, 6)
	add(finding_vec *all, const char *name, bool ok, const char *what, const char *fmt, ...)
{
	struct finding *f = vec_push(all);
	va_list ap;

	if (!f)
		return;
	*f = (struct finding){.name = name, .ok = ok, .what = what};
	va_start(ap, fmt);
	vsnprintf(f->detail, sizeof(f->detail), fmt, ap);
	va_end(ap);
}

static void add_probe(finding_vec *all, const struct live_probe *p)
{
	if (p->lost)
		add(all, p->name, p->attached, p->what, "%s; lost: %s", p->how, p->lost);
	else
		add(all, p->name, p->attached, p->what, "%s", p->how);
}

static void add_tiers(finding_vec *all, const struct live *l)
{
	static const struct {
		enum live_tier tier;
		const char *name, *what;
	} tiers[] = {
		{TIER_TRACEPOINT, "BTF tracepoints", "most of what there is to see"},
		{TIER_TRAMPOLINE, "trampolines", "fentry and fexit: what tracepoints don't tell"},
		{TIER_KPROBE, "kprobes", "the same, where trampolines are missing"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(tiers); i++) {
		const char *why = live_tier_why(l, tiers[i].tier);

		add(all, tiers[i].name, !why, tiers[i].what, "%s", why ? why : "can be attached");
	}
}

static int look_at_kernel(const struct doctor_options *o, const struct ksyms *ksyms,
			  finding_vec *all, enum live_tier *ret_tier)
{
	struct live_options lo = {.btf = o->btf,
				  .ksyms = ksyms,
				  .tiers = (uint32_t)o->tiers,
				  .config = {.burst_key = 1, .burst_flow = 1}};
	_cleanup_strbuf_ struct strbuf why = {0};
	struct live *l = NULL;
	const struct live_probe *probes;
	size_t n;
	int err;

	lo.follow_forks = true;
	err = live_open(&lo, &l, &why);
	if (err) {
		add(all, "BPF", false, "everything", "%s", why.s ? why.s : strerror(-err));
		return err;
	}
	add_tiers(all, l);
	probes = live_probes(l, &n);
	for (size_t i = 0; i < n; i++)
		add_probe(all, &probes[i]);
	*ret_tier = live_tier(l);
	live_close(l);
	return 0;
}

static void look_at_symbols(finding_vec *all, int err)
{
	if (err)
		add(all, "kallsyms", false, "function names in stacks",
		    "%s; lost: causes that rest on the stack",
		    err == -EPERM ? "addresses are hidden (sysctl kernel.kptr_restrict)"
				  : strerror(-err));
	else
		add(all, "kallsyms", true, "function names in stacks", "readable");
}

static void look_at_sources(finding_vec *all)
{
	static const char name[] = "source lines", what[] = "file and line of stack frames";
	_cleanup_strbuf_ struct strbuf why = {0};
	struct lines *l = NULL;
	struct utsname u;

	uname(&u);
	if (lines_open(&(struct lines_options){0}, &l, &why) < 0)
		add(all, name, false, what,
		    "%s; they are in linux-image-%s-dbg (Debian), linux-image-%s-dbgsym (Ubuntu), "
		    "kernel-debuginfo (Fedora), or on a server of DEBUGINFOD_URLS",
		    why.s ? why.s : "out of memory", u.release, u.release);
	else if (*lines_path(l))
		add(all, name, true, what, "from %s", lines_path(l));
	else
		add(all, name, true, what, "to be fetched from the servers of DEBUGINFOD_URLS");
	lines_close(l);
}

static void ignore_entry(void *arg, const struct rec_ct *ct)
{
	(void)arg;
	(void)ct;
}

static void look_at_lookups(finding_vec *all)
{
	uint32_t self = 0;
	int err = enrich_self_netns(&self);

	add(all, "namespaces", !err, "who a namespace, a socket or a container is", "%s",
	    err ? strerror(-err) : "readable");
	err = err ? err : enrich_ct_dump(self, ignore_entry, NULL);
	if (err == -EOPNOTSUPP)
		add(all, "conntrack", true, "what NAT did", "not loaded: nothing is tracked here");
	else
		add(all, "conntrack", !err, "what NAT did", "%s",
		    err ? strerror(-err) : "readable");
}

static void print_json(const finding_vec *all, enum live_tier tier)
{
	struct utsname u;
	json_t *list = json_array(), *root;
	char *text;

	uname(&u);
	for (size_t i = 0; i < all->n; i++) {
		const struct finding *f = &all->v[i];

		json_array_append_new(list, json_pack("{s:s,s:b,s:s,s:s}", "name", f->name, "ok",
						      f->ok, "what", f->what, "detail", f->detail));
	}
	root = json_pack("{s:s,s:s,s:s,s:o}", "type", "doctor", "kernel", u.release, "tier",
			 live_tier_name(tier), "findings", list);
	text = json_dumps(root, JSON_ENSURE_ASCII | JSON_COMPACT);
	puts(text ? text : "{}");
	free(text);
	json_decref(root);
}

static void print_text(const finding_vec *all, enum live_tier tier)
{
	struct utsname u;

	uname(&u);
	printf("kernel %s %s, %s tier\n\n", u.release, u.machine, live_tier_name(tier));
	for (size_t i = 0; i < all->n; i++) {
		const struct finding *f = &all->v[i];

		printf("  %-4s %-22s %s\n", f->ok ? "ok" : "--", f->name, f->what);
		printf("       %-22s %s\n", "", f->detail);
	}
}

int cmd_doctor(const struct doctor_options *o)
{
	finding_vec all = {0};
	enum live_tier tier = TIER_TRACEPOINT;
	struct ksyms *ksyms = NULL;
	int no_symbols = ksyms_load(NULL, &ksyms);
	int err = look_at_kernel(o, ksyms, &all, &tier);

	look_at_symbols(&all, no_symbols);
	look_at_sources(&all);
	look_at_lookups(&all);
	if (o->json)
		print_json(&all, tier);
	else
		print_text(&all, tier);
	vec_free(&all);
	ksyms_free(ksyms);
	return err ? EXIT_FAILURE : EXIT_SUCCESS;
}
