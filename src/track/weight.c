/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "record/reason.h"
#include "record/record.h"
#include "track/track.h"

#include <netinet/in.h>
#include <netinet/tcp.h>

static bool dropped_in(const struct rec_event *e, const struct world *w,
		       const char *const *functions, size_t n)
{
	const struct rec_symbol *s = world_symbol(w, e->location);

	for (size_t i = 0; s && i < n; i++)
		if (symbol_is(s, functions[i]))
			return true;
	return false;
}

/* The kernel gives no reason, yet the place shows that no route leads on. */
static bool is_unroutable(const struct rec_event *e, const struct world *w)
{
	return world_stack_has(w, e, "ip_error") || world_stack_has(w, e, "ip6_pkt_drop");
}

/*
 * … that a hook or a program decided: net/netfilter/core.c, nfnetlink_queue.c (before 6.10 nf_queue.c),
 * XDP.
 */
static bool is_filtered(const struct rec_event *e, const struct world *w)
{
	static const char *const queues[] = {"nf_reinject", "nfqnl_reinject", "nfqnl_recv_verdict",
					     "nfqnl_recv_verdict_batch", "nfqnl_flush"};

	return world_stack_has(w, e, "nf_hook_slow") || world_stack_has(w, e, "nft_do_chain") ||
	       world_in_xdp(w, e) || dropped_in(e, w, queues, ARRAY_SIZE(queues));
}

/*
 * … or where a setting may decide, which lookups tell: net/ipv4/ip_forward.c, net/ipv6/ip6_output.c (IPsec,
 * forwarding), net/bridge/br_input.c (a port's state).
 */
static bool may_be_by_setting(const struct rec_event *e, const struct world *w)
{
	static const char *const places[] = {"ip_forward", "ip6_forward", "br_handle_frame",
					     "br_handle_frame_finish"};

	return dropped_in(e, w, places, ARRAY_SIZE(places));
}

/* Not what opens a connection, or answers to that. */
static bool is_segment(const struct rec_packet *p)
{
	return p->tuple.proto == IPPROTO_TCP && p->has & PKT_L4 &&
	       (p->tcp_flags & (TCPHDR_SYN | TCPHDR_FIN | TCPHDR_RST)) != TCPHDR_SYN;
}

static bool dropped_at_arrival(const struct rec_event *e, const struct world *w)
{
	static const char *const places[] = {"tcp_v4_rcv", "tcp_v6_rcv"};

	return dropped_in(e, w, places, ARRAY_SIZE(places));
}

/*
 * Linux 5.10, net/ipv4/tcp_ipv4.c tcp_v4_rcv: a listener consumes the SYNs it takes, and where there is no
 * socket a reset goes out (track/derive.c finds that). What is freed here was dropped for a policy, a filter
 * or its checksum, or met a socket in TIME_WAIT.
 */
static bool is_discarded_syn(const struct rec_event *e, const struct world *w)
{
	return e->has_reason == REASON_NONE && e->pkt.has & PKT_L4 &&
	       (e->pkt.tcp_flags & (TCPHDR_SYN | TCPHDR_ACK | TCPHDR_RST)) == TCPHDR_SYN &&
	       dropped_at_arrival(e, w);
}

/* net/ipv4/tcp_ipv4.c tcp_v4_rcv frees what a socket in TIME_WAIT takes, too, and gives no reason. */
bool track_last_fin(const struct rec_event *e, const struct world *w)
{
	return e->hdr.kind == REC_DROP && e->pkt.has & PKT_L4 &&
	       e->pkt.tuple.proto == IPPROTO_TCP &&
	       (e->pkt.tcp_flags & (TCPHDR_FIN | TCPHDR_SYN | TCPHDR_RST)) == TCPHDR_FIN &&
	       (!e->has_reason || strcmp(e->reason_name, "NOT_SPECIFIED") == 0) &&
	       dropped_at_arrival(e, w);
}

static enum weight weigh_without_reason(const struct rec_event *e, const struct world *w)
{
	if (is_unroutable(e, w))
		return WEIGHT_HARD;
	if (is_filtered(e, w))
		return is_segment(&e->pkt) ? WEIGHT_SOFT : WEIGHT_HARD;
	return may_be_by_setting(e, w) || is_discarded_syn(e, w) ? WEIGHT_SOFT : WEIGHT_NONE;
}

/* Somebody's rule or program said drop. */
static bool is_filter_reason(const char *reason)
{
	static const char *const reasons[] = {"NETFILTER_DROP",	   "TC_INGRESS",
					      "TC_EGRESS",	   "XDP",
					      "BPF_CGROUP_EGRESS", "SOCKET_FILTER"};

	for (size_t i = 0; i < ARRAY_SIZE(reasons); i++)
		if (strcmp(reason, reasons[i]) == 0)
			return true;
	return false;
}

/*
 * Both ends have just closed (a socket whose peer hasn't would still be there, in FIN_WAIT2), and
 * one more pure ACK was on its way: the reset that answers it meets a socket in TIME_WAIT at most,
 * and nothing is lost. Whether the port is still listened on makes no difference.
 */
static bool is_late_ack(const struct rec_event *e)
{
	bool alone = !(e->sock.flags & SOCK_PRESENT) || e->sock.state == TCP_LISTEN;

	return !e->active && alone && e->pkt.has & PKT_L4 && e->pkt.tuple.proto == IPPROTO_TCP &&
	       !e->pkt.payload && !(e->pkt.tcp_flags & (TCPHDR_SYN | TCPHDR_FIN)) &&
	       e->mem.closed_ns && !e->mem.closed_unread &&
	       e->hdr.mono_ns - e->mem.closed_ns < NSEC_PER_SEC;
}

static enum weight weigh_no_socket(const struct rec_event *e)
{
	if (is_late_ack(e))
		return WEIGHT_NONE;
	/* A reset for a connection that is gone needs no answer and surprises nobody. */
	if (e->pkt.tuple.proto == IPPROTO_TCP)
		return e->pkt.tcp_flags & TCPHDR_RST ? WEIGHT_NONE : WEIGHT_HARD;
	return e->pkt.tuple.proto == IPPROTO_UDP ? WEIGHT_HARD : WEIGHT_NONE;
}

static bool is_echo(const struct rec_packet *p)
{
	return p->tuple.family == 6 ? p->icmp_type == 128 || p->icmp_type == 129
				    : p->icmp_type == 8 || p->icmp_type == 0;
}

/*
 * A ping that is dropped on purpose. (Redirects, say, are dropped by NAT itself, and nobody minds.)
 */
static bool echo_is_filtered(const struct rec_event *e)
{
	return (strcmp(e->reason_name, "NETFILTER_DROP") == 0 ||
		strcmp(e->reason_name, "IP_RPFILTER") == 0) &&
	       is_echo(&e->pkt);
}

/*
 * A SYN for which a socket of the same addresses stands in the way: net/ipv4/tcp_input.c
 * tcp_validate_incoming, net/ipv4/tcp_minisocks.c tcp_timewait_state_process. A stray duplicate is
 * dropped there too.
 */
static bool is_syn_in_the_way(const struct rec_event *e)
{
	if (!(e->pkt.has & PKT_L4) ||
	    (e->pkt.tcp_flags & (TCPHDR_SYN | TCPHDR_ACK | TCPHDR_RST)) != TCPHDR_SYN)
		return false;
	return strcmp(e->reason_name, "TCP_INVALID_SYN") == 0 || e->sock.flags & SOCK_TIMEWAIT;
}

/* net/ipv4/tcp_input.c tcp_validate_incoming: TCP_RESET where it was answered with a challenge ACK. */
bool track_reset_ignored(const struct rec_event *e)
{
	static const char *const reasons[] = {"TCP_INVALID_SEQUENCE", "TCP_OLD_SEQUENCE",
					      "TCP_RESET"};

	if (e->hdr.kind == REC_RST_IGNORED)
		return true;
	if (e->hdr.kind != REC_DROP || !(e->pkt.has & PKT_L4) || !(e->pkt.tcp_flags & TCPHDR_RST) ||
	    e->sock.flags & (SOCK_TIMEWAIT | SOCK_REQUEST) || e->sock.state == TCP_LISTEN)
		return false;
	for (size_t i = 0; i < ARRAY_SIZE(reasons); i++)
		if (strcmp(e->reason_name, reasons[i]) == 0)
			return true;
	return false;
}

static enum weight weigh_drop(const struct rec_event *e, const struct world *w)
{
	const struct reason *reason = drop_reason(e->reason_name);
	bool tcp = e->pkt.tuple.proto == IPPROTO_TCP;

	if (addr_is_multicast(e->pkt.tuple.dst))
		return WEIGHT_NONE;
	/*
	 * Errors and echo are about something else; a lost one is nobody's failed connection,
	 * unless it was filtered.
	 */
	if (!tcp && e->pkt.tuple.proto != IPPROTO_UDP && !echo_is_filtered(e))
		return WEIGHT_NONE;
	/* An ICMP error about this connection: what follows tells if it was needed. */
	if (e->pkt.icmp_type && tcp)
		return WEIGHT_SOFT;
	if (tcp && (is_syn_in_the_way(e) || track_reset_ignored(e)))
		return WEIGHT_SOFT;
	if (!e->has_reason || strcmp(e->reason_name, "NOT_SPECIFIED") == 0)
		return weigh_without_reason(e, w);
	if (strcmp(e->reason_name, "NO_SOCKET") == 0)
		return weigh_no_socket(e);
	/*
	 * TCP repairs the loss of a segment, and some rules mean to drop stray ones, or to slow a stream
	 * down: what follows tells if it hurts.
	 */
	if (is_filter_reason(e->reason_name) && is_segment(&e->pkt))
		return WEIGHT_SOFT;
	/* A socket's own filter only leaves out what its process doesn't want. */
	if (!tcp && strcmp(e->reason_name, "SOCKET_FILTER") == 0)
		return WEIGHT_SOFT;
	/* A spanning tree blocks ports on purpose; copies of flooded frames end there. */
	if (strcmp(e->reason_name, "BRIDGE_INGRESS_STP_STATE") == 0)
		return WEIGHT_SOFT;
	/*
	 * A running connection whose way is gone (its namespace is being taken down, say) ends by
	 * itself.
	 */
	if (tcp && strcmp(e->reason_name, "IP_OUTNOROUTES") == 0 &&
	    (e->pkt.has & PKT_L4 ? !(e->pkt.tcp_flags & TCPHDR_SYN)
				 : e->sock.flags & SOCK_PRESENT && e->sock.state != TCP_SYN_SENT))
		return WEIGHT_SOFT;
	if (reason->weight == REASON_FAILURE)
		return WEIGHT_HARD;
	/*
	 * A queue that is full costs a stream a retransmission, but a datagram or a handshake its
	 * life.
	 */
	if (strncmp(e->reason_name, "QDISC_", 6) == 0 && (!tcp || e->pkt.tcp_flags & TCPHDR_SYN))
		return WEIGHT_HARD;
	return WEIGHT_NONE;
}

bool track_never_accepted(const struct rec_event *e)
{
	uint64_t since = e->mem.handshake.established_ns;

	return e->sock.flags & SOCK_PRESENT &&
	       !(e->sock.flags & (SOCK_DEAD_F | SOCK_TIMEWAIT | SOCK_REQUEST)) && !e->sock.inode &&
	       since && since < e->hdr.mono_ns && e->hdr.mono_ns - since >= ACCEPT_LATE_NS;
}

bool track_half_open(const struct rec_event *e)
{
	return e->hdr.kind == REC_RETRANS && e->segment.size && e->segment.acked <= 1 &&
	       e->mem.peer_syns >= 2 && e->sock.retransmits >= TRACK_STUCK_AFTER;
}

/*
 * A connect() that ends before it is established. Closed by its own process at once, it is no
 * failure.
 */
static enum weight weigh_state(const struct rec_event *e)
{
	if (e->new_state == TCP_CLOSE_WAIT)
		return track_never_accepted(e) ? WEIGHT_SOFT : WEIGHT_NONE;
	if (e->new_state != TCP_CLOSE)
		return WEIGHT_NONE;
	if (e->old_state != TCP_SYN_SENT)
		return WEIGHT_NONE;
	if (e->sock.err)
		return WEIGHT_HARD;
	if (e->sock.retransmits)
		return WEIGHT_HARD;
	return WEIGHT_NONE;
}

/* Nobody waits for what is meant for a group, or for an error about something else. */
static enum weight weigh_reject(const struct rec_event *e)
{
	const struct rec_tuple *t = &e->pkt.tuple;

	if (addr_is_multicast(t->dst))
		return WEIGHT_NONE;
	return t->proto == IPPROTO_TCP || t->proto == IPPROTO_UDP || is_echo(&e->pkt) ? WEIGHT_HARD
										      : WEIGHT_NONE;
}

/* A handshake's own steps are its life; only a refused SYN has failed. */
static enum weight weigh_handshake(const struct rec_event *e)
{
	return STEP_IS_REFUSAL(e->step) ? WEIGHT_HARD : WEIGHT_NONE;
}

/*
 * A large segment that is sent again and again: perhaps the path doesn't take it. What IPv6 guarantees, and
 * what IPv4's TCP falls back to (RFC 1191 section 5, RFC 8200 section 5), passes everywhere.
 */
static enum weight weigh_retransmission(const struct rec_event *e)
{
	uint32_t small = e->sock.tuple.family == 6 ? 1220 : 536;

	if (track_half_open(e))
		return WEIGHT_SOFT;
	return e->segment.size > small && e->sock.retransmits >= TRACK_STUCK_AFTER ? WEIGHT_SOFT
										   : WEIGHT_NONE;
}

enum weight track_weight(const struct rec_event *e, const struct world *w)
{
	switch (e->hdr.kind) {
	case REC_RST_SENT:
		return is_late_ack(e) ? WEIGHT_NONE : WEIGHT_HARD;
	case REC_RST_RECV:
	case REC_CONNECT:
	case REC_CAPTURED:
		return WEIGHT_HARD;
	case REC_SOCK_ERR:
		/*
		 * The socket's own process disconnects it: the reset that goes with that tells
		 * more.
		 */
		return world_stack_has(w, e, "tcp_disconnect") ? WEIGHT_NONE : WEIGHT_HARD;
	case REC_DROP:
		return weigh_drop(e, w);
	case REC_STATE:
		return weigh_state(e);
	case REC_RST_OUT:
		return world_by_reject(w, e) ? WEIGHT_HARD : WEIGHT_SOFT;
	case REC_REJECT:
		return weigh_reject(e);
	case REC_HANDSHAKE:
		return weigh_handshake(e);
	case REC_RETRANS:
		return weigh_retransmission(e);
	case REC_TW_ANSWER:
		return e->step == TW_SYN ? WEIGHT_NONE : WEIGHT_SOFT;
	case REC_CHALLENGE:
	case REC_RST_IGNORED:
	case REC_SYN_RETRANS:
	case REC_SYN_AGAIN:
	case REC_SYNACK_RETRANS:
	case REC_ICMP_SENT:
	case REC_ICMP_RECV:
		return WEIGHT_SOFT;
	default:
		return WEIGHT_NONE;
	}
}
