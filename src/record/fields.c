/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Reading by field tables, and the tables of what all records have and of what lookups found. */
#include "record/fields.h"
#include "record/question.h"

#include <netinet/in.h>

/* ---- reading --------------------------------------------------------------------------------- */

const void *field_at(const struct field *f, const void *base)
{
	return (const uint8_t *)base + f->offset;
}

/* The records of a file need not be aligned. */
static uint64_t uint_at(const void *at, size_t size)
{
	union {
		uint8_t u8;
		uint16_t u16;
		uint32_t u32;
		uint64_t u64;
	} v = {0};

	memcpy(&v, at, size <= sizeof(v) ? size : 0);
	return size == 1 ? v.u8 : size == 2 ? v.u16 : size == 4 ? v.u32 : v.u64;
}

uint64_t field_uint(const struct field *f, const void *base)
{
	uint64_t v = uint_at(field_at(f, base), f->size);

	if ((f->type == FIELD_INT || f->type == FIELD_ERRNO) && f->size == sizeof(int32_t))
		v = (uint64_t)(int64_t)(int32_t)v;
	return v;
}

size_t field_count(const struct field *f, const void *base)
{
	return uint_at((const uint8_t *)base + f->u.count.offset, f->u.count.size);
}

bool field_is_empty(const struct field *f, const void *base)
{
	const uint8_t *bytes = field_at(f, base);
	size_t n = f->size;
	const char *s;

	switch (f->type) {
	case FIELD_STRING:
		return !*bytes;
	case FIELD_CSTR:
		memcpy(&s, bytes, sizeof(s));
		return !s || !*s;
	case FIELD_LLADDR:
	case FIELD_SYMBOLS:
	case FIELD_ADDRESSES:
	case FIELD_TIMES:
		return !field_count(f, base);
	default:
		while (n && !bytes[n - 1])
			n--;
		return n == 0;
	}
}

bool field_present(const struct field *f, const void *base)
{
	if (f->kept || (f->when && !f->when(base)))
		return false;
	return !f->optional || !field_is_empty(f, base);
}

void field_name_text(const struct field *f, const void *base, struct strbuf *out)
{
	uint64_t v = field_uint(f, base);
	const char *name = f->type == FIELD_ERRNO ? errno_name((int)v) : f->u.name((unsigned)v);

	if (name && name != name_unknown)
		strbuf_add(out, name);
	else
		strbuf_addf(out, "%lld", (long long)v);
}

void field_hook_text(const struct field *f, const void *base, struct strbuf *out)
{
	const uint8_t *at = field_at(f, base);

	strbuf_add(out, nf_hook_name(at[0], at[1]));
}

void field_community_text(const struct field *f, const void *base, struct strbuf *out)
{
	struct rec_tuple t;

	memcpy(&t, field_at(f, base), sizeof(t)); /* of a packet it is the first member */
	if (f->size == sizeof(struct rec_packet) &&
	    (t.proto == IPPROTO_ICMP || t.proto == IPPROTO_ICMPV6)) {
		const struct rec_packet *p = field_at(f, base);

		t.sport = p->icmp_type;
		t.dport = p->icmp_code;
	}
	community_id(&t, out);
}

/* ---- what all records have ------------------------------------------------------------------- */

static bool tuple_has_addresses(const void *base)
{
	static const uint8_t zero[16];
	const struct rec_tuple *t = base;

	return t->family || !addr_equal(t->src, zero) || !addr_equal(t->dst, zero);
}

static bool tuple_has_ports(const void *base)
{
	const struct rec_tuple *t = base;

	return t->proto == IPPROTO_TCP || t->proto == IPPROTO_UDP || t->proto == IPPROTO_SCTP ||
	       t->proto == IPPROTO_DCCP || t->proto == IPPROTO_UDPLITE;
}

const struct field tuple_fields[] = {
	FIELD(NAME, struct rec_tuple, proto, "proto", NULL, .optional = true, .u.name = proto_name),
	FIELD(UINT, struct rec_tuple, family, "family", NULL, .optional = true),
	FIELD(ADDR, struct rec_tuple, src, "src", NULL, .when = tuple_has_addresses),
	FIELD(UINT, struct rec_tuple, sport, "src_port", NULL, .when = tuple_has_ports),
	FIELD(ADDR, struct rec_tuple, dst, "dst", NULL, .when = tuple_has_addresses),
	FIELD(UINT, struct rec_tuple, dport, "dst_port", NULL, .when = tuple_has_ports),
	{.type = FIELD_END},
};

const struct field header_fields[] = {
	FIELD(UINT, struct rec_hdr, seq, "seq", NULL),
	FIELD(TIME, struct rec_hdr, wall_ns, "time", NULL),
	FIELD(NS, struct rec_hdr, mono_ns, "mono_ns", NULL),
	FIELD(UINT, struct rec_hdr, netns, "netns_inum", NULL, .optional = true),
	{.type = FIELD_END},
};

/* ---- what lookups found ---------------------------------------------------------------------- */

#define HEADER FIELD_INLINE(header_fields) /* the header is the start of the record */
#define QUESTION(type) FIELD(UINT, struct type, question, "question", NULL)

static const struct field sock_info_fields[] = {
	HEADER,
	QUESTION(rec_sock_info),
	FIELD_TUPLE_OF(struct rec_sock_info, tuple, NULL, ""),
	FIELD(NAME, struct rec_sock_info, match, "match", "match", .u.name = sock_match_name),
	FIELD(NAME, struct rec_sock_info, state, "state", "state", .u.name = tcp_state_name),
	FIELD(UINT, struct rec_sock_info, pid, "pid", "pid", .optional = true),
	FIELD(STRING, struct rec_sock_info, comm, "comm", "comm", .optional = true),
	FIELD(STRING, struct rec_sock_info, container, "container", "container", .optional = true),
	FIELD(UINT, struct rec_sock_info, uid, "uid", NULL),
	FIELD(UINT, struct rec_sock_info, inode, "inode", NULL, .optional = true),
	FIELD(HEX, struct rec_sock_info, cookie, "cookie", NULL, .optional = true),
	FIELD(UINT, struct rec_sock_info, rqueue, "receive_queue", "receive_queue"),
	FIELD(UINT, struct rec_sock_info, wqueue, "send_queue", "send_queue"),
	FIELD(UINT, struct rec_sock_info, drops, "drops", "drops", .optional = true),
	FIELD(BOOL, struct rec_sock_info, v6only, "v6only", NULL),
	{.type = FIELD_END},
};

static bool ct_found(const void *base)
{
	return ((const struct rec_ct *)base)->found;
}

static bool ct_is_tcp(const void *base)
{
	return ((const struct rec_ct *)base)->orig.proto == IPPROTO_TCP;
}

static const struct field ct_entry_fields[] = {
	FIELD_TUPLE_OF(struct rec_ct, orig, "original", ""),
	FIELD_TUPLE_OF(struct rec_ct, reply, "reply", "reply"),
	FIELD(BOOL, struct rec_ct, reply_dir, "reply_direction", "reply_direction"),
	FIELD(NAME, struct rec_ct, tcp_state, "state", "state", .when = ct_is_tcp,
	      .u.name = ct_tcp_state_name),
	FIELD(FLAGS, struct rec_ct, status, "status", "status", .u.flags = ct_status_names),
	FIELD(UINT, struct rec_ct, timeout_s, "timeout_s", "timeout_s"),
	FIELD(HEX, struct rec_ct, mark, "mark", NULL, .optional = true),
	FIELD(UINT, struct rec_ct, zone, "zone", NULL, .optional = true),
	FIELD(UINT, struct rec_ct, id, "id", NULL),
	{.type = FIELD_END},
};

static const struct field ct_fields[] = {
	HEADER,
	QUESTION(rec_ct),
	FIELD(BOOL, struct rec_ct, found, "found", "found"),
	FIELD_INLINE(ct_entry_fields, .when = ct_found),
	{.type = FIELD_END},
};

static const struct field netns_fields[] = {
	HEADER,
	QUESTION(rec_netns),
	FIELD(STRING, struct rec_netns, name, "name", "name", .optional = true),
	FIELD(STRING, struct rec_netns, container, "container", "container", .optional = true),
	FIELD(UINT, struct rec_netns, pid, "pid", "pid", .optional = true),
	FIELD(STRING, struct rec_netns, comm, "comm", "comm", .optional = true),
	{.type = FIELD_END},
};

static bool route_has_gateway(const void *base)
{
	return ((const struct rec_route *)base)->has_gateway;
}

static const struct field route_fields[] = {
	HEADER,
	QUESTION(rec_route),
	FIELD_TUPLE_OF(struct rec_route, tuple, NULL, ""),
	FIELD(BOOL, struct rec_route, iif_lookup, "incoming", "incoming"),
	FIELD(ERRNO, struct rec_route, err, "error", "error", .optional = true),
	FIELD(NAME, struct rec_route, type, "route_type", "type", .u.name = route_type_name),
	FIELD_KEPT(BOOL, struct rec_route, has_gateway, "has_gateway"),
	FIELD(ADDR, struct rec_route, gateway, "gateway", "via", .when = route_has_gateway),
	FIELD(STRING, struct rec_route, ifname, "interface", "dev", .optional = true),
	FIELD(UINT, struct rec_route, oif, "ifindex", NULL, .optional = true),
	FIELD(ADDR, struct rec_route, prefsrc, "preferred_src", "src", .optional = true),
	FIELD(UINT, struct rec_route, table, "table", "table", .optional = true),
	{.type = FIELD_END},
};

static const struct field neigh_fields[] = {
	HEADER,
	QUESTION(rec_neigh),
	FIELD(ADDR, struct rec_neigh, addr, "address", ""),
	FIELD(NAME, struct rec_neigh, state, "state", "state", .u.name = neigh_state_name),
	FIELD(LLADDR, struct rec_neigh, lladdr, "lladdr", "lladdr", .optional = true,
	      FIELD_COUNT(struct rec_neigh, lladdr_len)),
	FIELD(STRING, struct rec_neigh, ifname, "interface", "dev", .optional = true),
	FIELD(UINT, struct rec_neigh, ifindex, "ifindex", NULL, .optional = true),
	{.type = FIELD_END},
};

static const struct field sysctl_fields[] = {
	HEADER,
	QUESTION(rec_sysctl),
	FIELD(STRING, struct rec_sysctl, name, "name", ""),
	FIELD(INT, struct rec_sysctl, value, "value", "value"),
	{.type = FIELD_END},
};

static bool counter_has_base(const void *base)
{
	return ((const struct rec_counter *)base)->base_ns;
}

static const struct field counter_delta_fields[] = {
	FIELD(UINT, struct rec_counter, delta, "delta", "delta"),
	FIELD(NS, struct rec_counter, base_ns, "base_ns", NULL),
	{.type = FIELD_END},
};

static const struct field counter_fields[] = {
	HEADER,
	QUESTION(rec_counter),
	FIELD(STRING, struct rec_counter, name, "name", ""),
	FIELD(UINT, struct rec_counter, value, "value", "value"),
	FIELD_INLINE(counter_delta_fields, .when = counter_has_base),
	{.type = FIELD_END},
};

static bool hook_is_chain(const void *base)
{
	return ((const struct rec_hook *)base)->maker == HOOK_NFTABLES;
}

static bool hook_is_bpf(const void *base)
{
	return ((const struct rec_hook *)base)->maker == HOOK_BPF;
}

static const struct field hook_chain_fields[] = {
	FIELD(NAME, struct rec_hook, family, "table_family", NULL, .u.name = nf_family_name),
	FIELD(STRING, struct rec_hook, chain, "chain", "chain"),
	FIELD(STRING, struct rec_hook, type, "chain_type", NULL),
	FIELD(NAME, struct rec_hook, policy, "policy", "policy", .u.name = nf_policy_name),
	{.type = FIELD_END},
};

static const struct field hook_bpf_fields[] = {
	FIELD(UINT, struct rec_hook, prog_id, "prog_id", "prog"),
	FIELD(STRING, struct rec_hook, prog_name, "prog_name", "", .optional = true),
	FIELD(UINT, struct rec_hook, prog_pid, "pid", "pid", .optional = true),
	FIELD(STRING, struct rec_hook, prog_comm, "comm", "comm", .optional = true),
	{.type = FIELD_END},
};

static const struct field hook_fields[] = {
	HEADER,
	QUESTION(rec_hook),
	FIELD(NAME, struct rec_hook, pf, "hook_family", "", .u.name = nf_family_name),
	FIELD(HOOK, struct rec_hook, pf, "hook", ""), /* and the number behind it */
	FIELD_KEPT(UINT, struct rec_hook, hook, "hook_number"),
	FIELD(INT, struct rec_hook, priority, "priority", "priority"),
	FIELD(SYMBOL, struct rec_hook, function, "function", "function"),
	FIELD(STRING, struct rec_hook, name, "name", NULL, .optional = true),
	FIELD(HEX, struct rec_hook, priv, "priv", NULL, .optional = true),
	FIELD(STRING, struct rec_hook, module, "module", "module", .optional = true),
	FIELD(NAME, struct rec_hook, maker, "made_by", "by", .u.name = hook_maker_name),
	FIELD(STRING, struct rec_hook, table, "table", "table", .optional = true),
	FIELD_INLINE(hook_chain_fields, .when = hook_is_chain),
	FIELD_INLINE(hook_bpf_fields, .when = hook_is_bpf),
	FIELD(BOOL, struct rec_hook, nat, "below_nat", NULL, .optional = true),
	FIELD(STRING, struct rec_hook, ifname, "interface", "dev", .optional = true),
	FIELD(UINT, struct rec_hook, ifindex, "ifindex", NULL, .optional = true),
	{.type = FIELD_END},
};

static bool rule_is_counted(const void *base)
{
	return ((const struct rec_rule *)base)->flags & RULE_COUNTED;
}

static const struct field rule_fields[] = {
	HEADER,
	QUESTION(rec_rule),
	FIELD(NAME, struct rec_rule, family, "table_family", "", .u.name = nf_family_name),
	FIELD(STRING, struct rec_rule, table, "table", ""),
	FIELD(STRING, struct rec_rule, chain, "chain", ""),
	FIELD(STRING, struct rec_rule, base, "base_chain", NULL, .optional = true),
	FIELD(HOOK, struct rec_rule, family, "hook", NULL),
	FIELD_KEPT(UINT, struct rec_rule, hook, "hook_number"),
	FIELD(UINT, struct rec_rule, handle, "handle", "handle", .optional = true),
	FIELD(UINT, struct rec_rule, number, "number", "number", .optional = true),
	FIELD(NAME, struct rec_rule, maker, "made_by", "by", .u.name = rule_maker_name),
	FIELD(FLAGS, struct rec_rule, flags, "rule_flags", NULL, .u.flags = rule_flag_names),
	FIELD(UINT, struct rec_rule, packets, "packets", "packets", .when = rule_is_counted),
	FIELD(STRING, struct rec_rule, text, "text", "text", .optional = true),
	{.type = FIELD_END},
};

static const struct field bpf_prog_fields[] = {
	HEADER,
	QUESTION(rec_bpf_prog),
	FIELD(UINT, struct rec_bpf_prog, id, "prog_id", "prog"),
	FIELD(STRING, struct rec_bpf_prog, name, "prog_name", "", .optional = true),
	FIELD(NAME, struct rec_bpf_prog, place, "place", "at", .u.name = bpf_place_name),
	FIELD(STRING, struct rec_bpf_prog, where, "where", "where", .optional = true),
	FIELD(STRING, struct rec_bpf_prog, ifname, "interface", "dev", .optional = true),
	FIELD(UINT, struct rec_bpf_prog, ifindex, "ifindex", NULL, .optional = true),
	FIELD(UINT, struct rec_bpf_prog, pid, "pid", "pid", .optional = true),
	FIELD(STRING, struct rec_bpf_prog, comm, "comm", "comm", .optional = true),
	FIELD(STRING, struct rec_bpf_prog, pinned, "pinned", "pinned", .optional = true),
	FIELD(UINT, struct rec_bpf_prog, uid, "uid", NULL),
	FIELD(NS, struct rec_bpf_prog, loaded_ns, "loaded_ns", NULL),
	{.type = FIELD_END},
};

static const struct field nfqueue_fields[] = {
	HEADER,
	QUESTION(rec_nfqueue),
	FIELD(UINT, struct rec_nfqueue, queue, "queue", ""),
	FIELD(UINT, struct rec_nfqueue, portid, "port_id", NULL),
	FIELD(UINT, struct rec_nfqueue, pid, "pid", "pid", .optional = true),
	FIELD(STRING, struct rec_nfqueue, comm, "comm", "comm", .optional = true),
	FIELD(UINT, struct rec_nfqueue, waiting, "waiting", "waiting"),
	FIELD(UINT, struct rec_nfqueue, dropped, "dropped", "dropped"),
	FIELD(UINT, struct rec_nfqueue, user_dropped, "user_dropped", "user_dropped"),
	{.type = FIELD_END},
};

static const struct field ct_top_fields[] = {
	HEADER,
	QUESTION(rec_ct_top),
	FIELD(ADDR, struct rec_ct_top, src, "src", ""),
	FIELD(UINT, struct rec_ct_top, family, "family", NULL),
	FIELD(UINT, struct rec_ct_top, entries, "entries", "entries"),
	FIELD(UINT, struct rec_ct_top, unreplied, "unreplied", "unreplied"),
	FIELD(NAME, struct rec_ct_top, proto, "proto", "proto", .u.name = proto_name),
	FIELD(UINT, struct rec_ct_top, dport, "dst_port", "dst_port"),
	FIELD(UINT, struct rec_ct_top, dport_entries, "dst_port_entries", "dst_port_entries"),
	FIELD(UINT, struct rec_ct_top, total, "total_entries", "total_entries"),
	{.type = FIELD_END},
};

static const struct field ports_fields[] = {
	HEADER,
	QUESTION(rec_ports),
	FIELD(UINT, struct rec_ports, held, "held", "held"),
	FIELD(UINT, struct rec_ports, time_wait, "time_wait", "time_wait"),
	FIELD(UINT, struct rec_ports, low, "first_port", "first_port"),
	FIELD(UINT, struct rec_ports, high, "last_port", "last_port"),
	FIELD(UINT, struct rec_ports, top_held, "top_held", "top_held"),
	FIELD(UINT, struct rec_ports, pid, "pid", "pid", .optional = true),
	FIELD(STRING, struct rec_ports, comm, "comm", "comm", .optional = true),
	FIELD(STRING, struct rec_ports, container, "container", "container", .optional = true),
	{.type = FIELD_END},
};

static bool link_is_port(const void *base)
{
	return ((const struct rec_link *)base)->port_state != 0xff;
}

static const struct field link_fields[] = {
	HEADER,
	QUESTION(rec_link),
	FIELD(STRING, struct rec_link, ifname, "interface", ""),
	FIELD(UINT, struct rec_link, ifindex, "ifindex", NULL),
	FIELD(STRING, struct rec_link, kind, "link_kind", "kind", .optional = true),
	FIELD(STRING, struct rec_link, master_name, "master", "master", .optional = true),
	FIELD(UINT, struct rec_link, master, "master_ifindex", NULL, .optional = true),
	FIELD(NAME, struct rec_link, port_state, "port_state", "port_state", .when = link_is_port,
	      .u.name = bridge_state_name),
	FIELD(BOOL, struct rec_link, vlan_filtering, "vlan_filtering", NULL, .optional = true),
	FIELD(HEX, struct rec_link, flags, "link_flags", NULL),
	FIELD(NAME, struct rec_link, operstate, "operstate", NULL, .u.name = operstate_name),
	{.type = FIELD_END},
};

static const struct field process_fields[] = {
	HEADER,
	QUESTION(rec_process),
	FIELD(UINT, struct rec_process, pid, "pid", "pid"),
	FIELD(STRING, struct rec_process, comm, "comm", "", .optional = true),
	FIELD(STRING, struct rec_process, program, "program", "program", .optional = true),
	FIELD(UINT, struct rec_process, args, "arguments", "arguments", .optional = true),
	FIELD(STRING, struct rec_process, container, "container", "container", .optional = true),
	{.type = FIELD_END},
};

static const struct field user_frame_fields[] = {
	HEADER,
	QUESTION(rec_user_frame),
	FIELD(UINT, struct rec_user_frame, pid, "pid", "pid"),
	FIELD(HEX, struct rec_user_frame, addr, "address", ""),
	FIELD(STRING, struct rec_user_frame, name, "name", "name", .optional = true),
	FIELD(UINT, struct rec_user_frame, offset, "offset", "offset"),
	FIELD(STRING, struct rec_user_frame, object, "object", "object", .optional = true),
	FIELD(STRING, struct rec_user_frame, build_id, "build_id", NULL, .optional = true),
	FIELD(NAME, struct rec_user_frame, at, "found_in", "in", .u.name = user_at_name),
	FIELD(NAME, struct rec_user_frame, end, "ends", "ends", .optional = true,
	      .u.name = user_end_name),
	FIELD(BOOL, struct rec_user_frame, unsure, "unsure", NULL, .optional = true),
	FIELD(NS, struct rec_user_frame, event_ns, "event_ns", NULL),
	{.type = FIELD_END},
};

static const struct field symbol_fields[] = {
	HEADER,
	FIELD(HEX, struct rec_symbol, addr, "address", ""),
	FIELD(STRING, struct rec_symbol, name, "name", "name"),
	FIELD(STRING, struct rec_symbol, module, "module", "module", .optional = true),
	FIELD(UINT, struct rec_symbol, offset, "offset", "offset"),
	FIELD(UINT, struct rec_symbol, func_size, "function_size", NULL, .optional = true),
	FIELD(STRING, struct rec_symbol, source, "source", "source", .optional = true),
	{.type = FIELD_END},
};

static const struct field answer_fields[] = {
	HEADER,
	QUESTION(rec_answer),
	FIELD(NAME, struct rec_answer, what, "asked", "", .u.name = question_name),
	FIELD(ERRNO, struct rec_answer, err, "error", "error", .optional = true),
	FIELD(UINT, struct rec_answer, count, "found", "found"),
	FIELD(NS, struct rec_answer, asked_ns, "asked_ns", NULL),
	FIELD(UINT, struct rec_answer, late_us, "late_us", "late_us"),
	{.type = FIELD_END},
};

const struct field *record_fields(unsigned kind)
{
	static const struct field *const tables[REC_KIND_COUNT] = {
		[REC_SOCK] = sock_info_fields,	[REC_CT] = ct_fields,
		[REC_NETNS] = netns_fields,	[REC_ROUTE] = route_fields,
		[REC_NEIGH] = neigh_fields,	[REC_SYSCTL] = sysctl_fields,
		[REC_COUNTER] = counter_fields, [REC_SYMBOL] = symbol_fields,
		[REC_ANSWER] = answer_fields,	[REC_HOOK] = hook_fields,
		[REC_RULE] = rule_fields,	[REC_BPF_PROG] = bpf_prog_fields,
		[REC_NFQUEUE] = nfqueue_fields, [REC_LINK] = link_fields,
		[REC_CT_TOP] = ct_top_fields,	[REC_PORTS] = ports_fields,
		[REC_PROCESS] = process_fields, [REC_USER_FRAME] = user_frame_fields,
	};

	if (REC_KIND_IS_EVENT(kind))
		return event_fields(kind);
	return kind < REC_KIND_COUNT ? tables[kind] : NULL;
}
