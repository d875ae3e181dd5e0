/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "track/derive.h"

#include "record/record.h"

#include <netinet/in.h>

/* A reset and the drop of the packet that it answers are one call of tcp_v4_rcv. */
#define SAME_CALL_NS NSEC_PER_MSEC

struct place {
	const char *function; /* it called kfree_skb */
	const char *below;    /* and must stand in the stack; NULL any */
	const char *reason;
};

/* Linux 5.10: what these functions drop for, if not for a malformed packet. */
static const struct place places[] = {
	{"nf_hook_slow", NULL, "NETFILTER_DROP"},	  /* net/netfilter/core.c */
	{"nf_hook_slow_list", NULL, "NETFILTER_DROP"},	  /* the same */
	{"nf_queue", NULL, "NETFILTER_DROP"},		  /* net/netfilter/nf_queue.c */
	{"nf_reinject", NULL, "NETFILTER_DROP"},	  /* the same */
	{"nfqnl_reinject", NULL, "NETFILTER_DROP"},	  /* it is small, and may hold the above */
	{"ip_rcv_finish_core", NULL, "IP_RPFILTER"},	  /* net/ipv4/ip_input.c, drop_error */
	{"__netif_receive_skb_core", NULL, "TC_INGRESS"}, /* net/core/dev.c, sch_handle_ingress */
	{"__dev_queue_xmit", NULL, "TC_EGRESS"},	  /* the same, sch_handle_egress */
	{"ip_finish_output", NULL, "BPF_CGROUP_EGRESS"},  /* net/ipv4/ip_output.c */
	{"ip6_finish_output", NULL, "BPF_CGROUP_EGRESS"}, /* net/ipv6/ip6_output.c */
	/* Its error_report calls kfree_skb last, which compilers make a jump. */
	{"neigh_invalidate", NULL, "NEIGH_FAILED"},	      /* net/core/neighbour.c */
	{"neigh_timer_handler", NULL, "NEIGH_FAILED"},	      /* the same */
	{"arp_error_report", NULL, "NEIGH_FAILED"},	      /* net/ipv4/arp.c */
	{"ndisc_error_report", NULL, "NEIGH_FAILED"},	      /* net/ipv6/ndisc.c */
	{"__neigh_event_send", NULL, "NEIGH_QUEUEFULL"},      /* net/core/neighbour.c */
	{"kfree_skb_list", "__dev_queue_xmit", "QDISC_DROP"}, /* net/core/dev.c __dev_xmit_skb */
	{"__udp4_lib_rcv", NULL, "NO_SOCKET"},		      /* net/ipv4/udp.c */
	{"__udp6_lib_rcv", NULL, "NO_SOCKET"},		      /* net/ipv6/udp.c */
	{"udp_queue_rcv_one_skb", NULL, "SOCKET_RCVBUFF"},    /* net/ipv4/udp.c */
	{"udpv6_queue_rcv_one_skb", NULL, "SOCKET_RCVBUFF"},  /* net/ipv6/udp.c */
	{"__ip_queue_xmit", NULL, "IP_OUTNOROUTES"},	      /* net/ipv4/ip_output.c */
	{"inet6_csk_xmit", NULL, "IP_OUTNOROUTES"},	      /* net/ipv6/inet6_connection_sock.c */
};

static bool resets_for_packets(const struct world *w, const struct rec_event *e)
{
	return world_stack_has(w, e, "tcp_v4_send_reset") ||
	       world_stack_has(w, e, "tcp_v6_send_reset");
}

/* net/ipv4/tcp_ipv4.c tcp_v4_send_reset: seen leaving, and by its tracepoint if there is a socket. */
static void note_reset(struct derive *d, const struct world *w, const struct rec_event *e)
{
	bool by_socket = e->hdr.kind == REC_RST_SENT && e->sock.flags & SOCK_PRESENT;

	if (e->hdr.kind == REC_RST_SENT ? e->active : !resets_for_packets(w, e))
		return;
	d->resets[d->next % DERIVE_RESETS].tuple =
		e->hdr.kind == REC_RST_OUT ? tuple_reverse(&e->pkt.tuple) : e->pkt.tuple;
	d->resets[d->next % DERIVE_RESETS].ns = e->hdr.mono_ns;
	d->resets[d->next++ % DERIVE_RESETS].by_socket = by_socket;
}

/* Was this packet answered with a reset because it found no socket? */
static bool found_no_socket(const struct derive *d, const struct rec_event *e)
{
	bool answered = false;

	for (size_t i = 0; i < DERIVE_RESETS; i++) {
		if (!d->resets[i].ns || d->resets[i].ns > e->hdr.mono_ns ||
		    e->hdr.mono_ns - d->resets[i].ns > SAME_CALL_NS ||
		    !tuple_equal(&d->resets[i].tuple, &e->pkt.tuple))
			continue;
		if (d->resets[i].by_socket)
			return false;
		answered = true;
	}
	return answered;
}

static const char *reason_of_place(const struct world *w, const struct rec_event *e)
{
	const struct rec_symbol *s = world_symbol(w, e->location);

	for (size_t i = 0; s && i < ARRAY_SIZE(places); i++)
		if (symbol_is(s, places[i].function) &&
		    (!places[i].below || world_stack_has(w, e, places[i].below)))
			return places[i].reason;
	return NULL;
}

static const char *reason_of_drop(const struct derive *d, const struct world *w,
				  const struct rec_event *e)
{
	const struct rec_symbol *s = world_symbol(w, e->location);

	if (s && (symbol_is(s, "tcp_v4_rcv") || symbol_is(s, "tcp_v6_rcv")))
		return found_no_socket(d, e) ? "NO_SOCKET" : NULL;
	return reason_of_place(w, e);
}

void reason_derive(struct derive *d, const struct world *w, struct rec_event *e)
{
	const char *reason;

	if (e->hdr.kind == REC_RST_SENT || e->hdr.kind == REC_RST_OUT)
		note_reset(d, w, e);
	if (e->hdr.kind != REC_DROP || e->has_reason != REASON_NONE)
		return;
	reason = reason_of_drop(d, w, e);
	if (!reason)
		return;
	e->has_reason = REASON_DERIVED;
	str_copy(e->reason_name, sizeof(e->reason_name), reason);
}
