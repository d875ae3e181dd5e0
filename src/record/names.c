/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Names of the field's own terms: one list each, from the kernel's headers that are named with it.
 */
#include "record/fields.h"
#include "record/question.h"
#include "record/record.h"

#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include <netinet/in.h>

const char name_unknown[] = "unknown";

/* What X(number, name) lists, as a function from the number to the name. */
#define NAME_CASE(number, name) \
	case number:            \
		return name;
#define NAME_FUNCTION(function, LIST)         \
	const char *function(unsigned number) \
	{                                     \
		switch (number) {             \
			LIST(NAME_CASE)       \
		default:                      \
			return name_unknown;  \
		}                             \
	}

/* include/net/tcp_states.h */
#define TCP_STATES(X)         \
	X(1, "ESTABLISHED")   \
	X(2, "SYN_SENT")      \
	X(3, "SYN_RECV")      \
	X(4, "FIN_WAIT1")     \
	X(5, "FIN_WAIT2")     \
	X(6, "TIME_WAIT")     \
	X(7, "CLOSE")         \
	X(8, "CLOSE_WAIT")    \
	X(9, "LAST_ACK")      \
	X(10, "LISTEN")       \
	X(11, "CLOSING")      \
	X(12, "NEW_SYN_RECV") \
	X(13, "BOUND_INACTIVE")

NAME_FUNCTION(tcp_state_name, TCP_STATES)

/* include/uapi/linux/netfilter/nf_conntrack_tcp.h, enum tcp_conntrack */
#define CT_TCP_STATES(X)    \
	X(0, "NONE")        \
	X(1, "SYN_SENT")    \
	X(2, "SYN_RECV")    \
	X(3, "ESTABLISHED") \
	X(4, "FIN_WAIT")    \
	X(5, "CLOSE_WAIT")  \
	X(6, "LAST_ACK")    \
	X(7, "TIME_WAIT")   \
	X(8, "CLOSE")       \
	X(9, "SYN_SENT2")

NAME_FUNCTION(ct_tcp_state_name, CT_TCP_STATES)

/* include/uapi/linux/netfilter/nf_conntrack_common.h, enum ip_conntrack_info */
#define CTINFOS(X)                       \
	X(0, "ESTABLISHED")              \
	X(1, "RELATED")                  \
	X(2, "NEW")                      \
	X(3, "ESTABLISHED_REPLY")        \
	X(4, "RELATED_REPLY")            \
	X(CTINFO_UNTRACKED, "UNTRACKED") \
	X(CTINFO_NONE, "none")

NAME_FUNCTION(ctinfo_name, CTINFOS)

#define TASK_ENDINGS(X)          \
	X(TASK_RUNS, "runs")     \
	X(TASK_EXITS, "exits")   \
	X(TASK_KILLED, "killed") \
	X(TASK_OOM_KILLED, "oom-killed")

NAME_FUNCTION(task_ending_name, TASK_ENDINGS)

#define HANDSHAKE_STEPS(X)                             \
	X(STEP_SYN, "syn")                             \
	X(STEP_ACCEPT_QUEUE_FULL, "accept-queue-full") \
	X(STEP_SYN_QUEUE_FULL, "syn-queue-full")       \
	X(STEP_SYN_BACKLOG_FULL, "syn-backlog-full")   \
	X(STEP_COOKIE_SENT, "cookie-sent")             \
	X(STEP_COOKIE_CHECKED, "cookie-checked")       \
	X(STEP_ACK_MATCHED, "ack-matched")

NAME_FUNCTION(handshake_step_name, HANDSHAKE_STEPS)

#define TW_ANSWERS(X)         \
	X(TW_NOTHING, "none") \
	X(TW_RST, "reset")    \
	X(TW_ACK, "ack")      \
	X(TW_SYN, "let-in")   \
	X(TW_ACK_OOW, "ack-out-of-window")

NAME_FUNCTION(tw_answer_name, TW_ANSWERS)

#define CAPTURED_WHAT(X)                     \
	X(CAPTURED_REFUSED, "refused")       \
	X(CAPTURED_RESET, "reset")           \
	X(CAPTURED_ALONE, "reset-alone")     \
	X(CAPTURED_UNANSWERED, "unanswered") \
	X(CAPTURED_ICMP, "icmp-error")       \
	X(CAPTURED_COLLISION, "collision")

NAME_FUNCTION(captured_what_name, CAPTURED_WHAT)

/* include/uapi/linux/netfilter.h, enum nf_inet_hooks */
#define HOOKS(X)             \
	X(0, "PRE_ROUTING")  \
	X(1, "LOCAL_IN")     \
	X(2, "FORWARD")      \
	X(3, "LOCAL_OUT")    \
	X(4, "POST_ROUTING") \
	X(5, "INGRESS")

NAME_FUNCTION(hook_name, HOOKS)

/* include/uapi/linux/netfilter.h, NFPROTO_* */
#define NF_FAMILIES(X) \
	X(1, "inet")   \
	X(2, "ip")     \
	X(3, "arp")    \
	X(5, "netdev") \
	X(7, "bridge") \
	X(10, "ip6")

NAME_FUNCTION(nf_family_name, NF_FAMILIES)

#define NF_POLICIES(X) \
	X(0, "drop")   \
	X(1, "accept")

NAME_FUNCTION(nf_policy_name, NF_POLICIES)

/* enum nf_inet_hooks; include/uapi/linux/netfilter_bridge.h, NF_BR_* */
#define NF_INET_HOOKS(X)    \
	X(0, "prerouting")  \
	X(1, "input")       \
	X(2, "forward")     \
	X(3, "output")      \
	X(4, "postrouting") \
	X(5, "ingress")

static NAME_FUNCTION(inet_hook_name, NF_INET_HOOKS)

/* include/uapi/linux/netfilter_arp.h */
#define NF_ARP_HOOKS(X) \
	X(0, "input")   \
	X(1, "output")  \
	X(2, "forward")

	static NAME_FUNCTION(arp_hook_name, NF_ARP_HOOKS)

/* include/uapi/linux/netfilter.h, enum nf_dev_hooks */
#define NF_DEV_HOOKS(X) \
	X(0, "ingress") \
	X(1, "egress")

		static NAME_FUNCTION(dev_hook_name, NF_DEV_HOOKS)

			const char *nf_hook_name(unsigned family, unsigned hook)
{
	return family == 3   ? arp_hook_name(hook)
	       : family == 5 ? dev_hook_name(hook)
			     : inet_hook_name(hook);
}

#define HOOK_MAKERS(X)               \
	X(HOOK_KERNEL, "kernel")     \
	X(HOOK_NFTABLES, "nftables") \
	X(HOOK_IPTABLES, "iptables") \
	X(HOOK_BPF, "bpf")           \
	X(HOOK_FOREIGN, "foreign-module")

NAME_FUNCTION(hook_maker_name, HOOK_MAKERS)

#define RULE_MAKERS(X)                       \
	X(RULE_NFTABLES, "nftables")         \
	X(RULE_IPTABLES_NFT, "iptables-nft") \
	X(RULE_IPTABLES_LEGACY, "iptables-legacy")

NAME_FUNCTION(rule_maker_name, RULE_MAKERS)

#define BPF_PLACES(X)                              \
	X(BPF_AT_XDP, "xdp")                       \
	X(BPF_AT_TC_INGRESS, "tc-ingress")         \
	X(BPF_AT_TC_EGRESS, "tc-egress")           \
	X(BPF_AT_CGROUP_INGRESS, "cgroup-ingress") \
	X(BPF_AT_CGROUP_EGRESS, "cgroup-egress")   \
	X(BPF_AT_CGROUP_CONNECT, "cgroup-connect") \
	X(BPF_AT_CGROUP_BIND, "cgroup-bind")       \
	X(BPF_AT_SOCKET, "socket-filter")

NAME_FUNCTION(bpf_place_name, BPF_PLACES)

/* include/uapi/linux/if_bridge.h, BR_STATE_* */
#define BRIDGE_STATES(X)   \
	X(0, "disabled")   \
	X(1, "listening")  \
	X(2, "learning")   \
	X(3, "forwarding") \
	X(4, "blocking")

NAME_FUNCTION(bridge_state_name, BRIDGE_STATES)

/* include/uapi/linux/if.h, IF_OPER_* */
#define OPERSTATES(X)            \
	X(0, "unknown")          \
	X(1, "not-present")      \
	X(2, "down")             \
	X(3, "lower-layer-down") \
	X(4, "testing")          \
	X(5, "dormant")          \
	X(6, "up")

NAME_FUNCTION(operstate_name, OPERSTATES)

#define USER_PLACES(X)                  \
	X(USER_IN_FILE, "file")         \
	X(USER_FILE_UNREAD, "unread")   \
	X(USER_IN_PERF_MAP, "perf-map") \
	X(USER_IN_MEMORY, "memory")

NAME_FUNCTION(user_at_name, USER_PLACES)

#define USER_ENDS(X)                           \
	X(USER_GOES_ON, "no")                  \
	X(USER_OUTERMOST, "outermost")         \
	X(USER_NO_POINTER, "no-frame-pointer") \
	X(USER_NO_CODE, "no-code")             \
	X(USER_FULL, "full")

NAME_FUNCTION(user_end_name, USER_ENDS)

const char *const rule_flag_names[] = {"asked", "policy", "counted", "moved", NULL};
const char *const nf_has_names[] = {"hook",    "chain",	  "rule",   "handle",
				    "invalid", "covered", "traced", NULL};

const char *const packet_has_names[] = {"l3", "l4", "ct", "vlan", "fragment", NULL};

/* ICMP type 3 is IPv4's destination unreachable, ICMPv6 type 1 IPv6's. */
const char *reject_name(unsigned reject)
{
	return reject ? icmp_name(reject >> 8 == 1 ? 6 : 4, reject >> 8, reject & 0xff)
		      : "tcp-reset";
}

const char *signal_name(unsigned signal)
{
	static _Thread_local char name[16];
	const char *abbreviation = sigabbrev_np((int)signal);

	if (!abbreviation)
		return name_unknown;
	snprintf(name, sizeof(name), "SIG%s", abbreviation);
	return name;
}

/* include/uapi/linux/in.h and in6.h */
#define PROTOS(X)                   \
	X(IPPROTO_ICMP, "icmp")     \
	X(IPPROTO_IGMP, "igmp")     \
	X(IPPROTO_IPIP, "ipip")     \
	X(IPPROTO_TCP, "tcp")       \
	X(IPPROTO_UDP, "udp")       \
	X(IPPROTO_DCCP, "dccp")     \
	X(IPPROTO_IPV6, "ipv6")     \
	X(IPPROTO_GRE, "gre")       \
	X(IPPROTO_ESP, "esp")       \
	X(IPPROTO_AH, "ah")         \
	X(IPPROTO_ICMPV6, "icmpv6") \
	X(IPPROTO_SCTP, "sctp")     \
	X(IPPROTO_UDPLITE, "udplite")

NAME_FUNCTION(proto_name, PROTOS)

/* include/linux/socket.h */
#define DOMAINS(X)   \
	X(2, "inet") \
	X(10, "inet6")

NAME_FUNCTION(domain_name, DOMAINS)

/* include/uapi/linux/rtnetlink.h; the words of ip-route(8) */
#define ROUTE_TYPES(X)                    \
	X(RTN_UNSPEC, "none")             \
	X(RTN_UNICAST, "unicast")         \
	X(RTN_LOCAL, "local")             \
	X(RTN_BROADCAST, "broadcast")     \
	X(RTN_ANYCAST, "anycast")         \
	X(RTN_MULTICAST, "multicast")     \
	X(RTN_BLACKHOLE, "blackhole")     \
	X(RTN_UNREACHABLE, "unreachable") \
	X(RTN_PROHIBIT, "prohibit")       \
	X(RTN_THROW, "throw")             \
	X(RTN_NAT, "nat")                 \
	X(RTN_XRESOLVE, "xresolve")

NAME_FUNCTION(route_type_name, ROUTE_TYPES)

/* include/uapi/linux/neighbour.h: bits, of which an entry has one */
#define NEIGH_STATES(X)                 \
	X(NUD_NONE, "none")             \
	X(NUD_INCOMPLETE, "INCOMPLETE") \
	X(NUD_REACHABLE, "REACHABLE")   \
	X(NUD_STALE, "STALE")           \
	X(NUD_DELAY, "DELAY")           \
	X(NUD_PROBE, "PROBE")           \
	X(NUD_FAILED, "FAILED")         \
	X(NUD_NOARP, "NOARP")           \
	X(NUD_PERMANENT, "PERMANENT")

NAME_FUNCTION(neigh_state_name, NEIGH_STATES)

#define SOCK_MATCHES(X)                                         \
	X(SOCK_MATCH_EXACT, "exact")                            \
	X(SOCK_MATCH_PORTS, "same_ports")                       \
	X(SOCK_MATCH_LISTEN, "listens")                         \
	X(SOCK_MATCH_LISTEN_ADDR, "listens_on_other_address")   \
	X(SOCK_MATCH_LISTEN_FAMILY, "listens_for_other_family") \
	X(SOCK_MATCH_LISTEN_NEAR, "listens_on_near_port")       \
	X(SOCK_MATCH_LISTEN_NETNS, "listens_in_other_netns")    \
	X(SOCK_MATCH_OWNER, "owner")

NAME_FUNCTION(sock_match_name, SOCK_MATCHES)

#define QUESTION_CASE(id, name) NAME_CASE(Q_##id, name)
#define QUESTION_NAMES(X) QUESTIONS(QUESTION_CASE)

NAME_FUNCTION(question_name, QUESTION_NAMES)

/* include/uapi/asm-generic/errno-base.h and errno.h: those that the network can give */
/* clang-format off */
#define ERRNOS(X)                                                                                   \
	X(EPERM) X(ENOENT) X(ESRCH) X(EINTR) X(EIO) X(ENXIO) X(E2BIG) X(EBADF) X(EAGAIN) X(ENOMEM)  \
	X(EACCES) X(EFAULT) X(EBUSY) X(EEXIST) X(ENODEV) X(ENOTDIR) X(EINVAL) X(ENFILE) X(EMFILE)   \
	X(ENOSPC) X(EPIPE) X(ERANGE) X(ENOSYS) X(ENODATA) X(ETIME) X(EPROTO) X(EBADMSG)             \
	X(EOVERFLOW) X(EILSEQ) X(ENOTSOCK) X(EDESTADDRREQ) X(EMSGSIZE) X(EPROTOTYPE) X(ENOPROTOOPT) \
	X(EPROTONOSUPPORT) X(ESOCKTNOSUPPORT) X(EOPNOTSUPP) X(EPFNOSUPPORT) X(EAFNOSUPPORT)         \
	X(EADDRINUSE) X(EADDRNOTAVAIL) X(ENETDOWN) X(ENETUNREACH) X(ENETRESET) X(ECONNABORTED)      \
	X(ECONNRESET) X(ENOBUFS) X(EISCONN) X(ENOTCONN) X(ESHUTDOWN) X(ETOOMANYREFS) X(ETIMEDOUT)   \
	X(ECONNREFUSED) X(EHOSTDOWN) X(EHOSTUNREACH) X(EALREADY) X(EINPROGRESS) X(ESTALE)           \
	X(ECANCELED) X(ENOKEY) X(EKEYREJECTED)
/* clang-format on */

const char *errno_name(int err)
{
	/* Records keep the kernel's negative errno of a lookup, and positive ones of a socket. */
	switch (err < 0 ? 0u - (unsigned)err : (unsigned)err) {
#define ERRNO_CASE(id) NAME_CASE(id, #id)
		ERRNOS(ERRNO_CASE)
#undef ERRNO_CASE
	default:
		return name_unknown;
	}
}

/* RFC 9293 section 3.1, bit 0 first */
const char *const tcp_flag_names[] = {"FIN", "SYN", "RST", "PSH", "ACK", "URG", "ECE", "CWR", NULL};

/* include/uapi/linux/netfilter/nf_conntrack_common.h, enum ip_conntrack_status */
const char *const ct_status_names[] = {
	"EXPECTED",	 "SEEN_REPLY", "ASSURED",      "CONFIRMED",    "SRC_NAT",
	"DST_NAT",	 "SEQ_ADJUST", "SRC_NAT_DONE", "DST_NAT_DONE", "DYING",
	"FIXED_TIMEOUT", "TEMPLATE",   "NAT_CLASH",    "HELPER",       "OFFLOAD",
	"HW_OFFLOAD",	 NULL,
};
const char *const captured_did_names[] = {"SYN", "SYN-ACK", "FIN", NULL};
const char *const sock_flag_names[] = {"present",  "dead",	"linger0", "timewait", "request",
				       "v4mapped", "keepalive", "filter",  NULL};
/* include/net/sock.h: RCV_SHUTDOWN, SEND_SHUTDOWN */
const char *const shutdown_names[] = {"receive", "send", NULL};

void flags_text(uint64_t flags, const char *const *names, struct strbuf *out)
{
	const char *comma = "";
	unsigned bit = 0;

	if (!flags)
		strbuf_add(out, "none");
	for (; names[bit]; bit++) {
		if (!(flags >> bit & 1))
			continue;
		strbuf_addf(out, "%s%s", comma, names[bit]);
		comma = ",";
	}
	if (bit < 64 && flags >> bit)
		strbuf_addf(out, "%s0x%llx", comma, (unsigned long long)(flags >> bit << bit));
}

void tcp_flags_text(uint8_t flags, struct strbuf *out)
{
	flags_text(flags, tcp_flag_names, out);
}

/* include/uapi/linux/icmp.h; RFC 792, 1122, 1812 */
static const char *icmp4_name(unsigned type, unsigned code)
{
	static const char *const unreachable[] = {
		"net-unreachable",
		"host-unreachable",
		"protocol-unreachable",
		"port-unreachable",
		"fragmentation-needed",
		"source-route-failed",
		"net-unknown",
		"host-unknown",
		"host-isolated",
		"net-prohibited",
		"host-prohibited",
		"net-unreachable-for-tos",
		"host-unreachable-for-tos",
		"admin-prohibited",
		"host-precedence-violation",
		"precedence-cutoff",
	};

	switch (type) {
	case 0:
		return "echo-reply";
	case 3:
		return code < ARRAY_SIZE(unreachable) ? unreachable[code] : "unreachable";
	case 5:
		return "redirect";
	case 8:
		return "echo-request";
	case 11:
		return code == 1 ? "reassembly-timeout" : "ttl-exceeded";
	case 12:
		return "parameter-problem";
	default:
		return name_unknown;
	}
}

/* include/uapi/linux/icmpv6.h; RFC 4443 */
static const char *icmp6_name(unsigned type, unsigned code)
{
	static const char *const unreachable[] = {
		"no-route",	    "admin-prohibited", "beyond-scope", "address-unreachable",
		"port-unreachable", "policy-failed",	"reject-route",
	};

	switch (type) {
	case 1:
		return code < ARRAY_SIZE(unreachable) ? unreachable[code] : "unreachable";
	case 2:
		return "packet-too-big";
	case 3:
		return code == 1 ? "reassembly-timeout" : "hop-limit-exceeded";
	case 4:
		return "parameter-problem";
	case 128:
		return "echo-request";
	case 129:
		return "echo-reply";
	case 135:
		return "neighbour-solicitation";
	case 136:
		return "neighbour-advertisement";
	default:
		return name_unknown;
	}
}

const char *icmp_name(unsigned family, unsigned type, unsigned code)
{
	return family == 6 ? icmp6_name(type, code) : icmp4_name(type, code);
}
