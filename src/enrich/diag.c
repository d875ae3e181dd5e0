/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "enrich/diag.h"

#include "enrich/lookup.h"

#include <arpa/inet.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <sys/socket.h>

/* One comparison takes two slots: the operation, and the port in the second's `no`. */
#define CMP_LEN (2 * sizeof(struct inet_diag_bc_op))
#define JMP_LEN sizeof(struct inet_diag_bc_op)

/*
 * `fail` is where to go on from if the comparison is false, in bytes from the filter's start. A
 * socket passes that gets exactly to the end; four bytes further means that it doesn't
 * (net/ipv4/inet_diag.c, inet_diag_bc_run).
 */
static void filter_cmp(struct diag_filter *f, uint8_t code, uint16_t port, size_t fail)
{
	size_t at = f->n * sizeof(f->ops[0]);

	f->ops[f->n++] = (struct inet_diag_bc_op){code, CMP_LEN, (uint16_t)(fail - at)};
	f->ops[f->n++] = (struct inet_diag_bc_op){.no = port};
}

void diag_filter_local(struct diag_filter *f, uint16_t lo, uint16_t hi)
{
	size_t reject = 2 * CMP_LEN + 4;

	*f = (struct diag_filter){0};
	filter_cmp(f, INET_DIAG_BC_S_GE, lo, reject);
	filter_cmp(f, INET_DIAG_BC_S_LE, hi, reject);
}

void diag_filter_pair(struct diag_filter *f, uint16_t a, uint16_t b)
{
	size_t second = 2 * CMP_LEN + JMP_LEN, end = second + 2 * CMP_LEN;

	*f = (struct diag_filter){0};
	filter_cmp(f, INET_DIAG_BC_S_EQ, a, second);
	filter_cmp(f, INET_DIAG_BC_D_EQ, b, second);
	f->ops[f->n++] =
		(struct inet_diag_bc_op){INET_DIAG_BC_JMP, JMP_LEN, (uint16_t)(end - 2 * CMP_LEN)};
	filter_cmp(f, INET_DIAG_BC_S_EQ, b, end + 4);
	filter_cmp(f, INET_DIAG_BC_D_EQ, a, end + 4);
}

void diag_filter_remote(struct diag_filter *f, uint16_t port)
{
	*f = (struct diag_filter){0};
	filter_cmp(f, INET_DIAG_BC_D_EQ, port, CMP_LEN + 4);
}

struct sink {
	diag_fn fn;
	void *arg;
	uint8_t proto;
};

static void attr_parse(const struct nlattr *attr, struct diag_sock *s)
{
	uint16_t len = mnl_attr_get_payload_len(attr);
	uint32_t meminfo[SK_MEMINFO_VARS];

	switch (mnl_attr_get_type(attr)) {
	case INET_DIAG_SKV6ONLY:
		s->rec.v6only = len >= 1 && mnl_attr_get_u8(attr);
		break;
	case INET_DIAG_SKMEMINFO:
		if (len < sizeof(meminfo))
			break;
		memcpy(meminfo, mnl_attr_get_payload(attr), sizeof(meminfo));
		s->rec.drops = meminfo[SK_MEMINFO_DROPS];
		break;
	}
}

static int sock_parse(const struct nlmsghdr *nlh, void *arg)
{
	const struct inet_diag_msg *m = mnl_nlmsg_get_payload(nlh);
	const struct sink *sink = arg;
	const struct nlattr *attr;
	struct diag_sock s = {0};
	struct rec_tuple *t = &s.rec.tuple;

	if (mnl_nlmsg_get_payload_len(nlh) < sizeof(*m))
		return MNL_CB_OK;
	addr_set(t->src, m->idiag_family == AF_INET, m->id.idiag_src);
	addr_set(t->dst, m->idiag_family == AF_INET, m->id.idiag_dst);
	t->sport = ntohs(m->id.idiag_sport);
	t->dport = ntohs(m->id.idiag_dport);
	t->family = addr_is_v4(t->src) ? 4 : 6;
	t->proto = sink->proto;
	s.rec.cookie = (uint64_t)m->id.idiag_cookie[1] << 32 | m->id.idiag_cookie[0];
	s.rec.inode = m->idiag_inode;
	s.rec.uid = m->idiag_uid;
	s.rec.rqueue = m->idiag_rqueue;
	s.rec.wqueue = m->idiag_wqueue;
	s.rec.state = m->idiag_state;
	s.bound_if = m->id.idiag_if;
	s.family = m->idiag_family;
	mnl_attr_for_each(attr, nlh, sizeof(*m))
		attr_parse(attr, &s);
	sink->fn(sink->arg, &s);
	return MNL_CB_OK;
}

#define REQUEST_SIZE 256

static struct inet_diag_req_v2 *request_start(char buf[REQUEST_SIZE], uint8_t family, uint8_t proto,
					      uint16_t flags)
{
	struct nlmsghdr *nlh = nl_request(buf, REQUEST_SIZE, SOCK_DIAG_BY_FAMILY, flags);
	struct inet_diag_req_v2 *req = mnl_nlmsg_put_extra_header(nlh, sizeof(*req));

	req->sdiag_family = family;
	req->sdiag_protocol = proto;
	req->idiag_ext = 1 << (INET_DIAG_SKMEMINFO - 1);
	return req;
}

/*
 * An AF_INET request finds AF_INET6 sockets that talk IPv4 too: inet_lookup compares addresses, not
 * families (net/ipv4/inet_diag.c, inet_diag_find_one_icsk). For UDP the kernel takes source and
 * destination the other way round (net/ipv4/udp_diag.c, udp_dump_one).
 */
int diag_find(struct nl *nl, const struct rec_tuple *local, uint32_t ifindex, diag_fn fn, void *arg)
{
	char buf[REQUEST_SIZE] __attribute__((aligned(8)));
	struct rec_tuple t = local->proto == IPPROTO_UDP ? tuple_reverse(local) : *local;
	bool v4 = addr_is_v4(t.src) && addr_is_v4(t.dst);
	struct inet_diag_req_v2 *req = request_start(buf, v4 ? AF_INET : AF_INET6, t.proto, 0);
	struct sink sink = {fn, arg, t.proto};

	req->idiag_states = ~0u;
	req->id.idiag_sport = htons(t.sport);
	req->id.idiag_dport = htons(t.dport);
	memcpy(req->id.idiag_src, addr_bytes(t.src, v4), v4 ? 4 : 16);
	memcpy(req->id.idiag_dst, addr_bytes(t.dst, v4), v4 ? 4 : 16);
	req->id.idiag_if = ifindex;
	req->id.idiag_cookie[0] = req->id.idiag_cookie[1] = INET_DIAG_NOCOOKIE;
	return nl_ask(nl, (struct nlmsghdr *)buf, sock_parse, &sink);
}

int diag_dump(struct nl *nl, uint8_t proto, uint8_t family, uint32_t states,
	      const struct diag_filter *filter, diag_fn fn, void *arg)
{
	char buf[REQUEST_SIZE] __attribute__((aligned(8)));
	struct inet_diag_req_v2 *req = request_start(buf, family, proto, NLM_F_DUMP);
	struct sink sink = {fn, arg, proto};

	req->idiag_states = states;
	if (filter)
		mnl_attr_put((struct nlmsghdr *)buf, INET_DIAG_REQ_BYTECODE,
			     filter->n * sizeof(filter->ops[0]), filter->ops);
	return nl_ask(nl, (struct nlmsghdr *)buf, sock_parse, &sink);
}
