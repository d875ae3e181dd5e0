/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "enrich/nft_trace.h"

#include "enrich/netlink.h"
#include "enrich/netns.h"
#include "enrich/nft_drops.h"
#include "enrich/ruleset.h"
#include "record/record.h"

#include <linux/netfilter/nfnetlink.h>
#include <nftables/libnftables.h>
#include <sys/epoll.h>
#include <sys/socket.h>

/* Some thousand messages; the kernel counts more than a KiB for each. */
#define RECEIVE_BUFFER (8 * 1024 * 1024)
/* At most so many of one namespace at a time, so that nothing else waits for long: some ms. */
#define TAKE_MAX 16384
/* A packet is freed so much later than its trace was read, at most. */
#define FREED_LATER_NS (50 * NSEC_PER_MSEC)

struct place {
	uint32_t netns;
	struct nl nl;	     /* the trace comes here */
	struct nft_ctx *ctx; /* its socket owns the table */
	uint64_t emptied_ns; /* nl had no messages left some time after that */
	bool gap;	     /* messages were lost, somewhere among those that wait */
};

struct nft_trace {
	VEC(struct place) v;
	int epoll_fd;
	struct nft_drops *drops;
	uint64_t lost;
};

/* ---- what is to be marked, in nft's language ------------------------------------------------- */

static unsigned prefix_len(const struct config_host *h)
{
	unsigned len = 0;

	for (size_t i = 0; i < sizeof(h->mask); i++)
		len += (unsigned)__builtin_popcount(h->mask[i]);
	return len;
}

/* "10.0.0.0/8, 10.2.0.1/32": those of one side and IP version. */
static void add_hosts(const struct config *c, uint8_t side, bool v4, struct strbuf *out)
{
	for (size_t i = 0; i < c->nr_hosts; i++) {
		const struct config_host *h = &c->hosts[i];
		unsigned len = prefix_len(h);

		if (h->side != side || (addr_is_v4(h->addr) && len >= 96) != v4)
			continue;
		strbuf_add(out, out->len ? ", " : "");
		addr_text(h->addr, out);
		strbuf_addf(out, "/%u", v4 ? len - 96 : len);
	}
}

/*
 * The chains step0, step1…: each lets those packets go to the next that fit, and the last marks them.
 * Only matches for what is wanted, one a rule: libnftables 1.0.6 makes "sport != 1 dport != 1" a test
 * for both at once.
 */
struct steps {
	struct strbuf text;
	unsigned n;
};

static void step_begin(struct steps *s)
{
	strbuf_addf(&s->text, "chain step%u {\n", s->n++);
}

/* Answers have the ends the other way round, so either may be the one. */
static void step_add(struct steps *s, const char *field, const char *source, const char *target,
		     const struct strbuf *values)
{
	if (!values->len)
		return;
	strbuf_addf(&s->text, "%s %s { %s } goto step%u\n", field, source, values->s, s->n);
	strbuf_addf(&s->text, "%s %s { %s } goto step%u\n", field, target, values->s, s->n);
}

static void add_side(const struct config *c, uint8_t side, struct steps *s)
{
	_cleanup_strbuf_ struct strbuf v4 = {0}, v6 = {0}, ports = {0};

	add_hosts(c, side, true, &v4);
	add_hosts(c, side, false, &v6);
	for (size_t i = 0; i < c->nr_ports; i++)
		if (c->ports[i].side == side)
			strbuf_addf(&ports, "%s%u", ports.len ? ", " : "", c->ports[i].port);
	if (v4.len || v6.len) {
		step_begin(s);
		step_add(s, "ip", "saddr", "daddr", &v4);
		step_add(s, "ip6", "saddr", "daddr", &v6);
		strbuf_add(&s->text, "}\n");
	}
	if (ports.len) {
		step_begin(s);
		step_add(s, "th", "sport", "dport", &ports);
		strbuf_add(&s->text, "}\n");
	}
}

static void add_steps(const struct config *c, struct steps *s)
{
	if (c->proto) {
		step_begin(s);
		strbuf_addf(&s->text, "meta l4proto %u goto step%u\n}\n", c->proto, s->n);
	}
	for (uint8_t side = SIDE_EITHER; side <= SIDE_DST; side++)
		add_side(c, side, s);
	step_begin(s);
	/* Each rule that a marked packet meets costs a message: let it meet no more of them here. */
	strbuf_add(&s->text, "meta nftrace set 1 accept\n}\n");
}

void nft_trace_table(char *ret, size_t size)
{
	snprintf(ret, size, NF_TRACE_TABLE "%d", (int)getpid());
}

/*
 * First of all at its hook: the lowest priority that there is. Where addresses count, at all hooks, as
 * NAT gives a packet other ones on its way.
 */
static void table_text(const struct config *c, struct strbuf *out)
{
	static const char *const hooks[] = {"prerouting", "output", "input", "forward",
					    "postrouting"};
	struct steps steps = {0};
	char name[64];

	add_steps(c, &steps);
	nft_trace_table(name, sizeof(name));
	strbuf_addf(out, "add table inet %s {\nflags owner;\n%s", name,
		    steps.text.s ? steps.text.s : "");
	for (size_t i = 0; i < (c->flow_filter ? ARRAY_SIZE(hooks) : 2); i++)
		strbuf_addf(out,
			    "chain %s {\ntype filter hook %s priority -2147483648;\n"
			    "policy accept;\njump step0\n}\n",
			    hooks[i], hooks[i]);
	strbuf_add(out, "}\n");
	out->oom |= steps.text.oom;
	strbuf_free(&steps.text);
}

/* ---- beginning ------------------------------------------------------------------------------- */

struct opening {
	struct nft_trace *t;
	struct strbuf command;
	struct strbuf *why;
};

static int has_base_chain(bool *ret)
{
	struct ruleset rs = {0};
	int err = ruleset_load(&rs);

	*ret = false;
	for (size_t i = 0; i < rs.chains.n; i++)
		*ret |= rs.chains.v[i].base;
	ruleset_free(&rs);
	return err;
}

static int listen_open(struct nft_trace *t, struct place *p)
{
	struct epoll_event event = {.events = EPOLLIN, .data.u64 = t->v.n - 1};
	int group = NFNLGRP_NFTRACE, size = RECEIVE_BUFFER;
	int err = nl_open(&p->nl, NETLINK_NETFILTER);

	if (err)
		return err;
	p->emptied_ns = now_mono();
	setsockopt(mnl_socket_get_fd(p->nl.socket), SOL_SOCKET, SO_RCVBUFFORCE, &size,
		   sizeof(size));
	if (mnl_socket_setsockopt(p->nl.socket, NETLINK_ADD_MEMBERSHIP, &group, sizeof(group)) ||
	    epoll_ctl(t->epoll_fd, EPOLL_CTL_ADD, mnl_socket_get_fd(p->nl.socket), &event))
		return -errno;
	return 0;
}

/* Kernels before 5.12 (commit 6001a930ce03) don't know that flag, and make no table then. */
static int table_add(struct place *p, const char *command, struct strbuf *why)
{
	const char *said;

	p->ctx = nft_ctx_new(NFT_CTX_DEFAULT);
	if (!p->ctx || nft_ctx_buffer_output(p->ctx) || nft_ctx_buffer_error(p->ctx))
		return -ENOMEM;
	if (!nft_run_cmd_from_buffer(p->ctx, command))
		return 0;
	said = nft_ctx_get_error_buffer(p->ctx);
	strbuf_addf(why,
		    "its table could not be added, nft says \"%.*s\"; a table that the kernel "
		    "removes by itself needs Linux 5.12 or newer",
		    said ? (int)strcspn(said, "\n") : 0, said ? said : "");
	return -EOPNOTSUPP;
}

static int begin_here(void *arg, uint32_t netns)
{
	struct opening *o = arg;
	struct place *p;
	bool wanted;
	int err = has_base_chain(&wanted);

	if (err || !wanted || o->why->len)
		return err;
	p = vec_push(&o->t->v);
	if (!p)
		return -ENOMEM;
	p->netns = netns;
	err = listen_open(o->t, p);
	return err ? err : table_add(p, o->command.s, o->why);
}

static int begin(struct netns_map *m, uint32_t netns, struct opening *o)
{
	int err;

	if (!netns)
		return netns_each(m, 0, begin_here, o);
	err = netns_enter(m, netns);
	if (!err)
		err = begin_here(o, netns);
	netns_leave(m);
	return err;
}

int nft_trace_open(struct netns_map *m, uint32_t netns, const struct config *c,
		   struct nft_trace **ret, struct strbuf *why)
{
	struct opening o = {.t = calloc(1, sizeof(*o.t)), .why = why};
	int err = 0;

	if (!o.t)
		return -ENOMEM;
	table_text(c, &o.command);
	o.t->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	o.t->drops = nft_drops_new();
	if (o.t->epoll_fd < 0)
		err = -errno;
	else if (!o.t->drops || o.command.oom)
		err = -ENOMEM;
	else
		err = begin(m, netns, &o);
	strbuf_free(&o.command);
	if (err) {
		nft_trace_close(o.t);
		return err;
	}
	*ret = o.t;
	return 0;
}

void nft_trace_close(struct nft_trace *t)
{
	if (!t)
		return;
	for (size_t i = 0; i < t->v.n; i++) {
		if (t->v.v[i].ctx)
			nft_ctx_free(t->v.v[i].ctx);
		nl_close(&t->v.v[i].nl);
	}
	vec_free(&t->v);
	close_fd(&t->epoll_fd);
	nft_drops_free(t->drops);
	free(t);
}

uint32_t nft_trace_netns(const struct nft_trace *t, size_t i)
{
	return i < t->v.n ? t->v.v[i].netns : 0;
}

/* ---- while it runs --------------------------------------------------------------------------- */

int nft_trace_fd(const struct nft_trace *t)
{
	return t->epoll_fd;
}

uint64_t nft_trace_lost(const struct nft_trace *t)
{
	return t->lost;
}

static void place_take(struct nft_trace *t, struct place *p)
{
	char buf[8192] __attribute__((aligned(8)));
	uint64_t start = now_mono();

	for (int i = 0; i < TAKE_MAX; i++) {
		ssize_t n = recv(mnl_socket_get_fd(p->nl.socket), buf, sizeof(buf), MSG_DONTWAIT);
		const struct nlmsghdr *nlh = (const struct nlmsghdr *)buf;
		int left = (int)n;

		if (n < 0 && errno == ENOBUFS) {
			t->lost++;
			p->gap = true;
			nft_drops_forget(t->drops);
			continue;
		}
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0) {
			p->emptied_ns = start;
			p->gap = false;
			return;
		}
		for (; !p->gap && mnl_nlmsg_ok(nlh, left); nlh = mnl_nlmsg_next(nlh, &left))
			nft_drops_message(t->drops, nlh, p->netns, p->emptied_ns,
					  now_mono() + FREED_LATER_NS);
	}
}

void nft_trace_take(struct nft_trace *t)
{
	struct epoll_event events[64];
	int n = epoll_wait(t->epoll_fd, events, ARRAY_SIZE(events), 0);

	for (int i = 0; i < n; i++)
		place_take(t, &t->v.v[events[i].data.u64]);
}

/* The kernel sends its trace before it frees the packet: it waits here, if it wasn't taken yet. */
void nft_trace_fill(struct nft_trace *t, struct rec_event *e)
{
	if (!nft_drops_concern(e) || nft_drops_fill(t->drops, e))
		return;
	for (size_t i = 0; i < t->v.n; i++) {
		if (t->v.v[i].netns != e->hdr.netns)
			continue;
		place_take(t, &t->v.v[i]);
		nft_drops_fill(t->drops, e);
		return;
	}
}
