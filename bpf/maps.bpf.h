/* SPDX-License-Identifier: GPL-2.0-or-later OR BSD-2-Clause */
/* What the programs remember and count. */
#ifndef TCPWHY_MAPS_BPF_H
#define TCPWHY_MAPS_BPF_H

#include "base.bpf.h"

struct flow_key { /* a tuple without direction: the lower endpoint first */
	u64 lo[2];
	u64 hi[2];
	u16 lo_port;
	u16 hi_port;
	u32 netns; /* 0 where the flow is meant in every namespace */
};

struct limit_key {
	struct flow_key flow;
	u64 location;
	u32 reason;
	u32 kind;
};

struct limit_value {
	u64 window_ns;
	u64 n;
};

struct syn_seen { /* SYNs of one flow as they arrive at a namespace */
	u32 isn;
	u32 count;
	u64 ns;
};

struct syn_sent { /* a socket's connect(), and its SYNs as they leave through a device */
	u64 last_ns;
	u32 count;
	u32 ifindex;
	char ifname[16];
	struct rec_tuple tuple;
	u16 sport; /* of the socket itself: its address may be another's by now; 0: no SYN has left yet */
	u16 dport;
	u32 last_ifindex;
	struct rec_connect connect;
};

struct caller { /* of connect(), for a socket */
	struct rec_user user;
	u32 tid;
	u32 pad;
};

struct syn_nat { /* a SYN that was forwarded, translated, as it left */
	u64 ns;
	struct rec_tuple tuple;
};

struct rst_seen { /* the last reset that arrived for a flow */
	struct rec_packet pkt;
	u64 ns;
	u32 ifindex;
	u32 pad;
	char ifname[16];
};

struct heard { /* the packet with which the other end began or answered: SYN, SYN-ACK */
	u64 ns;
	u32 isn;
	u16 port; /* it came from, as flows have no direction */
	u8 ttl;
	u8 count;
};

struct closed {
	u64 ns;
	u32 pid;
	u8 state;
	u8 unread;
	u8 ending;
	u8 signal;
	char comm[16];
	u16 port; /* its own, as flows have no direction */
	u16 pad[3];
};

/* A packet that a function is looking at, from its beginning to its end. */
enum call_of { CALL_VALIDATE = 1, CALL_TIMEWAIT, CALL_COOKIE, CALL_REQUEST };

struct call {
	u64 sk;
	u64 ns;
	u32 netns;
	u16 what;  /* enum call_of */
	u16 step;  /* CALL_REQUEST: enum handshake_step, if the SYN is refused */
	u32 drops; /* CALL_REQUEST: the listener's until now */
	u32 pad;
	struct rec_packet pkt;
};

/* The packet that a hook function was entered with last, by its skb's address: netfilter.bpf.c. */
#define NF_SLOTS_BITS 11
struct nf_slot {
	u64 skb;
	u64 net;
	u64 function;
	u64 priv;
	u64 first; /* function at this hook point */
	u64 expr;  /* nftables: what gave the verdict, and its rule */
	u64 expr_function;
	u64 handle;
	u64 chain;
	u8 pf;
	u8 hook;
	u8 nft;	    /* priv is a base chain */
	u8 invalid; /* nf_words has conntrack's */
	u32 pad;
};

struct nf_words {
	u64 args[2];
	char text[96];
};

/* An nftables expression that is being evaluated. */
struct nft_call {
	u64 expr;
	u64 regs;
	u64 pkt;
	u64 function;
};

struct state_change { /* of a socket, that a program is looking at */
	u64 sk;
	u64 states;
};
#define STATE_CHANGES_BITS 6

struct ring_map {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 4 * 1024 * 1024);
};

struct stack_traces_map {
	__uint(type, BPF_MAP_TYPE_STACK_TRACE);
	__uint(max_entries, STACK_TRACES);
	__uint(key_size, sizeof(u32));
	__uint(value_size, STACK_DEPTH * sizeof(u64));
};

#define TABLE(name, map_type, entries, k, v)  \
	struct name {                         \
		__uint(type, map_type);       \
		__uint(max_entries, entries); \
		__type(key, k);               \
		__type(value, v);             \
	}

TABLE(counts_map, BPF_MAP_TYPE_PERCPU_HASH, 2048, struct count_key, struct count_value);
TABLE(overflow_map, BPF_MAP_TYPE_PERCPU_ARRAY, 1, u32, struct count_value);
TABLE(stacks_map, BPF_MAP_TYPE_PERCPU_HASH, STACKS_TABLE_SIZE, struct stack_key, u64);
TABLE(stacks_others_map, BPF_MAP_TYPE_PERCPU_ARRAY, 1, u32, u64);
TABLE(limits_map, BPF_MAP_TYPE_LRU_HASH, 4096, struct limit_key, struct limit_value);
TABLE(flows_map, BPF_MAP_TYPE_LRU_HASH, 16384, struct flow_key, u8);
TABLE(pids_map, BPF_MAP_TYPE_HASH, 8192, u32, u8);
TABLE(socks_map, BPF_MAP_TYPE_LRU_HASH, 16384, u64, u8);
TABLE(ports_map, BPF_MAP_TYPE_LRU_HASH, 1024, u64, u8);
TABLE(syn_seen_map, BPF_MAP_TYPE_LRU_HASH, 8192, struct flow_key, struct syn_seen);
TABLE(connects_map, BPF_MAP_TYPE_HASH, CONNECT_TABLE_SIZE, struct connect_key,
      struct connect_value);
TABLE(syn_sent_map, BPF_MAP_TYPE_LRU_HASH, 8192, u64, struct syn_sent);
TABLE(callers_map, BPF_MAP_TYPE_LRU_HASH, 4096, u64, struct caller); /* --stacks */
TABLE(syn_nats_map, BPF_MAP_TYPE_LRU_HASH, 2048, struct flow_key, struct syn_nat);
TABLE(rst_seen_map, BPF_MAP_TYPE_LRU_HASH, 1024, struct flow_key, struct rst_seen);
TABLE(heard_map, BPF_MAP_TYPE_LRU_HASH, 8192, struct flow_key, struct heard);
TABLE(closed_map, BPF_MAP_TYPE_LRU_HASH, 8192, struct flow_key, struct closed);
TABLE(handshakes_map, BPF_MAP_TYPE_LRU_HASH, 8192, struct flow_key, struct rec_handshake);
TABLE(ct_ends_map, BPF_MAP_TYPE_LRU_HASH, 4096, struct flow_key, struct rec_ct_end);
TABLE(state_changes_map, BPF_MAP_TYPE_PERCPU_ARRAY, 1 << STATE_CHANGES_BITS, u32,
      struct state_change);
TABLE(calls_map, BPF_MAP_TYPE_LRU_HASH, 1024, u64, struct call);
TABLE(nf_slots_map, BPF_MAP_TYPE_ARRAY, 1 << NF_SLOTS_BITS, u32, struct nf_slot);
TABLE(nf_words_map, BPF_MAP_TYPE_LRU_HASH, 512, u64, struct nf_words);
TABLE(nft_calls_map, BPF_MAP_TYPE_LRU_HASH, 512, u64, struct nft_call);

INLINE void count(u64 *n)
{
	__sync_fetch_and_add(n, 1); /* a softirq may interrupt a task's program on the same CPU */
}

/* What --snaplen asks for; no buffer is behind it without that. */
struct payloads_map {
	__uint(type, BPF_MAP_TYPE_PERF_EVENT_ARRAY);
	__uint(key_size, sizeof(u32));
	__uint(value_size, sizeof(u32));
};

#define MAP(type, name) struct type name SEC(".maps")
MAP(ring_map, ring);
MAP(payloads_map, payloads);
MAP(counts_map, counts);
MAP(overflow_map, overflow);
MAP(stacks_map, stacks);
MAP(stacks_others_map, stacks_others);
MAP(stack_traces_map, stack_traces);
MAP(limits_map, limits);
MAP(flows_map, flows);
MAP(pids_map, pids);
MAP(socks_map, socks);
MAP(ports_map, ports);
MAP(syn_seen_map, syn_seen);
MAP(connects_map, connects);
MAP(syn_sent_map, syn_sent);
MAP(callers_map, callers);
MAP(syn_nats_map, syn_nats);
MAP(rst_seen_map, rst_seen);
MAP(heard_map, heard);
MAP(closed_map, closed);
MAP(handshakes_map, handshakes);
MAP(ct_ends_map, ct_ends);
MAP(state_changes_map, state_changes);
MAP(calls_map, calls);
MAP(nf_slots_map, nf_slots);
MAP(nf_words_map, nf_words);
MAP(nft_calls_map, nft_calls);

#endif
