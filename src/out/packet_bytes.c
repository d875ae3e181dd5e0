/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A packet's headers from its record. */
#include "out/pcapng.h"

#include <arpa/inet.h>
#include <netinet/icmp6.h>
#include <netinet/ip.h>
#include <netinet/ip6.h>
#include <netinet/ip_icmp.h>
#include <netinet/tcp.h>
#include <netinet/udp.h>

#define V4_AT 12 /* of an IPv4 address in its mapped form */

static void add(struct strbuf *out, const void *bytes, size_t n)
{
	strbuf_addn(out, bytes, n);
}

static uint16_t checksum(const void *header, size_t size)
{
	const uint8_t *bytes = header;
	uint32_t sum = 0;

	for (size_t i = 0; i < size; i += 2)
		sum += (uint32_t)(bytes[i] << 8 | bytes[i + 1]);
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return htons((uint16_t)~sum);
}

static void add_ip4(const struct rec_packet *p, struct strbuf *out)
{
	struct iphdr ip = {
		.version = 4,
		.ihl = sizeof(ip) / 4,
		.tot_len = htons((uint16_t)p->ip_len),
		.id = htons(p->ip_id),
		.frag_off = htons(p->has & PKT_FRAG ? 1 : 0), /* where in the packet isn't known */
		.ttl = p->ttl,
		.protocol = p->tuple.proto,
	};

	memcpy(&ip.saddr, p->tuple.src + V4_AT, sizeof(ip.saddr));
	memcpy(&ip.daddr, p->tuple.dst + V4_AT, sizeof(ip.daddr));
	ip.check = checksum(&ip, sizeof(ip));
	add(out, &ip, sizeof(ip));
}

static void add_ip6(const struct rec_packet *p, struct strbuf *out)
{
	uint32_t payload =
		p->ip_len > sizeof(struct ip6_hdr) ? p->ip_len - sizeof(struct ip6_hdr) : 0;
	struct ip6_hdr ip = {
		.ip6_flow = htonl(6u << 28),
		.ip6_plen = htons((uint16_t)payload),
		.ip6_nxt = p->tuple.proto,
		.ip6_hlim = p->ttl,
	};

	memcpy(&ip.ip6_src, p->tuple.src, sizeof(ip.ip6_src));
	memcpy(&ip.ip6_dst, p->tuple.dst, sizeof(ip.ip6_dst));
	add(out, &ip, sizeof(ip));
}

/* Its header is as long as what is neither IP's nor payload. */
static void add_tcp(const struct rec_packet *p, size_t ip_size, struct strbuf *out)
{
	static const uint8_t no_operations[40] = {[0 ... 39] = TCPOPT_NOP};
	size_t room = p->ip_len > ip_size + p->payload ? p->ip_len - ip_size - p->payload : 0;
	size_t options = room > sizeof(struct tcphdr) ? (room - sizeof(struct tcphdr)) & ~3ul : 0;
	struct tcphdr tcp = {
		.th_sport = htons(p->tuple.sport),
		.th_dport = htons(p->tuple.dport),
		.th_seq = htonl(p->seq),
		.th_ack = htonl(p->ack),
		.th_win = htons(p->window),
		.th_flags = p->tcp_flags,
	};

	if (options > sizeof(no_operations))
		options = sizeof(no_operations);
	tcp.th_off = (uint8_t)((sizeof(tcp) + options) / 4) & 0xf;
	add(out, &tcp, sizeof(tcp));
	add(out, no_operations, options);
}

static void add_udp(const struct rec_packet *p, struct strbuf *out)
{
	struct udphdr udp = {
		.uh_sport = htons(p->tuple.sport),
		.uh_dport = htons(p->tuple.dport),
		.uh_ulen = htons((uint16_t)(sizeof(udp) + p->payload)),
	};

	add(out, &udp, sizeof(udp));
}

static void add_icmp(const struct rec_packet *p, struct strbuf *out)
{
	struct icmphdr icmp = {.type = p->icmp_type, .code = p->icmp_code};

	add(out, &icmp, sizeof(icmp));
}

size_t packet_bytes(const struct rec_packet *p, struct strbuf *out)
{
	static const uint8_t nobody[16];
	size_t start = out->len, ip_size;

	/* What an ICMP error quotes is not what was on the wire. */
	if (!(p->has & PKT_L3) || !addr_equal(p->icmp_src, nobody))
		return 0;
	if (p->tuple.family == 4)
		add_ip4(p, out);
	else if (p->tuple.family == 6)
		add_ip6(p, out);
	else
		return 0;
	ip_size = out->len - start;
	if (p->has & PKT_L4 && !(p->has & PKT_FRAG)) {
		if (p->tuple.proto == IPPROTO_TCP)
			add_tcp(p, ip_size, out);
		else if (p->tuple.proto == IPPROTO_UDP)
			add_udp(p, out);
		else if (p->tuple.proto == IPPROTO_ICMP || p->tuple.proto == IPPROTO_ICMPV6)
			add_icmp(p, out);
	}
	return p->ip_len > out->len - start ? p->ip_len : out->len - start;
}
