/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The field tables of the events. All events are one struct: their tables are made of the same
 * groups.
 */
#include "record/fields.h"

#include <netinet/in.h>

#define TCP_STATE_LISTEN 10 /* include/net/tcp_states.h */

static bool addr_is_zero(const uint8_t addr[16])
{
	static const uint8_t zero[16];

	return addr_equal(addr, zero);
}

/* ---- packets --------------------------------------------------------------------------------- */

static bool packet_has_l3(const void *base)
{
	return ((const struct rec_packet *)base)->has & PKT_L3;
}

static bool packet_has_vlan(const void *base)
{
	return ((const struct rec_packet *)base)->has & PKT_VLAN;
}

static bool packet_has_ct(const void *base)
{
	return ((const struct rec_packet *)base)->has & PKT_CT;
}

static bool packet_is_fragment(const void *base)
{
	return ((const struct rec_packet *)base)->has & PKT_FRAG;
}

static bool packet_has_ip_id(const void *base)
{
	return packet_has_l3(base) && ((const struct rec_packet *)base)->tuple.family == 4;
}

static bool packet_has_tcp(const void *base)
{
	const struct rec_packet *p = base;

	return p->has & PKT_L4 && p->tuple.proto == IPPROTO_TCP;
}

static bool packet_has_payload(const void *base)
{
	const struct rec_packet *p = base;

	return packet_has_tcp(base) || (p->has & PKT_L4 && p->tuple.proto == IPPROTO_UDP);
}

static bool packet_is_icmp(const struct rec_packet *p)
{
	return p->tuple.proto == IPPROTO_ICMP || p->tuple.proto == IPPROTO_ICMPV6;
}

/* Of the packet itself, or of the error that quotes it. */
static bool packet_has_icmp(const void *base)
{
	const struct rec_packet *p = base;

	return !addr_is_zero(p->icmp_src) || (p->has & PKT_L4 && packet_is_icmp(p));
}

/* Of a quoted ICMP packet the type isn't known, only that of the error. */
static bool packet_has_flow(const void *base)
{
	const struct rec_packet *p = base;

	if (!tuple_is_whole(&p->tuple) || p->has & PKT_FRAG)
		return false;
	return !packet_is_icmp(p) || (p->has & PKT_L4 && addr_is_zero(p->icmp_src));
}

static const struct field tcp_fields[] = {
	FIELD(FLAGS, struct rec_packet, tcp_flags, "tcp_flags", "flags", .u.flags = tcp_flag_names),
	FIELD(UINT, struct rec_packet, seq, "seq", "seq"),
	FIELD(UINT, struct rec_packet, ack, "ack", "ack"),
	FIELD(UINT, struct rec_packet, window, "window", NULL),
	{.type = FIELD_END},
};

static const struct field icmp_fields[] = {
	FIELD(ICMP, struct rec_packet, tuple, "icmp", "icmp"),
	FIELD(UINT, struct rec_packet, icmp_type, "icmp_type", NULL),
	FIELD(UINT, struct rec_packet, icmp_code, "icmp_code", NULL),
	FIELD(ADDR, struct rec_packet, icmp_src, "icmp_from", "from", .optional = true),
	{.type = FIELD_END},
};

static const struct field packet_ct_fields[] = {
	FIELD(FLAGS, struct rec_packet, ct_status, "ct_status", NULL, .u.flags = ct_status_names),
	FIELD(HEX, struct rec_packet, ct_mark, "ct_mark", NULL, .optional = true),
	FIELD(UINT, struct rec_packet, ct_zone, "ct_zone", NULL, .optional = true),
	FIELD_TUPLE_OF(struct rec_packet, ct_orig, "ct_original", NULL),
	FIELD_TUPLE_OF(struct rec_packet, ct_reply, "ct_reply", NULL),
	{.type = FIELD_END},
};

/* Its tuple is a field of the event. */
static const struct field packet_fields[] = {
	FIELD_KEPT(FLAGS, struct rec_packet, has, "has", .u.flags = packet_has_names),
	FIELD(UINT, struct rec_packet, ip_len, "ip_len", NULL, .when = packet_has_l3),
	FIELD(UINT, struct rec_packet, ttl, "ttl", NULL, .when = packet_has_l3),
	FIELD(UINT, struct rec_packet, ip_id, "ip_id", NULL, .when = packet_has_ip_id),
	FIELD(BOOL, struct rec_packet, has, "fragment", "fragment", .when = packet_is_fragment),
	FIELD(UINT, struct rec_packet, vlan, "vlan", "vlan", .when = packet_has_vlan),
	FIELD_INLINE(tcp_fields, .when = packet_has_tcp),
	FIELD(UINT, struct rec_packet, payload, "payload", "payload", .when = packet_has_payload),
	FIELD_INLINE(icmp_fields, .when = packet_has_icmp),
	FIELD(NAME, struct rec_packet, ctinfo, "ctinfo", "ctinfo", .when = packet_has_l3,
	      .u.name = ctinfo_name),
	FIELD_INLINE(packet_ct_fields, .when = packet_has_ct),
	{.type = FIELD_END},
};

/* ---- sockets --------------------------------------------------------------------------------- */

static bool sock_is_full(const void *base)
{
	return !(((const struct rec_sock *)base)->flags & (SOCK_TIMEWAIT | SOCK_REQUEST));
}

static bool sock_is_tcp(const void *base)
{
	return ((const struct rec_sock *)base)->tuple.proto == IPPROTO_TCP;
}

/* A request has its listener's. */
static bool sock_has_backlog(const void *base)
{
	const struct rec_sock *s = base;

	return sock_is_tcp(base) && (s->state == TCP_STATE_LISTEN || s->flags & SOCK_REQUEST);
}

static bool sock_is_stream(const void *base)
{
	return sock_is_full(base) && sock_is_tcp(base) &&
	       ((const struct rec_sock *)base)->state != TCP_STATE_LISTEN;
}

static bool sock_retransmits(const void *base)
{
	return sock_is_stream(base) || ((const struct rec_sock *)base)->flags & SOCK_REQUEST;
}

static const struct field backlog_fields[] = {
	FIELD(UINT, struct rec_sock, backlog, "backlog", "backlog"),
	FIELD(UINT, struct rec_sock, max_backlog, "max_backlog", "max_backlog"),
	FIELD(UINT, struct rec_sock, syn_queue, "syn_queue", "syn_queue", .optional = true),
	FIELD(NS, struct rec_sock, oldest_ns, "oldest_ns", NULL, .optional = true),
	{.type = FIELD_END},
};

static const struct field stream_fields[] = {
	FIELD(UINT, struct rec_sock, unread, "unread", "unread", .optional = true),
	FIELD(UINT, struct rec_sock, snd_una, "snd_una", NULL),
	FIELD(UINT, struct rec_sock, snd_nxt, "snd_nxt", NULL),
	FIELD(UINT, struct rec_sock, snd_wnd, "snd_wnd", NULL),
	FIELD(UINT, struct rec_sock, write_seq, "write_seq", NULL),
	FIELD(UINT, struct rec_sock, rcv_nxt, "rcv_nxt", NULL),
	FIELD(UINT, struct rec_sock, rcv_wnd, "rcv_wnd", NULL),
	FIELD(UINT, struct rec_sock, probes, "probes", "probes", .optional = true),
	FIELD(UINT, struct rec_sock, user_timeout, "user_timeout_ms", "user_timeout_ms",
	      .optional = true),
	{.type = FIELD_END},
};

static const struct field full_sock_fields[] = {
	FIELD(ERRNO, struct rec_sock, err, "error", NULL, .optional = true),
	FIELD(FLAGS, struct rec_sock, shutdown, "shutdown", NULL, .optional = true,
	      .u.flags = shutdown_names),
	FIELD(UINT, struct rec_sock, inode, "inode", NULL, .optional = true),
	FIELD(HEX, struct rec_sock, cgroup, "cgroup", NULL, .optional = true),
	FIELD(UINT, struct rec_sock, rmem, "rmem", NULL),
	FIELD(UINT, struct rec_sock, rcvbuf, "rcvbuf", NULL),
	{.type = FIELD_END},
};

static const struct field sock_fields[] = {
	FIELD_GROUP_OF(struct rec_sock, tuple, NULL, tuple_fields),
	FIELD(NAME, struct rec_sock, family, "domain", NULL, .u.name = domain_name),
	FIELD(NAME, struct rec_sock, state, "state", "state", .u.name = tcp_state_name),
	FIELD(FLAGS, struct rec_sock, flags, "flags", NULL, .u.flags = sock_flag_names),
	FIELD(HEX, struct rec_sock, addr, "address", NULL),
	FIELD(HEX, struct rec_sock, cookie, "cookie", NULL, .optional = true),
	FIELD_INLINE(backlog_fields, .when = sock_has_backlog),
	FIELD_INLINE(stream_fields, .when = sock_is_stream),
	FIELD(UINT, struct rec_sock, retransmits, "retransmits", "retransmits", .optional = true,
	      .when = sock_retransmits),
	FIELD_INLINE(full_sock_fields, .when = sock_is_full),
	{.type = FIELD_END},
};

static const struct field segment_fields[] = {
	FIELD(UINT, struct rec_segment, size, "size", "segment"),
	FIELD(UINT, struct rec_segment, acked, "acked", NULL),
	FIELD(UINT, struct rec_segment, sacked, "sacked", "sacked", .optional = true),
	FIELD(UINT, struct rec_segment, mss, "mss", "mss"),
	FIELD(UINT, struct rec_segment, path_mtu, "path_mtu", "path_mtu"),
	{.type = FIELD_END},
};

/* ---- tasks ----------------------------------------------------------------------------------- */

static bool task_was_killed(const void *base)
{
	return ((const struct rec_task *)base)->signal;
}

static const struct field ending_fields[] = {
	FIELD(HEX, struct rec_task, cgroup, "cgroup", NULL, .optional = true),
	FIELD(NAME, struct rec_task, ending, "ending", NULL, .optional = true,
	      .u.name = task_ending_name),
	FIELD(UINT, struct rec_task, seccomp, "seccomp", NULL, .optional = true),
	FIELD(NAME, struct rec_task, signal, "signal", NULL, .when = task_was_killed,
	      .u.name = signal_name),
	{.type = FIELD_END},
};

static const struct field task_fields[] = {
	FIELD(UINT, struct rec_task, pid, "pid", NULL),
	FIELD(UINT, struct rec_task, tid, "tid", NULL),
	FIELD(STRING, struct rec_task, comm, "comm", NULL),
	FIELD_INLINE(ending_fields),
	{.type = FIELD_END},
};

/* In a line of text, where the task surely is the one that failed. */
static const struct field caller_fields[] = {
	FIELD(UINT, struct rec_task, pid, "pid", "pid"),
	FIELD(UINT, struct rec_task, tid, "tid", NULL),
	FIELD(STRING, struct rec_task, comm, "comm", "comm"),
	FIELD_INLINE(ending_fields),
	{.type = FIELD_END},
};

/* ---- netfilter ------------------------------------------------------------------------------- */

#define NF_WHEN(name, bit)                                         \
	static bool nf_has_##name(const void *base)                \
	{                                                          \
		return ((const struct rec_nf *)base)->has & (bit); \
	}
NF_WHEN(hook, NF_HOOK)
NF_WHEN(chain, NF_CHAIN)
NF_WHEN(rule, NF_RULE)
NF_WHEN(handle, NF_HANDLE)
NF_WHEN(invalid, NF_INVALID)

/* Of the base chain: the trace of a rule doesn't tell it. */
static bool nf_has_base(const void *base)
{
	const uint8_t traced_rule = NF_TRACED | NF_RULE;

	return (((const struct rec_nf *)base)->has & traced_rule) != traced_rule;
}

static const struct field nf_hook_fields[] = {
	FIELD(SYMBOL, struct rec_nf, function, "function", NULL),
	FIELD(HEX, struct rec_nf, priv, "priv", NULL, .optional = true),
	FIELD(NAME, struct rec_nf, pf, "hook_family", NULL, .u.name = nf_family_name),
	FIELD(HOOK, struct rec_nf, pf, "hook", NULL), /* and the number behind it */
	FIELD_KEPT(UINT, struct rec_nf, hook, "hook_number"),
	{.type = FIELD_END},
};

static const struct field nf_chain_fields[] = {
	FIELD(NAME, struct rec_nf, family, "table_family", NULL, .u.name = nf_family_name),
	FIELD(STRING, struct rec_nf, table, "table", NULL),
	FIELD(STRING, struct rec_nf, base, "base_chain", NULL, .when = nf_has_base),
	FIELD(NAME, struct rec_nf, policy, "policy", NULL, .u.name = nf_policy_name,
	      .when = nf_has_base),
	{.type = FIELD_END},
};

static const struct field nf_rule_fields[] = {
	FIELD(SYMBOL, struct rec_nf, expr_function, "expression", NULL, .optional = true),
	FIELD(HEX, struct rec_nf, expr, "expression_address", NULL, .optional = true),
	{.type = FIELD_END},
};

static const struct field nf_handle_fields[] = {
	FIELD(STRING, struct rec_nf, chain, "chain", NULL, .optional = true),
	FIELD(UINT, struct rec_nf, handle, "handle", NULL),
	{.type = FIELD_END},
};

static const struct field nf_fields[] = {
	FIELD(FLAGS, struct rec_nf, has, "has", NULL, .u.flags = nf_has_names),
	FIELD_INLINE(nf_hook_fields, .when = nf_has_hook),
	FIELD_INLINE(nf_chain_fields, .when = nf_has_chain),
	FIELD_INLINE(nf_rule_fields, .when = nf_has_rule),
	FIELD_INLINE(nf_handle_fields, .when = nf_has_handle),
	FIELD(STRING, struct rec_nf, invalid, "invalid", NULL, .when = nf_has_invalid),
	{.type = FIELD_END},
};

/* ---- events ---------------------------------------------------------------------------------- */

static bool event_has_reason(const void *base)
{
	return ((const struct rec_event *)base)->has_reason;
}

static bool event_has_flow(const void *base)
{
	return packet_has_flow(&((const struct rec_event *)base)->pkt);
}

static bool event_has_packet(const void *base)
{
	return ((const struct rec_event *)base)->pkt.has;
}

static bool event_has_sock(const void *base)
{
	return ((const struct rec_event *)base)->sock.flags & SOCK_PRESENT;
}

static bool event_has_segment(const void *base)
{
	return ((const struct rec_event *)base)->segment.size;
}

static bool event_has_task(const void *base)
{
	const struct rec_task *t = &((const struct rec_event *)base)->task;

	return t->pid || t->tid || t->comm[0];
}

static bool event_has_memory(const void *base)
{
	return memory_is_known(&((const struct rec_event *)base)->mem);
}

static bool event_has_nf(const void *base)
{
	return ((const struct rec_event *)base)->nf.has & ~NF_COVERED;
}

static const struct field head[] = {
	FIELD_INLINE(header_fields), /* the header is the start of the record */
	FIELD_TUPLE_OF(struct rec_event, pkt.tuple, NULL, ""),
	FIELD(COMMUNITY, struct rec_event, pkt, "community_id", NULL, .when = event_has_flow),
	FIELD(STRING, struct rec_event, ifname, "interface", "", .optional = true),
	FIELD(UINT, struct rec_event, ifindex, "ifindex", NULL, .optional = true),
	FIELD(UINT, struct rec_event, iif, "in_ifindex", NULL, .optional = true),
	FIELD(UINT, struct rec_event, cpu, "cpu", NULL),
	{.type = FIELD_END},
};

static bool reason_is_derived(const void *base)
{
	return ((const struct rec_event *)base)->has_reason == REASON_DERIVED;
}

static bool reason_is_told(const void *base)
{
	return ((const struct rec_event *)base)->has_reason == REASON_TOLD;
}

static const struct field reason[] = {
	FIELD_KEPT(UINT, struct rec_event, has_reason, "reason_from"),
	FIELD(STRING, struct rec_event, reason_name, "reason", "reason", .optional = true),
	FIELD(UINT, struct rec_event, reason, "reason_code", NULL, .when = reason_is_told),
	FIELD(BOOL, struct rec_event, has_reason, "reason_derived", "derived",
	      .when = reason_is_derived),
	{.type = FIELD_END},
};

static const struct field body[] = {
	FIELD_INLINE(reason, .when = event_has_reason),
	FIELD(ERRNO, struct rec_event, err, "error", "error", .optional = true),
	FIELD_GROUP_OF(struct rec_event, pkt, "packet", packet_fields, .when = event_has_packet),
	FIELD_GROUP_OF(struct rec_event, sock, "socket", sock_fields, .when = event_has_sock),
	FIELD_GROUP_OF(struct rec_event, segment, "segment", segment_fields,
		       .when = event_has_segment),
	{.type = FIELD_END},
};

static const struct field tail[] = {
	FIELD_GROUP_OF(struct rec_event, mem, "memory", memory_fields, .when = event_has_memory),
	FIELD_GROUP_OF(struct rec_event, nf, "netfilter", nf_fields, .when = event_has_nf),
	FIELD(SYMBOLS, struct rec_event, kstack, "kernel_stack", NULL, .optional = true,
	      FIELD_COUNT(struct rec_event, nr_kstack)),
	FIELD(ADDRESSES, struct rec_event, user.frames, "user_stack", NULL, .optional = true,
	      FIELD_COUNT(struct rec_event, user.nr)),
	FIELD(SYMBOLS, struct rec_event, hooks, "prerouting_hooks", NULL, .optional = true,
	      FIELD_COUNT(struct rec_event, nr_hooks)),
	/* Of kinds that don't show them. */
	FIELD_KEPT(HEX, struct rec_event, location, "location"),
	FIELD_KEPT(UINT, struct rec_event, repeats, "repeats"),
	FIELD_KEPT(BOOL, struct rec_event, active, "active"),
	FIELD_KEPT(UINT, struct rec_event, old_state, "old_state"),
	FIELD_KEPT(UINT, struct rec_event, new_state, "new_state"),
	FIELD_KEPT(UINT, struct rec_event, step, "step"),
	{.type = FIELD_END},
};

#define STATE(member) \
	FIELD(NAME, struct rec_event, member, #member, #member, .u.name = tcp_state_name)
#define TASK(table) FIELD_GROUP_OF(struct rec_event, task, "task", table, .when = event_has_task)

/* A kind's table: head, the fields that only it has, and the rest. */
#define EVENT_FIELDS(table, task_table, ...)                                 \
	static const struct field table[] = {                                \
		FIELD_INLINE(head), ##__VA_ARGS__,	FIELD_INLINE(body),  \
		TASK(task_table),   FIELD_INLINE(tail), {.type = FIELD_END}, \
	}

EVENT_FIELDS(plain_fields, task_fields);
EVENT_FIELDS(connect_fields, caller_fields);
EVENT_FIELDS(rst_sent_fields, task_fields,
	     FIELD(BOOL, struct rec_event, active, "active", "active"));
EVENT_FIELDS(drop_fields, task_fields,
	     FIELD(SYMBOL, struct rec_event, location, "location", "at", .optional = true));
EVENT_FIELDS(syn_again_fields, task_fields,
	     FIELD(UINT, struct rec_event, repeats, "repeats", "repeats"));
EVENT_FIELDS(state_fields, task_fields, STATE(old_state), STATE(new_state));
EVENT_FIELDS(reject_fields, task_fields,
	     FIELD(NAME, struct rec_event, reason, "reject_with", "with", .u.name = reject_name),
	     FIELD(NAME, struct rec_event, step, "hook", "hook", .u.name = hook_name));
EVENT_FIELDS(handshake_event_fields, task_fields,
	     FIELD(NAME, struct rec_event, step, "step", "step", .u.name = handshake_step_name));
EVENT_FIELDS(tw_answer_fields, task_fields,
	     FIELD(NAME, struct rec_event, step, "answer", "answer", .u.name = tw_answer_name));

static const struct field captured_end_fields[] = {
	FIELD(FLAGS, struct rec_captured_end, did, "did", NULL, .u.flags = captured_did_names),
	FIELD(UINT, struct rec_captured_end, packets, "packets", NULL),
	FIELD(UINT, struct rec_captured_end, bytes, "bytes", NULL),
	FIELD(UINT, struct rec_captured_end, later, "packets_later", NULL),
	FIELD(UINT, struct rec_captured_end, next, "next_seq", NULL),
	FIELD(UINT, struct rec_captured_end, ack, "last_ack", NULL),
	FIELD(UINT, struct rec_captured_end, ttl_lowest, "ttl_lowest", NULL, .optional = true),
	FIELD(UINT, struct rec_captured_end, ttl_highest, "ttl_highest", NULL, .optional = true),
	{.type = FIELD_END},
};

EVENT_FIELDS(captured_fields, task_fields,
	     FIELD(NAME, struct rec_event, step, "shows", "shows", .u.name = captured_what_name),
	     FIELD(UINT, struct rec_event, repeats, "syns", "syns", .optional = true),
	     FIELD(NS, struct rec_captured, first_ns, "first_ns", NULL),
	     FIELD(NS, struct rec_captured, last_ns, "last_ns", NULL),
	     FIELD(NS, struct rec_captured, end_ns, "capture_end_ns", NULL),
	     FIELD(NS, struct rec_captured, answers_ns, "answers_ns", NULL, .optional = true),
	     FIELD_GROUP_OF(struct rec_captured, from, "sender", captured_end_fields),
	     FIELD_GROUP_OF(struct rec_captured, to, "receiver", captured_end_fields),
	     FIELD(BOOL, struct rec_captured, misfit, "misfit", "misfit", .optional = true),
	     FIELD(BOOL, struct rec_captured, alive, "old_alive", "old_alive", .optional = true));

const struct field *event_fields(unsigned kind)
{
	static const struct field *const tables[REC_KIND_COUNT] = {
		[REC_RST_SENT] = rst_sent_fields,   [REC_DROP] = drop_fields,
		[REC_SYN_AGAIN] = syn_again_fields, [REC_STATE] = state_fields,
		[REC_CONNECT] = connect_fields,	    [REC_REJECT] = reject_fields,
		[REC_TW_ANSWER] = tw_answer_fields, [REC_HANDSHAKE] = handshake_event_fields,
		[REC_CAPTURED] = captured_fields,
	};

	if (!REC_KIND_IS_EVENT(kind))
		return NULL;
	return tables[kind] ? tables[kind] : plain_fields;
}
