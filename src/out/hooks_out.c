/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "out/hooks_out.h"

#include "out/fields_out.h"
#include "record/fields.h"

#include <linux/netfilter.h>

#define MARK "!"

bool hook_is_strange(const struct rec_hook *hook)
{
	return hook->maker == HOOK_FOREIGN || hook->maker == HOOK_BPF;
}

void hook_function_text(const struct rec_hook *hook, struct strbuf *out)
{
	if (hook->name[0])
		strbuf_add(out, hook->name);
	else
		strbuf_addf(out, "0x%llx", (unsigned long long)hook->function);
}

static const char *legacy_name(uint8_t pf)
{
	return pf == NFPROTO_IPV6     ? "ip6tables-legacy"
	       : pf == NFPROTO_ARP    ? "arptables-legacy"
	       : pf == NFPROTO_BRIDGE ? "ebtables-legacy"
				      : "iptables-legacy";
}

static void chain_text(const struct rec_hook *hook, struct strbuf *out)
{
	if (!hook->chain[0])
		strbuf_add(out, "an nftables chain");
	else
		strbuf_addf(out, "chain %s %s %s (%s, policy %s)", nf_family_name(hook->family),
			    hook->table, hook->chain, hook->type, nf_policy_name(hook->policy));
}

static void program_text(const struct rec_hook *hook, struct strbuf *out)
{
	strbuf_add(out, "BPF program");
	if (hook->prog_id)
		strbuf_addf(out, " %u", hook->prog_id);
	if (hook->prog_name[0])
		strbuf_addf(out, " %s", hook->prog_name);
	if (hook->prog_pid)
		strbuf_addf(out, ", held by pid %u (%s)", hook->prog_pid, hook->prog_comm);
	else if (hook->prog_id)
		strbuf_add(out, ", held by no process");
}

void hook_what_text(const struct rec_hook *hook, struct strbuf *out)
{
	switch (hook->maker) {
	case HOOK_NFTABLES:
		chain_text(hook, out);
		break;
	case HOOK_IPTABLES:
		strbuf_add(out, legacy_name(hook->pf));
		if (hook->table[0])
			strbuf_addf(out, " table %s", hook->table);
		break;
	case HOOK_BPF:
		program_text(hook, out);
		break;
	case HOOK_FOREIGN:
		strbuf_add(out, hook->module[0] ? "a module that is no part of the kernel"
						: "code that belongs to no module");
		break;
	default:
		break;
	}
}

/* What hangs at a device is one list, whichever family it was made for. */
static bool same_point(const struct rec_hook *a, const struct rec_hook *b)
{
	if (a->ifindex || b->ifindex)
		return a->ifindex == b->ifindex &&
		       !strcmp(nf_hook_name(a->pf, a->hook), nf_hook_name(b->pf, b->hook));
	return a->pf == b->pf && a->hook == b->hook;
}

static void point_text(const struct rec_hook *hook, struct strbuf *out)
{
	const char *family = hook->pf == NFPROTO_IPV4	? "IPv4"
			     : hook->pf == NFPROTO_IPV6 ? "IPv6"
			     : hook->pf == NFPROTO_ARP	? "ARP"
							: nf_family_name(hook->pf);

	if (hook->ifindex)
		strbuf_addf(out, "device %s ", hook->ifname);
	else
		strbuf_addf(out, "%s ", family);
	strbuf_add(out, nf_hook_name(hook->pf, hook->hook));
}

static void row_add(const struct out_options *o, const struct rec_hook *hook, struct strbuf *out)
{
	_cleanup_strbuf_ struct strbuf raw = {0};
	_cleanup_strbuf_ struct strbuf function = {0};
	_cleanup_strbuf_ struct strbuf what = {0};
	_cleanup_strbuf_ struct strbuf row = {0};
	bool strange = hook_is_strange(hook);

	hook_function_text(hook, &function);
	hook_what_text(hook, &what);
	strbuf_addf(&raw, "%s %s%11d  %-*s %-16s %s", strange ? MARK : " ", hook->nat ? "  " : "",
		    hook->priority, hook->nat ? 24 : 26, function.s ? function.s : "",
		    hook->module[0]		  ? hook->module
		    : hook->maker == HOOK_FOREIGN ? "?"
						  : "kernel",
		    what.s ? what.s : "");
	while (raw.len && raw.s[raw.len - 1] == ' ')
		raw.s[--raw.len] = '\0';
	escape_text(raw.s ? raw.s : "", &row);
	if (o->color && strange)
		strbuf_add(out, YELLOW);
	strbuf_add(out, row.s ? row.s : "");
	if (o->color && strange)
		strbuf_add(out, NORMAL);
	strbuf_addc(out, '\n');
}

static void title_add(const struct out_options *o, const char *title, struct strbuf *out)
{
	if (o->color)
		strbuf_add(out, BOLD);
	escape_text(title, out);
	if (o->color)
		strbuf_add(out, NORMAL);
	strbuf_addc(out, '\n');
}

bool text_hooks(const struct out_options *o, const struct out_hooks *hooks)
{
	_cleanup_strbuf_ struct strbuf out = {0};
	_cleanup_strbuf_ struct strbuf title = {0};
	bool strange = false;

	strbuf_addf(&title, "netns %s%s", hooks->netns, hooks->n ? "" : ": no netfilter hooks");
	title_add(o, title.s ? title.s : "", &out);
	for (size_t i = 0; i < hooks->n; i++) {
		const struct rec_hook *hook = &hooks->v[i];

		if (!i || !same_point(hook, hook - 1)) {
			strbuf_reset(&title);
			point_text(hook, &title);
			strbuf_addc(&out, '\n');
			title_add(o, title.s ? title.s : "", &out);
		}
		row_add(o, hook, &out);
		strange = strange || hook_is_strange(hook);
	}
	out_write(o, &out);
	return strange;
}

void text_hooks_legend(const struct out_options *o)
{
	_cleanup_strbuf_ struct strbuf out = {0};

	strbuf_add(&out, "\n" MARK " not the kernel's own: a module that is no part of it, or a "
			 "BPF "
			 "program\n");
	out_write(o, &out);
}
