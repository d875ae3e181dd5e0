/* SPDX-License-Identifier: GPL-2.0-or-later */
/* tcpwhy hooks --graph: the way of a packet, drawn, with the hooks of each point in a box. */
#include "out/fields_out.h"
#include "out/hooks_out.h"

#include <linux/netfilter.h>

#define INNER_MIN 24
#define INNER_MAX 44 /* two boxes side by side take less than 100 columns */
#define GAP 3

/* Lines of one width. */
typedef VEC(char *) block;

struct graph {
	const struct out_hooks *hooks;
	uint8_t pf;
	size_t inner; /* columns of text in a box */
	struct strbuf *out;
};

/* include/uapi/linux/netfilter.h, enum nf_inet_hooks; a bridge's points have the same numbers */
enum point { PREROUTING, INPUT, FORWARD, OUTPUT, POSTROUTING, INGRESS, EGRESS };

static size_t columns(const char *s)
{
	size_t n = 0;

	for (; *s; s++)
		n += ((uint8_t)*s & 0xc0) != 0x80;
	return n;
}

static void block_free(block *b)
{
	for (size_t i = 0; i < b->n; i++)
		free(b->v[i]);
	vec_free(b);
}

static void block_add(block *b, const char *text)
{
	char **slot = vec_push(b);

	if (slot)
		*slot = strdup(text);
}

/* ---- what stands in the boxes ---------------------------------------------------------------- */

static bool at_point(const struct graph *g, const struct rec_hook *h, enum point p)
{
	if (p == INGRESS || p == EGRESS)
		return h->ifindex && (h->pf == NFPROTO_NETDEV && h->hook == 1) == (p == EGRESS);
	return !h->ifindex && h->pf == g->pf && h->hook == p;
}

static void text_add(block *b, const struct strbuf *raw)
{
	_cleanup_strbuf_ struct strbuf clean = {0};

	escape_text(raw->s ? raw->s : "", &clean);
	block_add(b, clean.s ? clean.s : "");
}

/* include/uapi/linux/netfilter_ipv4.h, NF_IP_PRI_FIRST, NF_IP_PRI_LAST, CONNTRACK_CONFIRM of IPv6 */
static void priority_add(int32_t priority, struct strbuf *out)
{
	if (priority >= INT32_MAX - 1 || priority <= INT32_MIN + 1)
		strbuf_addf(out, "%5s ", priority > 0 ? "last" : "first");
	else
		strbuf_addf(out, "%5d ", priority);
}

static void hook_lines(const struct rec_hook *h, block *b)
{
	_cleanup_strbuf_ struct strbuf line = {0};
	_cleanup_strbuf_ struct strbuf what = {0};

	strbuf_addf(&line, "%s%s", hook_is_strange(h) ? "!" : " ", h->nat ? "  " : "");
	priority_add(h->priority, &line);
	hook_function_text(h, &line);
	text_add(b, &line);
	if (h->maker == HOOK_NFTABLES && h->chain[0])
		strbuf_addf(&what, "%s %s %s, policy %s", nf_family_name(h->family), h->table,
			    h->chain, nf_policy_name(h->policy));
	else
		hook_what_text(h, &what);
	if (!what.len)
		return;
	strbuf_reset(&line);
	strbuf_addf(&line, "%s       %s", h->nat ? "  " : "", what.s);
	text_add(b, &line);
}

static void point_lines(const struct graph *g, enum point p, block *b)
{
	uint32_t device = 0;

	for (size_t i = 0; i < g->hooks->n; i++) {
		const struct rec_hook *h = &g->hooks->v[i];

		if (!at_point(g, h, p))
			continue;
		if (h->ifindex != device) {
			_cleanup_strbuf_ struct strbuf name = {0};

			strbuf_addf(&name, "%s:", h->ifname);
			text_add(b, &name);
			device = h->ifindex;
		}
		hook_lines(h, b);
	}
}

/* ---- drawing --------------------------------------------------------------------------------- */

static void repeat(const char *s, size_t n, struct strbuf *out)
{
	while (n--)
		strbuf_add(out, s);
}

/* The text, cut where it is too long, and blanks up to the width. */
static void fill(const char *s, size_t width, struct strbuf *out)
{
	size_t n = columns(s), keep = n > width ? width - 1 : n;

	for (size_t left = keep; *s; s++) {
		if (((uint8_t)*s & 0xc0) != 0x80 && !left--)
			break;
		strbuf_addc(out, *s);
	}
	if (n > width)
		strbuf_add(out, "…");
	repeat(" ", n > width ? 0 : width - n, out);
}

/* Text in the middle of a width; the middle of anything is column (width - 1) / 2. */
static void centered(const char *s, size_t width, struct strbuf *out)
{
	size_t n = columns(s), before = (width - 1) / 2 - (n - 1) / 2;

	repeat(" ", before, out);
	strbuf_add(out, s);
	repeat(" ", width - before - n, out);
}

static void centered_line(const char *s, size_t width, block *b)
{
	_cleanup_strbuf_ struct strbuf line = {0};

	centered(s, width, &line);
	block_add(b, line.s ? line.s : "");
}

static size_t box_width(const struct graph *g)
{
	return g->inner + 4;
}

static void box(const struct graph *g, enum point p, const char *title, block *ret)
{
	_cleanup_strbuf_ struct strbuf line = {0};
	block lines = {0};

	point_lines(g, p, &lines);
	if (!lines.n)
		block_add(&lines, "no hooks");
	strbuf_addf(&line, "┌─ %s ", title);
	repeat("─", box_width(g) - 5 - columns(title), &line);
	strbuf_add(&line, "┐");
	block_add(ret, line.s ? line.s : "");
	for (size_t i = 0; i < lines.n; i++) {
		strbuf_reset(&line);
		strbuf_add(&line, "│ ");
		fill(lines.v[i] ? lines.v[i] : "", g->inner, &line);
		strbuf_add(&line, " │");
		block_add(ret, line.s ? line.s : "");
	}
	strbuf_reset(&line);
	strbuf_add(&line, "└");
	repeat("─", box_width(g) - 2, &line);
	strbuf_add(&line, "┘");
	block_add(ret, line.s ? line.s : "");
	block_free(&lines);
}

static void line_end(const struct graph *g)
{
	while (g->out->len && g->out->s[g->out->len - 1] == ' ')
		g->out->s[--g->out->len] = '\0';
	strbuf_addc(g->out, '\n');
}

static size_t total_width(const struct graph *g)
{
	return 2 * box_width(g) + GAP;
}

static void center(const struct graph *g, const char *s)
{
	centered(s, total_width(g), g->out);
	line_end(g);
}

static void center_box(const struct graph *g, enum point p, const char *title)
{
	block b = {0};

	box(g, p, title, &b);
	for (size_t i = 0; i < b.n; i++)
		center(g, b.v[i] ? b.v[i] : "");
	block_free(&b);
}

/* "┌────┴────┐" between the middles of both columns, through the middle of all. */
static void fork_line(const struct graph *g, const char *left, const char *middle,
		      const char *right)
{
	size_t column = (box_width(g) - 1) / 2, all = (total_width(g) - 1) / 2;

	repeat(" ", column, g->out);
	strbuf_add(g->out, left);
	repeat("─", all - column - 1, g->out);
	strbuf_add(g->out, middle);
	repeat("─", box_width(g) + GAP + column - all - 1, g->out);
	strbuf_add(g->out, right);
	line_end(g);
}

static void side_by_side(const struct graph *g, const block *left, const block *right)
{
	for (size_t i = 0; i < left->n || i < right->n; i++) {
		const char *l = i < left->n ? left->v[i] : NULL;
		const char *r = i < right->n ? right->v[i] : NULL;

		if (l)
			strbuf_add(g->out, l);
		else
			centered("│", box_width(g), g->out);
		repeat(" ", GAP, g->out);
		if (r)
			strbuf_add(g->out, r);
		else
			centered("│", box_width(g), g->out);
		line_end(g);
	}
}

static bool any_at(const struct graph *g, enum point p)
{
	for (size_t i = 0; i < g->hooks->n; i++)
		if (at_point(g, &g->hooks->v[i], p))
			return true;
	return false;
}

/* As wide as the widest text wants, within reason. */
static void inner_set(struct graph *g)
{
	block all = {0};

	for (enum point p = PREROUTING; p <= EGRESS; p++)
		point_lines(g, p, &all);
	g->inner = INNER_MIN;
	for (size_t i = 0; i < all.n; i++)
		if (all.v[i] && columns(all.v[i]) > g->inner)
			g->inner = columns(all.v[i]);
	if (g->inner > INNER_MAX)
		g->inner = INNER_MAX;
	block_free(&all);
}

static void way_draw(const struct graph *g, const char *decision, const char *local)
{
	block left = {0}, right = {0};

	center(g, "packets come in");
	center(g, "│");
	if (any_at(g, INGRESS)) {
		center_box(g, INGRESS, "ingress");
		center(g, "│");
	}
	center_box(g, PREROUTING, "prerouting");
	center(g, "│");
	center(g, decision);
	fork_line(g, "┌", "┴", "┐");
	box(g, INPUT, "input", &left);
	centered_line("│", box_width(g), &left);
	centered_line(local, box_width(g), &left);
	centered_line("│", box_width(g), &left);
	box(g, OUTPUT, "output", &left);
	box(g, FORWARD, "forward", &right);
	side_by_side(g, &left, &right);
	fork_line(g, "└", "┬", "┘");
	center_box(g, POSTROUTING, "postrouting");
	center(g, "│");
	if (any_at(g, EGRESS)) {
		center_box(g, EGRESS, "egress");
		center(g, "│");
	}
	center(g, "packets go out");
	block_free(&left);
	block_free(&right);
}

/* ---- which families -------------------------------------------------------------------------- */

static bool has_family(const struct out_hooks *hooks, uint8_t pf)
{
	for (size_t i = 0; i < hooks->n; i++)
		if (!hooks->v[i].ifindex && hooks->v[i].pf == pf)
			return true;
	return false;
}

/* The i-th hook of a family, NULL behind the last. */
static const struct rec_hook *family_hook(const struct out_hooks *hooks, uint8_t pf, size_t i)
{
	for (size_t at = 0; at < hooks->n; at++)
		if (!hooks->v[at].ifindex && hooks->v[at].pf == pf && !i--)
			return &hooks->v[at];
	return NULL;
}

static bool same_families(const struct out_hooks *hooks)
{
	for (size_t i = 0;; i++) {
		const struct rec_hook *a = family_hook(hooks, NFPROTO_IPV4, i);
		const struct rec_hook *b = family_hook(hooks, NFPROTO_IPV6, i);

		if (!a || !b)
			return a == b;
		if (a->hook != b->hook || a->function != b->function || a->priv != b->priv ||
		    a->priority != b->priority)
			return false;
	}
}

static void family_draw(const struct out_options *o, const struct out_hooks *hooks, uint8_t pf,
			const char *title)
{
	_cleanup_strbuf_ struct strbuf out = {0};
	struct graph g = {.hooks = hooks, .pf = pf, .out = &out};
	bool bridge = pf == NFPROTO_BRIDGE;

	inner_set(&g);
	strbuf_add(&out, o->color ? BOLD "netns " : "netns ");
	escape_text(hooks->netns, &out);
	strbuf_addf(&out, ", %s%s\n\n", title, o->color ? NORMAL : "");
	way_draw(&g, bridge ? "which port?" : "routing decision",
		 bridge ? "this host itself" : "local processes");
	strbuf_addc(&out, '\n');
	out_write(o, &out);
}

bool text_hooks_graph(const struct out_options *o, const struct out_hooks *hooks)
{
	_cleanup_strbuf_ struct strbuf out = {0};
	bool strange = false, same = same_families(hooks);

	for (size_t i = 0; i < hooks->n; i++)
		strange = strange || hook_is_strange(&hooks->v[i]);
	family_draw(o, hooks, NFPROTO_IPV4, same ? "IPv4 and IPv6" : "IPv4");
	if (!same)
		family_draw(o, hooks, NFPROTO_IPV6, "IPv6");
	if (has_family(hooks, NFPROTO_BRIDGE))
		family_draw(o, hooks, NFPROTO_BRIDGE, "bridge");
	if (has_family(hooks, NFPROTO_ARP))
		strbuf_add(&out, "ARP has hooks too, which tcpwhy hooks lists.\n");
	out_write(o, &out);
	return strange;
}
