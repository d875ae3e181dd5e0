/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What is made of the hooks that were read: modules found, compared with the kernel's list, printed. */
/* clang-format off: cmocka wants these before itself */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
/* clang-format on */

#include "cli/hooks.h"
#include "enrich/modules.h"
#include "out/hooks_out.h"

#include <unistd.h>

/* ---- modules --------------------------------------------------------------------------------- */

static const char proc_modules[] = "evil 16384 0 - Live 0xffffffffc0300000 (OE)\n"
				   "nf_tables 1000 2 nft_chain_nat,nft_nat, Live "
				   "0xffffffffc0100000\n"
				   "nf_nat 4096 1 x, Live 0xffffffffc0100800\n"
				   "half 12\n"
				   "hidden 4096 0 - Live 0x0000000000000000\n"
				   "forced 4096 0 - Live 0xffffffffc0200000 (F)\n";

static void modules_by_address(void **state)
{
	static const struct {
		uint64_t addr;
		const char *name;
	} wanted[] = {
		{0xffffffffc0100000, "nf_tables"}, {0xffffffffc01003e7, "nf_tables"},
		{0xffffffffc01003e8, NULL},	   {0xffffffffc0100800, "nf_nat"},
		{0xffffffffc0301000, "evil"},	   {0xffffffffc0304000, NULL},
		{0xffffffff81000000, NULL},	   {0, NULL},
	};
	char path[] = "/tmp/tcpwhy-modules-XXXXXX";
	int fd = mkstemp(path);
	struct module_list l;
	(void)state;

	assert_true(fd >= 0);
	assert_int_equal(write(fd, proc_modules, sizeof(proc_modules) - 1),
			 sizeof(proc_modules) - 1);
	close(fd);
	assert_int_equal(modules_read(path, &l), 0);
	unlink(path);
	assert_int_equal(l.v.n, 4);
	for (size_t i = 0; i < ARRAY_SIZE(wanted); i++) {
		const struct module *m = modules_find(&l, wanted[i].addr);

		assert_true(!m == !wanted[i].name);
		if (m)
			assert_string_equal(m->name, wanted[i].name);
	}
	assert_true(modules_find(&l, 0xffffffffc0300000)->foreign);
	assert_false(modules_find(&l, 0xffffffffc0100000)->foreign);
	assert_false(modules_find(&l, 0xffffffffc0200000)->foreign);
	modules_free(&l);
	assert_int_equal(modules_read("/no/such/file", &l), 0);
	assert_int_equal(l.v.n, 0);
}

/* ---- comparing ------------------------------------------------------------------------------- */

static void hook_add(hook_list *l, uint8_t pf, uint8_t hook, int priority, const char *name,
		     bool nat)
{
	struct rec_hook *h = vec_push(l);

	assert_non_null(h);
	h->pf = pf;
	h->hook = hook;
	h->priority = priority;
	h->nat = nat;
	str_copy(h->name, sizeof(h->name), name);
}

static void some_hooks(hook_list *l)
{
	hook_add(l, 2, 0, -200, "ipv4_conntrack_in", false);
	hook_add(l, 2, 0, -100, "nf_nat_ipv4_in", false);
	hook_add(l, 2, 0, -100, "ipt_do_table", true);
	hook_add(l, 2, 0, -90, "nft_nat_do_chain", true);
	hook_add(l, 2, 3, -100, "nf_nat_ipv4_local_fn", false);
	hook_add(l, 1, 5, 1, "nft_do_chain_inet_ingress", false);
	l->v[l->n - 1].ifindex = 4;
	str_copy(l->v[l->n - 1].ifname, 16, "eth0");
}

static void listed_hooks(hook_list *l)
{
	hook_add(l, 2, 0, -200, "ipv4_conntrack_in", false);
	hook_add(l, 2, 0, -100, "nf_nat_ipv4_in", false);
	hook_add(l, 2, 3, -100, "nf_nat_ipv4_local_fn", false);
	hook_add(l, 5, 0, 1, "nft_do_chain_inet_ingress", false);
	l->v[l->n - 1].ifindex = 4;
}

static void differs(const hook_list *read, const hook_list *listed, const char *wanted)
{
	_cleanup_strbuf_ struct strbuf out = {0};

	hooks_compare(read, listed, &out);
	assert_string_equal(out.s ? out.s : "", wanted);
}

static void lists_that_agree(void **state)
{
	hook_list read = {0}, listed = {0}, expanded = {0}, none = {0};
	(void)state;

	some_hooks(&read);
	listed_hooks(&listed);
	differs(&read, &listed, "");
	/* Newer kernels: in NAT's place those below it, with its priority. */
	hook_add(&expanded, 2, 0, -200, "ipv4_conntrack_in", false);
	hook_add(&expanded, 2, 0, -100, "ipt_do_table", false);
	hook_add(&expanded, 2, 0, -100, "nft_nat_do_chain", false);
	hook_add(&expanded, 5, 0, 1, "nft_do_chain_inet_ingress", false);
	expanded.v[3].ifindex = 4;
	differs(&read, &expanded, "");
	differs(&none, &none, "");
	/* Without symbols. */
	for (size_t i = 0; i < read.n; i++)
		if (!read.v[i].nat)
			read.v[i].name[0] = '\0';
	differs(&read, &listed, "");
	vec_free(&read);
	vec_free(&listed);
	vec_free(&expanded);
}

static void lists_that_differ(void **state)
{
	hook_list read = {0}, listed = {0};
	(void)state;

	some_hooks(&read);
	listed_hooks(&listed);
	hook_add(&listed, 10, 2, 5, "hidden_hook", false);
	differs(&read, &listed, "only listed: ip6 forward, priority 5, hidden_hook\n");
	listed.n--;
	hook_add(&read, 7, 2, 6, "more", false);
	differs(&read, &listed, "only in memory: bridge forward, priority 6, more\n");
	read.n--;
	listed.v[0].priority = -201;
	differs(&read, &listed,
		"only in memory: ip prerouting, priority -200, ipv4_conntrack_in\n"
		"only listed: ip prerouting, priority -201, ipv4_conntrack_in\n");
	vec_free(&read);
	vec_free(&listed);
}

/* ---- printing -------------------------------------------------------------------------------- */

struct capture {
	struct out_options o;
	char *text;
	size_t len;
};

static void capture_start(struct capture *c)
{
	*c = (struct capture){0};
	c->o.to = open_memstream(&c->text, &c->len);
	assert_non_null(c->o.to);
}

static const char *capture_text(struct capture *c)
{
	fflush(c->o.to);
	return c->text;
}

static void capture_end(struct capture *c)
{
	fclose(c->o.to);
	free(c->text);
}

static struct rec_hook hook_make(uint8_t maker, uint8_t hook, int priority, const char *name)
{
	struct rec_hook h = {.maker = maker, .pf = 2, .hook = hook, .priority = priority};

	str_copy(h.name, sizeof(h.name), name);
	return h;
}

static void a_list_marks_what_is_strange(void **state)
{
	struct rec_hook v[5] = {hook_make(HOOK_KERNEL, 0, -200, "ipv4_conntrack_in"),
				hook_make(HOOK_FOREIGN, 0, 5, "guard"),
				hook_make(HOOK_BPF, 1, 6, "nf_hook_run_bpf"),
				hook_make(HOOK_NFTABLES, 1, 7, ""),
				hook_make(HOOK_FOREIGN, 1, 8, "")};
	struct out_hooks hooks = {"a\x1b[2J", v, 5};
	struct capture c;
	(void)state;

	str_copy(v[1].module, sizeof(v[1].module), "guard_module");
	v[2].prog_id = 9;
	str_copy(v[2].prog_name, sizeof(v[2].prog_name), "p\x07");
	v[3].function = v[4].function = 0xffffffff81000010;
	capture_start(&c);
	assert_true(text_hooks(&c.o, &hooks));
	assert_string_equal(capture_text(&c), "netns a\\x1b[2J\n"
					      "\nIPv4 prerouting\n"
					      "         -200  ipv4_conntrack_in          kernel\n"
					      "!           5  guard                      "
					      "guard_module     "
					      "a module that is no part of the kernel\n"
					      "\nIPv4 input\n"
					      "!           6  nf_hook_run_bpf            kernel    "
					      "       "
					      "BPF program 9 p\\x07, held by no process\n"
					      "            7  0xffffffff81000010         kernel    "
					      "       an nftables chain\n"
					      "!           8  0xffffffff81000010         ?         "
					      "       "
					      "code that belongs to no module\n");
	capture_end(&c);
	capture_start(&c);
	assert_false(text_hooks(&c.o, &(struct out_hooks){"x", v, 1}));
	assert_false(text_hooks(&c.o, &(struct out_hooks){"y", NULL, 0}));
	assert_non_null(strstr(capture_text(&c), "netns y: no netfilter hooks\n"));
	capture_end(&c);
}

static size_t columns(const char *s, size_t len)
{
	size_t n = 0;

	for (size_t i = 0; i < len; i++)
		n += ((uint8_t)s[i] & 0xc0) != 0x80;
	return n;
}

static void a_graph_stays_in_its_columns(void **state)
{
	struct rec_hook v[3] = {hook_make(HOOK_NFTABLES, 0, -200, "nft_do_chain"),
				hook_make(HOOK_FOREIGN, 2, INT32_MAX, "guard"),
				hook_make(HOOK_KERNEL, 4, 1, "x")};
	struct out_hooks hooks = {"x", v, 3};
	struct capture c;
	const char *text;
	(void)state;

	v[0].family = 2;
	memset(v[0].table, 'T', sizeof(v[0].table) - 1);
	for (size_t i = 0; i + 3 < sizeof(v[0].chain); i += 2)
		memcpy(v[0].chain + i, "ä", 2);
	capture_start(&c);
	assert_true(text_hooks_graph(&c.o, &hooks));
	text = capture_text(&c);
	assert_non_null(strstr(text, "TTT…"));
	assert_non_null(strstr(text, "! last guard"));
	assert_non_null(strstr(text, "netns x, IPv4\n"));
	assert_non_null(strstr(text, "netns x, IPv6\n"));
	assert_null(strstr(text, "bridge"));
	for (size_t len; *text; text += len + (text[len] == '\n')) {
		len = strcspn(text, "\n");
		assert_in_range(columns(text, len), 0, 100);
	}
	capture_end(&c);
}

static void one_graph_for_both_versions(void **state)
{
	struct rec_hook v[2] = {hook_make(HOOK_NFTABLES, 1, 0, "nft_do_chain_inet"),
				hook_make(HOOK_NFTABLES, 1, 0, "nft_do_chain_inet")};
	struct capture c;
	(void)state;

	v[1].pf = 10;
	capture_start(&c);
	assert_false(text_hooks_graph(&c.o, &(struct out_hooks){"x", v, 2}));
	assert_non_null(strstr(capture_text(&c), "netns x, IPv4 and IPv6\n"));
	assert_null(strstr(capture_text(&c), "netns x, IPv6\n"));
	capture_end(&c);
	v[1].priority = 1;
	capture_start(&c);
	text_hooks_graph(&c.o, &(struct out_hooks){"x", v, 2});
	assert_non_null(strstr(capture_text(&c), "netns x, IPv6\n"));
	capture_end(&c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(modules_by_address),
		cmocka_unit_test(lists_that_agree),
		cmocka_unit_test(lists_that_differ),
		cmocka_unit_test(a_list_marks_what_is_strange),
		cmocka_unit_test(a_graph_stays_in_its_columns),
		cmocka_unit_test(one_graph_for_both_versions),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
