/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The fields of what the kernel side remembers of a flow, see struct rec_memory. */
#include "record/fields.h"

#include <netinet/in.h>

static bool memory_of_close(const void *base)
{
	return ((const struct rec_memory *)base)->closed_ns;
}

static bool memory_of_syn(const void *base)
{
	return ((const struct rec_memory *)base)->syn_count;
}

static bool memory_of_connect(const void *base)
{
	const struct rec_connect *c = &((const struct rec_memory *)base)->connect;

	return c->began_ns || c->nr_syn;
}

static bool memory_of_kill(const void *base)
{
	return ((const struct rec_memory *)base)->closed_signal;
}

static bool memory_of_handshake(const void *base)
{
	const struct rec_handshake *h = &((const struct rec_memory *)base)->handshake;

	return h->syn_ns || h->cookie_ns || h->checked_ns || h->acked_ns || h->established_ns ||
	       h->reset_ns;
}

static bool memory_of_ct_end(const void *base)
{
	return ((const struct rec_memory *)base)->ct_end.ns;
}

static const struct field closed_fields[] = {
	FIELD(NS, struct rec_memory, closed_ns, "closed_ns", NULL),
	FIELD(UINT, struct rec_memory, closed_pid, "closed_pid", "closed_by_pid", .optional = true),
	FIELD(STRING, struct rec_memory, closed_comm, "closed_comm", "closed_by", .optional = true),
	FIELD(NAME, struct rec_memory, closed_state, "closed_state", NULL,
	      .u.name = tcp_state_name),
	FIELD(BOOL, struct rec_memory, closed_unread, "closed_unread", NULL),
	FIELD(NAME, struct rec_memory, closed_ending, "closed_ending", NULL, .optional = true,
	      .u.name = task_ending_name),
	FIELD(NAME, struct rec_memory, closed_signal, "closed_signal", "by_signal",
	      .when = memory_of_kill, .u.name = signal_name),
	{.type = FIELD_END},
};

static const struct field syn_fields[] = {
	FIELD(UINT, struct rec_memory, syn_count, "syn_count", "syns_sent"),
	FIELD(NS, struct rec_memory, syn_first_ns, "syn_first_ns", NULL),
	FIELD(UINT, struct rec_memory, syn_ifindex, "syn_ifindex", NULL),
	FIELD(STRING, struct rec_memory, syn_ifname, "syn_interface", "through", .optional = true),
	FIELD_TUPLE_OF(struct rec_memory, syn_tuple, "syn_tuple", NULL),
	{.type = FIELD_END},
};

static bool connect_has_nat(const void *base)
{
	return ((const struct rec_connect *)base)->nat_ns;
}

static const struct field attempt_fields[] = {
	FIELD(NS, struct rec_connect, began_ns, "began_ns", NULL, .optional = true),
	FIELD(UINT, struct rec_connect, pid, "pid", NULL, .optional = true),
	FIELD(STRING, struct rec_connect, comm, "comm", NULL, .optional = true),
	FIELD(HEX, struct rec_connect, cgroup, "cgroup", NULL, .optional = true),
	FIELD(TIMES, struct rec_connect, syn_ns, "syn_ns", NULL, .optional = true,
	      FIELD_COUNT(struct rec_connect, nr_syn)),
	FIELD_KEPT(UINT, struct rec_connect, tid, "tid"),
	FIELD(HEX, struct rec_connect, syn_data, "syn_data", NULL, .optional = true),
	FIELD(NS, struct rec_connect, nat_ns, "nat_ns", NULL, .optional = true),
	FIELD_TUPLE_OF(struct rec_connect, nat_tuple, "nat_tuple", NULL, .when = connect_has_nat),
	{.type = FIELD_END},
};

static const struct field handshake_fields[] = {
	FIELD(NS, struct rec_handshake, syn_ns, "syn_ns", NULL, .optional = true),
	FIELD(NS, struct rec_handshake, cookie_ns, "cookie_ns", NULL, .optional = true),
	FIELD(NS, struct rec_handshake, checked_ns, "checked_ns", NULL, .optional = true),
	FIELD(NS, struct rec_handshake, acked_ns, "acked_ns", NULL, .optional = true),
	FIELD(NS, struct rec_handshake, established_ns, "established_ns", NULL, .optional = true),
	FIELD(NS, struct rec_handshake, reset_ns, "reset_ns", NULL, .optional = true),
	{.type = FIELD_END},
};

static bool ct_end_is_tcp(const void *base)
{
	return ((const struct rec_ct_end *)base)->orig.proto == IPPROTO_TCP;
}

static const struct field ct_end_fields[] = {
	FIELD(NS, struct rec_ct_end, ns, "ended_ns", NULL),
	FIELD(BOOL, struct rec_ct_end, expired, "expired", NULL),
	FIELD(UINT, struct rec_ct_end, pid, "pid", NULL, .optional = true),
	FIELD(STRING, struct rec_ct_end, comm, "comm", NULL, .optional = true),
	FIELD_TUPLE_OF(struct rec_ct_end, orig, "original", NULL),
	FIELD_TUPLE_OF(struct rec_ct_end, reply, "reply", NULL),
	FIELD(FLAGS, struct rec_ct_end, status, "status", NULL, .u.flags = ct_status_names),
	FIELD(NAME, struct rec_ct_end, tcp_state, "tcp_state", NULL, .when = ct_end_is_tcp,
	      .u.name = ct_tcp_state_name),
	FIELD(HEX, struct rec_ct_end, mark, "mark", NULL, .optional = true),
	FIELD(UINT, struct rec_ct_end, zone, "zone", NULL, .optional = true),
	FIELD(SYMBOLS, struct rec_ct_end, stack, "kernel_stack", NULL, .optional = true,
	      FIELD_COUNT(struct rec_ct_end, nr_stack)),
	{.type = FIELD_END},
};

const struct field memory_fields[] = {
	FIELD(UINT, struct rec_memory, peer_ttl, "peer_ttl", NULL, .optional = true),
	FIELD(UINT, struct rec_memory, peer_syns, "peer_syns", NULL, .optional = true),
	FIELD_INLINE(closed_fields, .when = memory_of_close),
	FIELD_INLINE(syn_fields, .when = memory_of_syn),
	FIELD_GROUP_OF(struct rec_memory, handshake, "handshake", handshake_fields,
		       .when = memory_of_handshake),
	FIELD_GROUP_OF(struct rec_memory, ct_end, "conntrack_end", ct_end_fields,
		       .when = memory_of_ct_end),
	FIELD_GROUP_OF(struct rec_memory, connect, "connect", attempt_fields,
		       .when = memory_of_connect),
	{.type = FIELD_END},
};

bool memory_is_known(const struct rec_memory *m)
{
	return memory_of_close(m) || memory_of_syn(m) || memory_of_handshake(m) ||
	       memory_of_ct_end(m) || memory_of_connect(m) || m->peer_ttl;
}
