/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "record/reason.h"

/*
 * include/net/dropreason-core.h of the kernel; by name, since the numbers differ between versions.
 */
/* clang-format off */
static const struct reason drop_reasons[] = {
	{"CONSUMED", REASON_NOISE, "nothing was dropped"},
	{"QUEUE_PURGE", REASON_NOISE, "a queue was emptied because its owner went away"},
	{"OTHERHOST", REASON_NOISE, "the frame was for another host's hardware address"},
	{"UNICAST_IN_L2_MULTICAST", REASON_NOISE, "unicast packet in a multicast frame"},
	{"TCP_OLD_DATA", REASON_NOISE, "the data had been received before"},
	{"TCP_OLD_SEQUENCE", REASON_NOISE, "the sequence numbers had been received before"},
	{"TCP_OFOMERGE", REASON_NOISE, "the data is already in the out-of-order queue"},
	{"TCP_RESET", REASON_NOISE, "a reset that ends nothing here: its number is not the very one expected"},
	{"DUP_FRAG", REASON_NOISE, "the fragment had been received before"},
	{"PACKET_SOCK_ERROR", REASON_NOISE, "a packet socket could not take its copy"},
	{"UNIX_DISCONNECT", REASON_NOISE, "a UNIX socket's business"},
	{"UNIX_SKIP_OOB", REASON_NOISE, "a UNIX socket's business"},
	{"IPV6_NDISC_FRAG", REASON_NOISE, "neighbour discovery must not be fragmented"},
	{"IPV6_NDISC_HOP_LIMIT", REASON_NOISE, "neighbour discovery from beyond the link"},
	{"IPV6_NDISC_BAD_CODE", REASON_NOISE, "neighbour discovery with a bad code"},
	{"IPV6_NDISC_BAD_OPTIONS", REASON_NOISE, "neighbour discovery with bad options"},
	{"IPV6_NDISC_NS_OTHERHOST", REASON_NOISE, "neighbour solicitation for another host"},

	{"NOT_SPECIFIED", REASON_SUPPORT, "the kernel gives no reason here"},
	{"TCP_OLD_ACK", REASON_SUPPORT, "the ACK is old"},
	{"TCP_TOO_OLD_ACK", REASON_SUPPORT, "the ACK is too old to be this connection's"},
	{"TCP_ACK_UNSENT_DATA", REASON_SUPPORT, "the ACK is for data that was never sent"},
	{"TCP_INVALID_SEQUENCE", REASON_SUPPORT, "the sequence number is outside the receive window"},
	{"TCP_INVALID_END_SEQUENCE", REASON_SUPPORT, "the segment ends outside the receive window"},
	{"TCP_INVALID_ACK_SEQUENCE", REASON_SUPPORT, "the ACK number does not fit"},
	{"TCP_OVERWINDOW", REASON_SUPPORT, "the data is beyond the receive window"},
	{"TCP_ZEROWINDOW", REASON_SUPPORT, "the receive window is closed"},
	{"TCP_RFC7323_PAWS", REASON_SUPPORT, "the timestamp is older than the last one (PAWS, RFC 7323 section 5)"},
	{"TCP_RFC7323_PAWS_ACK", REASON_SUPPORT, "an ACK with an old timestamp (PAWS, RFC 7323 section 5)"},
	{"TCP_RFC7323_TW_PAWS", REASON_SUPPORT, "old timestamp for a connection in TIME_WAIT"},
	{"TCP_RFC7323_TSECR", REASON_SUPPORT, "the echoed timestamp was never sent"},
	{"TCP_FLAGS", REASON_SUPPORT, "the TCP flags do not fit the socket's state"},
	{"TCP_INVALID_SYN", REASON_SUPPORT, "a SYN within a connection"},
	{"TCP_CLOSE", REASON_SUPPORT, "the socket is closed"},
	{"TCP_ABORT_ON_DATA", REASON_SUPPORT, "data for a connection that its process has closed"},
	{"TCP_FASTOPEN", REASON_SUPPORT, "TCP Fast Open"},
	{"TCP_OFO_DROP", REASON_SUPPORT, "no room for out-of-order data"},
	{"SOCKET_CLOSE", REASON_SUPPORT, "the socket is being closed"},
	{"PKT_TOO_BIG", REASON_SUPPORT, "larger than the path's MTU and must not be fragmented"},
	{"NEIGH_QUEUEFULL", REASON_SUPPORT, "too many packets wait for the neighbour's hardware address"},
	{"QDISC_OVERLIMIT", REASON_SUPPORT, "the queueing discipline's queue is full"},
	{"QDISC_CONGESTED", REASON_SUPPORT, "the queueing discipline signals congestion by dropping"},
	{"QDISC_DROP", REASON_SUPPORT, "the queueing discipline's queue is full, or it shapes traffic"},
	{"CAKE_FLOOD", REASON_SUPPORT, "the cake qdisc limits an unresponsive flow"},
	{"FQ_BAND_LIMIT", REASON_SUPPORT, "the fq qdisc's band is full"},
	{"FQ_HORIZON_LIMIT", REASON_SUPPORT, "the fq qdisc: sent too far ahead of time"},
	{"FQ_FLOW_LIMIT", REASON_SUPPORT, "the fq qdisc: the flow's queue is full"},
	{"DUALPI2_STEP_DROP", REASON_SUPPORT, "the dualpi2 qdisc signals congestion by dropping"},
	{"SKB_UCOPY_FAULT", REASON_SUPPORT, "the process gave a bad buffer"},
	{"UNHANDLED_PROTO", REASON_SUPPORT, "nobody on this host handles this protocol"},

	{"NO_SOCKET", REASON_FAILURE, "no socket is open for it"},
	{"NETFILTER_DROP", REASON_FAILURE, "a netfilter hook said drop"},
	{"SOCKET_FILTER", REASON_FAILURE, "a filter on the socket (SO_ATTACH_FILTER, cgroup BPF) said drop"},
	{"SOCKET_RCVBUFF", REASON_FAILURE, "the socket's receive buffer is full"},
	{"SOCKET_BACKLOG", REASON_FAILURE, "the socket's backlog is full: its process is busy in the kernel"},
	{"PROTO_MEM", REASON_FAILURE, "the protocol's memory limit (net.ipv4.tcp_mem, udp_mem) is reached"},
	{"PKT_TOO_SMALL", REASON_FAILURE, "the packet is too small to be whole"},
	{"TCP_CSUM", REASON_FAILURE, "the TCP checksum is wrong"},
	{"UDP_CSUM", REASON_FAILURE, "the UDP checksum is wrong"},
	{"ICMP_CSUM", REASON_FAILURE, "the ICMP checksum is wrong"},
	{"IP_CSUM", REASON_FAILURE, "the IP header checksum is wrong"},
	{"SKB_CSUM", REASON_FAILURE, "the checksum could not be made or is wrong"},
	{"IP_INHDR", REASON_FAILURE, "the IP header is bad, or its TTL ran out"},
	{"IP_RPFILTER", REASON_FAILURE, "reverse path filtering: its source is not reached through the interface it came from"},
	{"XFRM_POLICY", REASON_FAILURE, "an IPsec policy forbids it"},
	{"IP_NOPROTO", REASON_FAILURE, "no handler for this IP protocol"},
	{"TCP_AUTH_HDR", REASON_FAILURE, "the TCP-MD5 or TCP-AO option is malformed"},
	{"TCP_MD5NOTFOUND", REASON_FAILURE, "a TCP-MD5 signature is required and missing"},
	{"TCP_MD5UNEXPECTED", REASON_FAILURE, "a TCP-MD5 signature came unexpected"},
	{"TCP_MD5FAILURE", REASON_FAILURE, "the TCP-MD5 signature is wrong"},
	{"TCP_AONOTFOUND", REASON_FAILURE, "a TCP-AO signature is required and missing"},
	{"TCP_AOUNEXPECTED", REASON_FAILURE, "a TCP-AO signature came unexpected"},
	{"TCP_AOKEYNOTFOUND", REASON_FAILURE, "the TCP-AO key is unknown"},
	{"TCP_AOFAILURE", REASON_FAILURE, "the TCP-AO signature is wrong"},
	{"TCP_LISTEN_OVERFLOW", REASON_FAILURE, "the listening socket's accept queue is full"},
	{"TCP_OFO_QUEUE_PRUNE", REASON_FAILURE, "out-of-order data was thrown away for want of receive buffer"},
	{"TCP_MINTTL", REASON_FAILURE, "its TTL is below the socket's minimum (IP_MINTTL)"},
	{"IP_OUTNOROUTES", REASON_FAILURE, "there is no route to its destination"},
	{"IP_INNOROUTES", REASON_FAILURE, "there is no route for it"},
	{"IP_INADDRERRORS", REASON_FAILURE, "its destination is not this host's, and forwarding is off"},
	{"IP_LOCAL_SOURCE", REASON_FAILURE, "it came from outside with an address of this host as source"},
	{"IP_INVALID_SOURCE", REASON_FAILURE, "its source address is not valid"},
	{"IP_LOCALNET", REASON_FAILURE, "a loopback address came from outside (see route_localnet)"},
	{"IP_INVALID_DEST", REASON_FAILURE, "its destination address is not valid"},
	{"BPF_CGROUP_EGRESS", REASON_FAILURE, "a BPF program of the process's cgroup said drop"},
	{"IPV6DISABLED", REASON_FAILURE, "IPv6 is disabled on the interface"},
	{"NEIGH_CREATEFAIL", REASON_FAILURE, "no neighbour entry could be made (table full?)"},
	{"NEIGH_FAILED", REASON_FAILURE, "the next hop did not answer ARP or neighbour discovery"},
	{"NEIGH_DEAD", REASON_FAILURE, "the neighbour entry was removed"},
	{"NEIGH_HH_FILLFAIL", REASON_FAILURE, "the link-layer header could not be made"},
	{"TC_EGRESS", REASON_FAILURE, "a traffic control filter on the way out said drop"},
	{"TC_INGRESS", REASON_FAILURE, "a traffic control filter on the way in said drop"},
	{"SECURITY_HOOK", REASON_FAILURE, "a security module said drop"},
	{"CPU_BACKLOG", REASON_FAILURE, "the CPU's input queue is full (net.core.netdev_max_backlog)"},
	{"XDP", REASON_FAILURE, "an XDP program said drop"},
	{"SKB_GSO_SEG", REASON_FAILURE, "it could not be cut into segments"},
	{"DEV_HDR", REASON_FAILURE, "the driver could not prepare the header"},
	{"DEV_READY", REASON_FAILURE, "the device is not up"},
	{"FULL_RING", REASON_FAILURE, "the device's ring is full"},
	{"NOMEM", REASON_FAILURE, "the kernel is out of memory"},
	{"HDR_TRUNC", REASON_FAILURE, "the header is cut short"},
	{"TAP_FILTER", REASON_FAILURE, "a filter of the tap device said drop"},
	{"TAP_TXFILTER", REASON_FAILURE, "a transmit filter of the tap device said drop"},
	{"INVALID_PROTO", REASON_FAILURE, "the packet's protocol is not what it should be"},
	{"FRAG_REASM_TIMEOUT", REASON_FAILURE, "not all fragments arrived in time"},
	{"FRAG_TOO_FAR", REASON_FAILURE, "fragments of one datagram came too far apart (ipfrag_max_dist)"},
	{"IPV6_BAD_EXTHDR", REASON_FAILURE, "a bad IPv6 extension header"},
	{"BRIDGE_INGRESS_STP_STATE", REASON_FAILURE, "the bridge port does not forward (spanning tree)"},
	{"RECURSION_LIMIT", REASON_FAILURE, "it went round in a loop of devices"},
};
/* clang-format on */

const struct reason *drop_reason(const char *name)
{
	static const struct reason unknown = {"", REASON_FAILURE, ""};

	for (size_t i = 0; i < ARRAY_SIZE(drop_reasons); i++)
		if (strcmp(drop_reasons[i].name, name) == 0)
			return &drop_reasons[i];
	return &unknown;
}

bool drop_reason_is_noise(const char *name)
{
	return *name && drop_reason(name)->weight == REASON_NOISE;
}

/* include/net/rstreason.h */
/* clang-format off */
static const struct {
	const char *name;
	const char *words;
} reset_reasons[] = {
	{"NO_SOCKET", "no socket is open for the packet"},
	{"TCP_INVALID_ACK_SEQUENCE", "the ACK number does not fit the connection that is being opened"},
	{"TCP_RFC7323_PAWS", "the timestamp is older than the last one"},
	{"TCP_TOO_OLD_ACK", "the ACK is too old"},
	{"TCP_ACK_UNSENT_DATA", "the ACK is for data that was never sent"},
	{"TCP_FLAGS", "the TCP flags do not fit the socket's state"},
	{"TCP_OLD_ACK", "the ACK is old"},
	{"TCP_ABORT_ON_DATA", "data arrived after the process had closed the socket"},
	{"TCP_TIMEWAIT_SOCKET", "a packet arrived for a connection that is closed (FIN_WAIT2 or TIME_WAIT)"},
	{"INVALID_SYN", "a SYN that the connection cannot take"},
	{"TCP_ABORT_ON_CLOSE", "the process closed the socket with unread data"},
	{"TCP_ABORT_ON_LINGER", "the process closed the socket and does not linger for the peer's FIN (TCP_LINGER2)"},
	{"TCP_ABORT_ON_MEMORY", "too many orphaned sockets, or TCP is out of memory"},
	{"TCP_STATE", "the connection was aborted in this state"},
	{"TCP_KEEPALIVE_TIMEOUT", "the peer did not answer keepalive probes"},
	{"TCP_DISCONNECT_WITH_DATA", "the process disconnected with data not yet sent"},
	{"ERROR", "the kernel met an error"},
};
/* clang-format on */

const char *reset_reason_words(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(reset_reasons); i++)
		if (strcmp(reset_reasons[i].name, name) == 0)
			return reset_reasons[i].words;
	return "";
}
