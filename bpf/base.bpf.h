/* SPDX-License-Identifier: GPL-2.0-or-later OR BSD-2-Clause */
/* Kernel types, libbpf's helpers, constants, and the configuration that user space filled in. */
#ifndef TCPWHY_BASE_BPF_H
#define TCPWHY_BASE_BPF_H

#include "kernel_types.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_tracing.h>
#include <bpf/bpf_endian.h>
#include "abi/config.h"

/*
 * All functions are inlined. Called ones the verifier checks again at every call; global ones, which it
 * checks once, take no pointers before 5.13 (commit e5069b9c23b3); and with static ones it takes live
 * code for dead before 6.3 (commit 529409ea92d5: propagate_precision() forgot the callers' frames).
 */
#define INLINE static __always_inline __attribute__((unused))

#include "compat.bpf.h"

#define AF_INET 2
#define AF_INET6 10
#define ETH_P_IP 0x0800
#define ETH_P_IPV6 0x86dd
#define ETH_P_8021Q 0x8100
#define ETH_P_8021AD 0x88a8
#define ECONNREFUSED 111

#define PACKET_OTHERHOST 3 /* include/uapi/linux/if_packet.h */
#define IPPROTO_ICMP 1
#define IPPROTO_TCP 6
#define IPPROTO_UDP 17
#define IPPROTO_ICMPV6 58

#define TCP_FIN 0x01
#define TCP_SYN 0x02
#define TCP_RST 0x04
#define TCP_ACK 0x10

#define TCP_ESTABLISHED 1
#define TCP_SYN_SENT 2
#define TCP_SYN_RECV 3
#define TCP_FIN_WAIT1 4
#define TCP_TIME_WAIT 6
#define TCP_CLOSE 7
#define TCP_CLOSE_WAIT 8
#define TCP_LAST_ACK 9
#define TCP_LISTEN 10
#define TCP_NEW_SYN_RECV 12

#define NSEC_PER_SEC 1000000000ull

const volatile struct config cfg = {};
u64 lost_ever = 0; /* events, of all kinds */

#endif
