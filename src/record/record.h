/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Decoding, validation and description of records. */
#ifndef TCPWHY_RECORD_H
#define TCPWHY_RECORD_H

#include "abi/record.h"
#include "base/base.h"

/* Flags of the TCP header, RFC 9293 section 3.1. */
#define TCPHDR_FIN 0x01
#define TCPHDR_SYN 0x02
#define TCPHDR_RST 0x04
#define TCPHDR_ACK 0x10

/*
 * Checks that buf holds one whole record of this version: magic, kind, size, counts within their
 * arrays, strings terminated. 0, -EBADMSG (damaged), -EPROTONOSUPPORT (another version) or -E2BIG
 * (shorter than it says).
 */
int record_validate(const void *buf, size_t len);

/*
 * Puts the numbers into conntrack's words on an INVALID packet. Its formats have "%u", "%d", "%x" and
 * the like, at most two: net/netfilter/nf_conntrack_proto_tcp.c.
 */
void nf_words_fill(struct rec_nf *nf);

const char *record_kind_name(unsigned kind);  /* "reset_sent", NULL if unknown */
const char *record_kind_words(unsigned kind); /* "reset sent by this host" */
size_t record_kind_size(unsigned kind);	      /* 0 if unknown */
/* What every record of this kind begins with; namespace and times are 0. */
struct rec_hdr record_hdr(enum rec_kind kind);

/* Names of the field's own terms; never NULL. */
const char *tcp_state_name(unsigned state);    /* "ESTABLISHED" */
const char *ct_tcp_state_name(unsigned state); /* conntrack's own: "SYN_SENT2" */
const char *ctinfo_name(unsigned ctinfo);      /* "ESTABLISHED", "none" */
const char *proto_name(unsigned proto);	       /* "tcp" */
const char *errno_name(int err);	       /* "ECONNREFUSED" */
const char *route_type_name(unsigned type);    /* "unicast" */
const char *neigh_state_name(unsigned state);  /* "FAILED" */
const char *sock_match_name(unsigned match);
const char *task_ending_name(unsigned ending);	/* "killed" */
const char *signal_name(unsigned signal);	/* "SIGKILL" */
const char *handshake_step_name(unsigned step); /* "ack-matched" */
const char *tw_answer_name(unsigned answer);	/* "ack" */
const char *captured_what_name(unsigned what);	/* "refused" */
const char *reject_name(unsigned reject);	/* of a REJECT event's reason: "tcp-reset" */
const char *hook_name(unsigned hook);		/* "LOCAL_IN" */
const char *nf_family_name(unsigned family);	/* NFPROTO_*, as nft writes it: "ip", "inet" */
const char *nf_policy_name(unsigned policy);	/* "drop" */
/* A hook point as nft writes it: "input", "ingress". */
const char *nf_hook_name(unsigned family, unsigned hook);
const char *hook_maker_name(unsigned maker);   /* "nftables" */
const char *rule_maker_name(unsigned maker);   /* "iptables-nft" */
const char *bpf_place_name(unsigned place);    /* "tc-ingress" */
const char *bridge_state_name(unsigned state); /* "blocking" */
const char *operstate_name(unsigned state);    /* "up" */
const char *user_at_name(unsigned at);	       /* "file" */
const char *user_end_name(unsigned end);       /* "no-frame-pointer" */
const char *question_name(unsigned kind);
void tcp_flags_text(uint8_t flags, struct strbuf *out); /* "SYN,ACK" */

/*
 * Addresses: is it IPv4-mapped, loopback, unspecified, multicast? Text is appended: "10.0.0.1",
 * "fd00::1".
 */
bool addr_is_v4(const uint8_t addr[16]);
bool addr_is_any(const uint8_t addr[16]);
bool addr_is_loopback(const uint8_t addr[16]);
bool addr_is_multicast(const uint8_t addr[16]);
bool addr_equal(const uint8_t a[16], const uint8_t b[16]);
void addr_text(const uint8_t addr[16], struct strbuf *out);
/* "10.0.0.1:80", "[fd00::1]:80"; without a port where there is none. */
void endpoint_text(const uint8_t addr[16], uint16_t port, struct strbuf *out);
/* "10.0.0.1:1 -> 10.0.0.2:2" */
void tuple_text(const struct rec_tuple *t, struct strbuf *out);

bool tuple_equal(const struct rec_tuple *a, const struct rec_tuple *b);
/* The other direction of t. */
struct rec_tuple tuple_reverse(const struct rec_tuple *t);
/* One of both directions, the same for both: the lower endpoint as src. */
struct rec_tuple tuple_canonical(const struct rec_tuple *t);
/* Has t both ends: addresses and, for TCP and UDP, ports? */
bool tuple_is_whole(const struct rec_tuple *t);

/*
 * Community ID version 1, seed 0 (https://github.com/corelight/community-id-spec): "1:…" appended.
 */
void community_id(const struct rec_tuple *t, struct strbuf *out);

#endif
