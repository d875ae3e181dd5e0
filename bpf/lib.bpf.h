/* SPDX-License-Identifier: GPL-2.0-or-later OR BSD-2-Clause */
/*
 * The global functions of lib.bpf.c and filter.bpf.c, which the verifier checks once instead of at every call (it takes
 * 0.3 s for some otherwise). Their pointer arguments to kernel objects are plain numbers, since every
 * access is a probe read anyway; struct pointers must not be NULL; all return an int because the
 * verifier wants that.
 */
#ifndef TCPWHY_LIB_BPF_H
#define TCPWHY_LIB_BPF_H

#include "maps.bpf.h"

/*
 * A pointer that the verifier knows the type of, as the plain number that a global function takes.
 */
static __always_inline void *untyped(const void *typed)
{
	void *plain = NULL;

	bpf_probe_read_kernel(&plain, sizeof(plain), &typed);
	return plain;
}

/*
 * Where functions are static, the verifier follows what they wrote on every path to the program's
 * end; of what a helper has written it knows nothing, so that all paths become one. (684,000
 * instructions become 24,000.)
 */
static __always_inline void forget(void *p, u32 size)
{
	if (cfg.static_functions)
		bpf_probe_read_kernel(p, size, p);
}

/*
 * Reads addresses, ports and TCP header of an skb into p, zeroed. 0: no IP packet, or its headers
 * aren't there.
 */
int packet_read(u64 skb, bool at_data, struct rec_packet *p);
/*
 * p, read from an ICMP error, becomes the quoted packet, icmp_src who sent it. 0: it quotes
 * nothing.
 */
int packet_read_quoted(u64 skb, bool at_data, struct rec_packet *p);
/* Adds what conntrack knows of the skb. */
int packet_read_ct(u64 skb, struct rec_packet *p);
/* The tuple of a socket, local side first; for full sockets, request sockets and TIME_WAIT. */
int sock_tuple(u64 sk, struct rec_tuple *t);
int sock_read(u64 sk, struct rec_sock *s);
/*
 * The filters, before anything else is done. sk and ifname (address of a device's name) may be 0.
 * sender: the running task is the one that sends this, or calls for it; a softirq runs in anybody's
 * time. Namespace and protocol restrict the view; addresses, ports, tasks and the interface choose
 * flows, of which both sides of a NAT are followed.
 */
int wanted(const struct rec_packet *p, u64 sk, u32 netns, u64 ifname, bool sender);
/* May a detail record of this flow be sent? At most cfg.burst_flow a second. */
int flow_limit(u32 kind, u32 reason, u64 location, const struct rec_tuple *t, u64 now);

#endif
