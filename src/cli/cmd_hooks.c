/* SPDX-License-Identifier: GPL-2.0-or-later */
/* tcpwhy hooks: every netfilter hook, in call order, and whose it is. */
#include "cli/cli.h"
#include "cli/hooks.h"
#include "enrich/enrich.h"
#include "out/hooks_out.h"
#include "record/record.h"
#include "sym/ksyms.h"
#include "track/world.h"

#include <jansson.h>

/* Hooks may change between the two looks that are compared. */
#define COMPARE_TRIES 3

/* clang-format off */
const struct option_def hooks_option_defs[] = {
	{"netns", 0, OPT_STRING, .arg = "NAME", .offset = offsetof(struct hooks_options, netns), .max = 4095,
	 .help = "of this network namespace (name, path, inode number, pid:N); default: the one it runs in", .group = "Options"},
	{"all-netns", 0, OPT_FLAG, .offset = offsetof(struct hooks_options, all_netns),
	 .help = "of every network namespace", .group = "Options"},
	{"graph", 0, OPT_FLAG, .offset = offsetof(struct hooks_options, graph),
	 .help = "draw the way of a packet through them", .group = "Options"},
	{"json", 0, OPT_FLAG, .offset = offsetof(struct hooks_options, json),
	 .help = "one JSON object a line", .group = "Options"},
	{"help", 'h', OPT_FLAG, .offset = offsetof(struct hooks_options, help),
	 .help = "print this", .group = "Options"},
	{NULL},
};
/* clang-format on */

struct view {
	const struct hooks_options *o;
	struct out_options out;
	VEC(struct rec_netns) spaces;
	hook_list hooks;  /* of all of them */
	hook_list listed; /* by the kernel itself */
	int not_listed;	  /* why not: a negative errno */
	struct ksyms *ksyms;
	struct rec_symbol symbol; /* the last one found */
	uint64_t seq;
	bool strange;
};

int hooks_options_check(const struct hooks_options *o, struct strbuf *err)
{
	if (o->netns && o->all_netns)
		strbuf_add(err, "--netns and --all-netns can't go together: one namespace or all");
	else if (o->json && o->graph)
		strbuf_add(err, "--json and --graph can't go together: one is for programs, the "
				"other for people");
	return err->len ? -EINVAL : 0;
}

/* ---- looking --------------------------------------------------------------------------------- */

static void take_space(void *arg, const struct rec_netns *ns)
{
	struct view *v = arg;
	struct rec_netns *slot = vec_push(&v->spaces);

	if (slot)
		*slot = *ns;
}

static void take_hook(void *arg, const struct rec_hook *hook)
{
	hook_list *list = arg;
	struct rec_hook *slot = vec_push(list);

	if (slot)
		*slot = *hook;
}

static void hook_complete(struct view *v, struct rec_hook *hook)
{
	uint32_t netns = hook->hdr.netns;
	struct rec_symbol sym;

	hook->hdr = record_hdr(REC_HOOK);
	hook->hdr.netns = netns;
	hook->hdr.mono_ns = now_mono();
	hook->hdr.wall_ns = now_wall();
	hook->hdr.seq = ++v->seq;
	if (!v->ksyms)
		return;
	if (!ksyms_find(v->ksyms, hook->function, &sym) && !sym.offset)
		str_copy(hook->name, sizeof(hook->name), sym.name);
	else if (!hook->module[0] && hook->maker == HOOK_KERNEL)
		hook->maker =
			HOOK_FOREIGN; /* neither the kernel nor a module says that it is theirs */
}

/*
 * The hooks of a namespace, 0 all of them, with names. The symbols are read behind the hooks: so both
 * have the modules that came meanwhile.
 */
static int hooks_read(struct view *v, uint32_t netns, hook_list *ret)
{
	int err = enrich_hooks(netns, take_hook, ret);

	if (!v->ksyms)
		(void)ksyms_load(NULL, &v->ksyms);
	for (size_t i = 0; i < ret->n; i++)
		hook_complete(v, &ret->v[i]);
	return err;
}

/* Those of one namespace, which stand together; not to be freed. */
static hook_list part_of(const hook_list *all, uint32_t netns)
{
	hook_list part = {0};

	for (size_t i = 0; i < all->n; i++) {
		if (all->v[i].hdr.netns != netns)
			continue;
		part.v = part.v ? part.v : &all->v[i];
		part.n++;
	}
	return part;
}

static const char *why_not(int err)
{
	switch (err) {
	case -EPERM:
		return geteuid() ? "tcpwhy needs root to read the kernel's memory: run it with sudo"
				 : "the kernel lets this process read none of its memory (a "
				   "container, or lockdown=confidentiality): run it on the host, "
				   "with CAP_SYS_ADMIN";
	case -ENODATA:
		return "this kernel carries no BTF, which says where its hooks are: use a kernel "
		       "built with CONFIG_DEBUG_INFO_BTF=y";
	case -EOPNOTSUPP:
		return "this kernel has no netfilter hooks that its BTF tells of: use one built "
		       "with CONFIG_NETFILTER=y";
	case -ESRCH:
		return "no process lives in that network namespace, and ip netns has no name for "
		       "it: nothing leads there";
	default:
		return strerror(-err);
	}
}

static int fail(int err)
{
	fprintf(stderr, "tcpwhy: %s\n", why_not(err));
	return EXIT_FAILURE;
}

static int netns_wanted(const struct hooks_options *o, uint32_t *ret)
{
	int err;

	*ret = 0;
	if (o->all_netns)
		return 0;
	if (!o->netns)
		return enrich_self_netns(ret);
	err = enrich_netns_inum(o->netns, ret);
	if (err)
		fprintf(stderr,
			"tcpwhy: --netns %s: %s; give a name of \"ip netns\", pid:N, a path or an "
			"inode number\n",
			o->netns,
			err == -ENOENT ? "there is no such network namespace" : strerror(-err));
	return err;
}

/* ---- comparing ------------------------------------------------------------------------------- */

/* What differs in a namespace, after another look if something does. */
static void compare(struct view *v, uint32_t netns, struct strbuf *ret)
{
	hook_list read = part_of(&v->hooks, netns), listed = part_of(&v->listed, netns);

	hooks_compare(&read, &listed, ret);
	for (int i = 0; ret->len && i < COMPARE_TRIES; i++) {
		hook_list read_again = {0}, listed_again = {0};

		if (!enrich_hooks_listed(netns, take_hook, &listed_again) &&
		    !hooks_read(v, netns, &read_again)) {
			strbuf_reset(ret);
			hooks_compare(&read_again, &listed_again, ret);
		}
		vec_free(&read_again);
		vec_free(&listed_again);
	}
}

static const char *no_comparison(int err)
{
	return err == -EOPNOTSUPP ? "this kernel has none (CONFIG_NETFILTER_NETLINK_HOOK)"
	       : err == -ENOENT	  ? "its module nfnetlink_hook isn't loaded"
				  : strerror(-err);
}

static void space_name(const struct rec_netns *ns, struct strbuf *out)
{
	if (world_is_host(ns))
		strbuf_add(out, "host");
	else if (ns->name[0])
		strbuf_add(out, ns->name);
	else if (ns->container[0])
		strbuf_add(out, ns->container);
	else if (ns->pid)
		strbuf_addf(out, "of pid %u (%s)", ns->pid, ns->comm);
	strbuf_addf(out, "%s%u", out->len ? ", " : "", ns->hdr.netns);
}

static void print_comparison(struct view *v)
{
	_cleanup_strbuf_ struct strbuf all = {0};

	for (size_t i = 0; !v->not_listed && i < v->spaces.n; i++) {
		_cleanup_strbuf_ struct strbuf one = {0};

		compare(v, v->spaces.v[i].hdr.netns, &one);
		if (!one.len)
			continue;
		strbuf_add(&all, "netns ");
		space_name(&v->spaces.v[i], &all);
		strbuf_addf(&all, ":\n%s", one.s);
	}
	if (v->not_listed)
		fprintf(v->out.to, "\nNot compared with the kernel's own list: %s.\n",
			no_comparison(v->not_listed));
	else if (all.len)
		fprintf(v->out.to, "\nThe kernel's own list differs. In %s", all.s);
	else
		fprintf(v->out.to, "\nThe kernel's own list agrees.\n");
}

static void json_comparison(struct view *v, uint32_t netns)
{
	_cleanup_strbuf_ struct strbuf differences = {0};
	json_t *list = json_array(), *root;
	_cleanup_free_ char *text = NULL;

	if (!v->not_listed)
		compare(v, netns, &differences);
	for (char *line = differences.s, *end; line && *line; line = end + 1) {
		end = line + strcspn(line, "\n");
		json_array_append_new(list, json_stringn(line, (size_t)(end - line)));
	}
	root = json_pack("{s:s,s:I,s:b,s:s*,s:o}", "type", "hooks_compared", "netns",
			 (json_int_t)netns, "compared", !v->not_listed, "why_not",
			 v->not_listed ? no_comparison(v->not_listed) : NULL, "differences", list);
	text = json_dumps(root, JSON_ENSURE_ASCII | JSON_COMPACT);
	fprintf(v->out.to, "%s\n", text ? text : "{}");
	json_decref(root);
}

/* ---- printing -------------------------------------------------------------------------------- */

static const struct rec_symbol *find_symbol(void *arg, uint64_t addr)
{
	struct view *v = arg;

	return v->ksyms && !ksyms_find(v->ksyms, addr, &v->symbol) ? &v->symbol : NULL;
}

static void print_space(struct view *v, const struct rec_netns *ns)
{
	_cleanup_strbuf_ struct strbuf name = {0};
	struct out_symbols syms = {find_symbol, v};
	hook_list part = part_of(&v->hooks, ns->hdr.netns);
	struct out_hooks hooks;

	space_name(ns, &name);
	hooks = (struct out_hooks){name.s ? name.s : "", part.v, part.n};
	if (v->o->json) {
		for (size_t i = 0; i < part.n; i++)
			jsonl_record(&v->out, &part.v[i].hdr, &syms);
		json_comparison(v, ns->hdr.netns);
	} else if (v->o->graph && part.n) {
		v->strange |= text_hooks_graph(&v->out, &hooks);
	} else {
		v->strange |= text_hooks(&v->out, &hooks);
	}
}

static int print_all(struct view *v)
{
	for (size_t i = 0; i < v->spaces.n; i++) {
		if (i && !v->o->json)
			fputc('\n', v->out.to);
		print_space(v, &v->spaces.v[i]);
	}
	if (v->strange && !v->o->json)
		text_hooks_legend(&v->out);
	if (!v->o->json && !v->o->graph)
		print_comparison(v);
	return fflush(v->out.to) || ferror(v->out.to) ? EXIT_FAILURE : EXIT_SUCCESS;
}

static int look(struct view *v, uint32_t netns)
{
	int err = enrich_prepare();

	if (!err)
		err = enrich_netns_list(netns, take_space, v);
	if (err)
		return err;
	err = hooks_read(v, netns, &v->hooks);
	if (err == -EAGAIN)
		fprintf(stderr, "tcpwhy: some hooks changed while they were read, and are left "
				"out: run it again\n");
	else if (err && netns)
		return err;
	else if (err)
		fprintf(stderr, "tcpwhy: not every namespace could be looked at: %s\n",
			strerror(-err));
	v->not_listed = enrich_hooks_listed(netns, take_hook, &v->listed);
	return 0;
}

int cmd_hooks(const struct hooks_options *o)
{
	struct view v = {.o = o, .out = {.to = stdout}};
	uint32_t netns;
	int err, status;

	v.out.color = isatty(STDOUT_FILENO) && !getenv("NO_COLOR");
	if (netns_wanted(o, &netns))
		return EXIT_FAILURE;
	err = look(&v, netns);
	status = err ? fail(err) : print_all(&v);
	ksyms_free(v.ksyms);
	vec_free(&v.hooks);
	vec_free(&v.listed);
	vec_free(&v.spaces);
	return status;
}
