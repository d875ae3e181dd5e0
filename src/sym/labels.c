/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "sym/labels.h"

/*
 * By file of the kernel's source. A label holds whatever the function was called for; functions that only
 * some of the kernels 5.10 to 7.3 have stand beside those that the others have.
 */
/* clang-format off */
static const struct label {
	const char *function;
	const char *words;
} labels[] = {
	/* net/core/dev.c */
	{"process_backlog", "queue of received packets"},
	{"enqueue_to_backlog", "queue of received packets"},
	{"netif_receive_skb", "arrives at a device"},
	{"netif_receive_skb_internal", "arrives at a device"},
	{"netif_receive_skb_list", "arrives at a device"},
	{"netif_receive_skb_list_internal", "arrives at a device"},
	{"__netif_receive_skb", "arrives at a device"},
	{"__netif_receive_skb_one_core", "arrives at a device"},
	{"__netif_receive_skb_list_core", "arrives at a device"},
	{"__netif_receive_skb_core", "arrives at a device"},
	{"do_xdp_generic", "XDP program"},
	{"__dev_queue_xmit", "leaves through a device"},
	{"dev_hard_start_xmit", "handed to the device's driver"},
	/* net/sched/: sch_generic.c, cls_api.c, act_api.c, cls_bpf.c */
	{"__qdisc_run", "queueing discipline"},
	{"sch_direct_xmit", "queueing discipline"},
	{"tcf_classify", "tc filters"},
	{"tcf_action_exec", "tc action"},
	{"cls_bpf_classify", "BPF program of tc"},
	/* drivers/net/: loopback.c, veth.c, tun.c */
	{"loopback_xmit", "loopback device"},
	{"veth_xmit", "veth device"},
	{"veth_poll", "veth device"},
	{"tun_net_xmit", "tun or tap device"},
	{"tun_get_user", "a program sends through tun or tap"},
	/* net/bridge/: br_input.c, br_forward.c, br_device.c */
	{"br_handle_frame", "bridge"},
	{"br_handle_frame_finish", "bridge"},
	{"br_pass_frame_up", "bridge hands it to this host"},
	{"br_forward", "bridge forwards"},
	{"__br_forward", "bridge forwards"},
	{"br_dev_xmit", "leaves through a bridge"},
	/* net/packet/af_packet.c */
	{"packet_rcv", "packet socket, as of a capture"},
	{"tpacket_rcv", "packet socket, as of a capture"},
	/* net/ipv4/ip_input.c */
	{"ip_rcv", "IPv4 receives"},
	{"ip_rcv_core", "IPv4 receives"},
	{"ip_list_rcv", "IPv4 receives"},
	{"ip_sublist_rcv", "IPv4 receives"},
	{"ip_rcv_finish", "IPv4 receives"},
	{"ip_rcv_finish_core", "IPv4 looks where it goes"},
	{"ip_local_deliver", "local delivery"},
	{"ip_local_deliver_finish", "local delivery"},
	{"ip_protocol_deliver_rcu", "local delivery"},
	/* net/ipv4/: route.c, fib_frontend.c, ip_forward.c, ip_fragment.c, ip_output.c */
	{"ip_route_input_noref", "route looked up"},
	{"ip_route_input_slow", "route looked up"},
	{"ip_error", "no usable route"},
	{"fib_validate_source", "source address checked"},
	{"ip_forward", "forwarding"},
	{"ip_forward_finish", "forwarding"},
	{"ip_defrag", "fragments put together"},
	{"ip_local_out", "IPv4 sends"},
	{"__ip_local_out", "IPv4 sends"},
	{"ip_queue_xmit", "IPv4 sends"},
	{"__ip_queue_xmit", "IPv4 sends"},
	{"ip_send_skb", "IPv4 sends"},
	{"ip_output", "IPv4 leaves"},
	{"ip_mc_output", "IPv4 leaves"},
	{"ip_finish_output", "IPv4 leaves"},
	{"__ip_finish_output", "IPv4 leaves"},
	{"ip_finish_output2", "IPv4 leaves"},
	{"ip_do_fragment", "cut into fragments"},
	/* net/ipv6/: ip6_input.c, route.c, ip6_output.c, output_core.c */
	{"ipv6_rcv", "IPv6 receives"},
	{"ip6_rcv_core", "IPv6 receives"},
	{"ipv6_list_rcv", "IPv6 receives"},
	{"ip6_sublist_rcv", "IPv6 receives"},
	{"ip6_rcv_finish", "IPv6 receives"},
	{"ip6_input", "local delivery"},
	{"ip6_mc_input", "multicast received"},
	{"ip6_input_finish", "local delivery"},
	{"ip6_protocol_deliver_rcu", "local delivery"},
	{"ip6_pkt_drop", "no usable route"},
	{"ip6_pkt_discard", "no usable route"},
	{"ip6_pkt_prohibit", "no usable route"},
	{"ip6_forward", "forwarding"},
	{"ip6_xmit", "IPv6 sends"},
	{"ip6_send_skb", "IPv6 sends"},
	{"ip6_local_out", "IPv6 sends"},
	{"__ip6_local_out", "IPv6 sends"},
	{"ip6_output", "IPv6 leaves"},
	{"ip6_finish_output", "IPv6 leaves"},
	{"__ip6_finish_output", "IPv6 leaves"},
	{"ip6_finish_output2", "IPv6 leaves"},
	{"ip6_fragment", "cut into fragments"},
	/* net/core/neighbour.c, net/ipv4/arp.c, net/ipv6/ndisc.c */
	{"neigh_resolve_output", "neighbour's hardware address looked up"},
	{"__neigh_event_send", "waits for a neighbour's hardware address"},
	{"neigh_timer_handler", "neighbour's timer"},
	{"neigh_invalidate", "a neighbour does not answer"},
	{"arp_error_report", "a neighbour does not answer"},
	{"ndisc_error_report", "a neighbour does not answer"},
	{"arp_rcv", "ARP receives"},
	{"arp_process", "ARP receives"},
	/* net/netfilter/: core.c, nf_tables_core.c, nf_conntrack_core.c, nf_nat_core.c, nfnetlink_queue.c */
	{"nf_hook_slow", "netfilter"},
	{"nf_hook_slow_list", "netfilter"},
	{"nft_do_chain", "nftables rules"},
	{"nf_conntrack_in", "conntrack"},
	{"__nf_conntrack_confirm", "conntrack"},
	{"nf_nat_inet_fn", "NAT"},
	{"nfqnl_enqueue_packet", "queue of a program (NFQUEUE)"},
	{"nfqnl_recv_verdict", "a program has judged it (NFQUEUE)"},
	/* net/ipv4/netfilter/: ip_tables.c, nf_reject_ipv4.c; net/ipv6/netfilter/ likewise */
	{"ipt_do_table", "iptables rules"},
	{"ip6t_do_table", "ip6tables rules"},
	{"nf_send_reset", "a REJECT rule answers with a reset"},
	{"nf_send_reset6", "a REJECT rule answers with a reset"},
	{"nf_send_unreach", "a REJECT rule answers with ICMP"},
	{"nf_send_unreach6", "a REJECT rule answers with ICMP"},
	/* net/xfrm/: xfrm_input.c, xfrm_policy.c; kernel/bpf/cgroup.c; net/core/filter.c */
	{"xfrm_input", "IPsec receives"},
	{"__xfrm_policy_check", "IPsec policy"},
	{"__cgroup_bpf_run_filter_skb", "BPF program of a cgroup"},
	{"sk_filter_trim_cap", "filters at the socket"},
	/* net/ipv4/tcp_ipv4.c, net/ipv6/tcp_ipv6.c */
	{"tcp_v4_rcv", "TCP receives"},
	{"tcp_v6_rcv", "TCP receives"},
	{"tcp_v4_do_rcv", "socket found"},
	{"tcp_v6_do_rcv", "socket found"},
	{"tcp_v4_send_reset", "answered with a reset"},
	{"tcp_v6_send_reset", "answered with a reset"},
	{"tcp_v4_connect", "connect()"},
	{"tcp_v6_connect", "connect()"},
	/* net/ipv4/tcp_input.c */
	{"tcp_rcv_established", "established connection"},
	{"tcp_rcv_state_process", "connection that opens or closes"},
	{"tcp_rcv_synsent_state_process", "answer to a SYN"},
	{"tcp_conn_request", "SYN at a listener"},
	{"tcp_validate_incoming", "sequence numbers checked"},
	{"tcp_reset", "a reset ends the connection"},
	{"tcp_fin", "the other end closes"},
	{"tcp_ack", "acknowledgement"},
	{"tcp_data_queue", "received data"},
	{"tcp_xmit_retransmit_queue", "lost segments sent again"},
	/* net/ipv4/tcp_output.c */
	{"tcp_connect", "SYN sent"},
	{"tcp_write_xmit", "TCP sends"},
	{"__tcp_transmit_skb", "TCP sends"},
	{"tcp_retransmit_skb", "segment sent again"},
	{"__tcp_retransmit_skb", "segment sent again"},
	{"tcp_send_loss_probe", "probe for a lost tail"},
	{"tcp_send_active_reset", "socket aborts with a reset"},
	{"tcp_rtx_synack", "SYN-ACK sent again"},
	/* net/ipv4/tcp_timer.c */
	{"tcp_write_timer", "TCP's timer"},
	{"tcp_write_timer_handler", "TCP's timer"},
	{"tcp_retransmit_timer", "retransmission timer"},
	{"tcp_keepalive_timer", "keepalive timer"},
	{"tcp_delack_timer", "timer of delayed ACKs"},
	{"tcp_write_err", "connection given up"},
	/* net/ipv4/tcp_minisocks.c, inet_connection_sock.c */
	{"tcp_timewait_state_process", "what is left of a closed connection (TIME_WAIT)"},
	{"tcp_check_req", "packet of a half-open connection"},
	{"tcp_child_process", "new connection of a listener"},
	{"tcp_time_wait", "socket left to TIME_WAIT"},
	{"inet_csk_listen_stop", "listener closes"},
	{"reqsk_timer_handler", "timer of a half-open connection"},
	/* net/ipv4/tcp.c */
	{"tcp_sendmsg", "sent through a socket"},
	{"tcp_recvmsg", "read from a socket"},
	{"tcp_shutdown", "shutdown()"},
	{"tcp_close", "socket close"},
	{"__tcp_close", "socket close"},
	{"tcp_disconnect", "socket disconnected"},
	{"tcp_done", "connection over"},
	{"tcp_done_with_error", "connection over"},
	{"tcp_abort", "socket destroyed from outside"},
	/* net/ipv4/udp.c, net/ipv6/udp.c, net/ipv4/icmp.c, net/ipv6/icmp.c */
	{"udp_rcv", "UDP receives"},
	{"__udp4_lib_rcv", "UDP receives"},
	{"udpv6_rcv", "UDP receives"},
	{"__udp6_lib_rcv", "UDP receives"},
	{"udp_unicast_rcv_skb", "socket found"},
	{"udp6_unicast_rcv_skb", "socket found"},
	{"udp_queue_rcv_skb", "socket found"},
	{"udpv6_queue_rcv_skb", "socket found"},
	{"udp_queue_rcv_one_skb", "receive queue of the socket"},
	{"udpv6_queue_rcv_one_skb", "receive queue of the socket"},
	{"__udp_enqueue_schedule_skb", "receive queue of the socket"},
	{"udp_sendmsg", "sent through a socket"},
	{"udpv6_sendmsg", "sent through a socket"},
	{"udp_recvmsg", "read from a socket"},
	{"udpv6_recvmsg", "read from a socket"},
	{"icmp_rcv", "ICMP receives"},
	{"icmpv6_rcv", "ICMPv6 receives"},
	{"__icmp_send", "answered with an ICMP error"},
	{"icmp6_send", "answered with an ICMP error"},
	/* net/ipv4/af_inet.c, net/socket.c, net/core/sock.c */
	{"inet_stream_connect", "connect()"},
	{"__inet_stream_connect", "connect()"},
	{"__sys_connect", "connect()"},
	{"inet_release", "socket close"},
	{"__sock_release", "socket close"},
	{"sock_close", "socket close"},
	{"release_sock", "what came while the socket was busy"},
	{"__release_sock", "what came while the socket was busy"},
	/* kernel/exit.c; fs/: file.c, file_table.c */
	{"__fput", "file closed"},
	{"do_exit", "thread or process ends"},
	{"do_group_exit", "process ends"},
	{"exit_files", "process's files closed"},
	/* net/core/skbuff.c */
	{"kfree_skb", "dropped"},
	{"kfree_skb_reason", "dropped"},
	{"sk_skb_reason_drop", "dropped"},
	{"kfree_skb_list", "dropped"},
	{"kfree_skb_list_reason", "dropped"},
};

/* Who calls nf_hook_slow(): which hook point it is. */
static const struct label hook_labels[] = {
	/* net/ipv4/: ip_input.c, ip_forward.c, ip_output.c */
	{"ip_rcv", "netfilter PRE_ROUTING"},
	{"ip_local_deliver", "netfilter LOCAL_IN"},
	{"ip_forward", "netfilter FORWARD"},
	{"ip_local_out", "netfilter LOCAL_OUT"},
	{"__ip_local_out", "netfilter LOCAL_OUT"},
	{"ip_output", "netfilter POST_ROUTING"},
	{"ip_mc_output", "netfilter POST_ROUTING"},
	/* net/ipv6/: ip6_input.c, ip6_output.c, output_core.c */
	{"ipv6_rcv", "netfilter PRE_ROUTING"},
	{"ip6_input", "netfilter LOCAL_IN"},
	{"ip6_forward", "netfilter FORWARD"},
	{"ip6_xmit", "netfilter LOCAL_OUT"},
	{"ip6_local_out", "netfilter LOCAL_OUT"},
	{"__ip6_local_out", "netfilter LOCAL_OUT"},
	{"ip6_output", "netfilter POST_ROUTING"},
	/* net/bridge/: br_input.c, br_forward.c, br_device.c */
	{"br_handle_frame", "netfilter PRE_ROUTING of a bridge"},
	{"br_pass_frame_up", "netfilter LOCAL_IN of a bridge"},
	{"__br_forward", "netfilter FORWARD of a bridge"},
	{"br_dev_xmit", "netfilter LOCAL_OUT of a bridge"},
	{"br_forward_finish", "netfilter POST_ROUTING of a bridge"},
};
/* clang-format on */

/* Without offset and module, and without what a compiler adds: "ip_rcv_finish_core.isra.0". */
static size_t name_len(const char *frame)
{
	return strcspn(frame, "+. ");
}

static bool is_function(const char *frame, const char *function)
{
	size_t len = name_len(frame);

	return strncmp(frame, function, len) == 0 && !function[len];
}

static const char *find(const struct label *table, size_t n, const char *frame)
{
	for (size_t i = 0; i < n; i++)
		if (is_function(frame, table[i].function))
			return table[i].words;
	return NULL;
}

const char *label_of(const char *frame, const char *caller)
{
	const char *hook = NULL;

	if (strncmp(frame, "bpf_prog_", strlen("bpf_prog_")) == 0)
		return "BPF program";
	if (caller && is_function(frame, "nf_hook_slow"))
		hook = find(hook_labels, ARRAY_SIZE(hook_labels), caller);
	return hook ? hook : find(labels, ARRAY_SIZE(labels), frame);
}

/* kernel/softirq.c: the one that calls the actions, by its newer and its older name. */
bool label_is_softirq(const char *frame)
{
	return is_function(frame, "handle_softirqs") || is_function(frame, "__do_softirq");
}

bool label_is_tracing(const char *frame)
{
	static const char *const prefixes[] = {"bpf_", "__bpf_", "__traceiter_", "trace_event_",
					       "perf_trace_"};

	for (size_t i = 0; i < ARRAY_SIZE(prefixes); i++)
		if (strncmp(frame, prefixes[i], strlen(prefixes[i])) == 0)
			return true;
	return false;
}

size_t label_path(char *const *frames, size_t n, const char *ret[LABELS_MAX])
{
	size_t told = 0;

	for (size_t i = 0; i < n && told < LABELS_MAX && !label_is_softirq(frames[i]); i++) {
		const char *words = label_of(frames[i], i + 1 < n ? frames[i + 1] : NULL);

		if (words && (!told || strcmp(words, ret[told - 1]) != 0))
			ret[told++] = words;
	}
	for (size_t i = 0; i < told / 2; i++) {
		const char *swap = ret[i];

		ret[i] = ret[told - 1 - i];
		ret[told - 1 - i] = swap;
	}
	return told;
}
