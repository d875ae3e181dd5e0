/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "source/capture_packet.h"

#include <netinet/in.h>
#include <pcap/dlt.h>

#define ETHERTYPE_IPV4 0x0800
#define ETHERTYPE_IPV6 0x86dd
#define TAGS_MAX 4
#define EXTENSIONS_MAX 16

/* What is left of a packet: `wire` bytes on the wire, of which `len` were captured. */
struct bytes {
	const uint8_t *at;
	size_t len, wire;
};

static uint16_t u16_at(const struct bytes *b, size_t at)
{
	return (uint16_t)(b->at[at] << 8 | b->at[at + 1]);
}

static uint32_t u32_at(const struct bytes *b, size_t at)
{
	return (uint32_t)u16_at(b, at) << 16 | u16_at(b, at + 2);
}

static bool skip(struct bytes *b, size_t n)
{
	if (n > b->len || n > b->wire)
		return false;
	b->at += n;
	b->len -= n;
	b->wire -= n;
	return true;
}

/* ---- links ----------------------------------------------------------------------------------- */

bool capture_link_known(int link)
{
	switch (link) {
	case DLT_EN10MB:
	case DLT_RAW:
	case DLT_IPV4:
	case DLT_IPV6:
	case DLT_LINUX_SLL:
	case DLT_LINUX_SLL2:
	case DLT_NULL:
	case DLT_LOOP:
		return true;
	default:
		return false;
	}
}

/* VLAN tags (802.1Q, 802.1ad and what was before), as many as there are. */
static bool skip_tags(struct bytes *b, uint16_t type, struct capture_packet *p)
{
	for (int i = 0; i < TAGS_MAX && (type == 0x8100 || type == 0x88a8 || type == 0x9100); i++) {
		if (b->len < 4)
			return false;
		p->vlan = u16_at(b, 0) & 0xfff;
		type = u16_at(b, 2);
		skip(b, 4);
	}
	return type == ETHERTYPE_IPV4 || type == ETHERTYPE_IPV6;
}

/* Leaves the IP header, whose own version is believed, as a loopback's address family differs by system. */
static bool skip_link(int link, struct bytes *b, struct capture_packet *p)
{
	uint16_t type;

	switch (link) {
	case DLT_EN10MB:
		if (b->len < 14)
			return false;
		type = u16_at(b, 12);
		return skip(b, 14) && skip_tags(b, type, p);
	case DLT_LINUX_SLL:
		if (b->len < 16)
			return false;
		type = u16_at(b, 14);
		return skip(b, 16) && skip_tags(b, type, p);
	case DLT_LINUX_SLL2:
		if (b->len < 20)
			return false;
		type = u16_at(b, 0);
		return skip(b, 20) && skip_tags(b, type, p);
	case DLT_NULL:
	case DLT_LOOP:
		return skip(b, 4);
	default:
		return true;
	}
}

/* ---- IP -------------------------------------------------------------------------------------- */

static void v4_mapped(uint8_t to[16], const uint8_t *from)
{
	memset(to, 0, 10);
	memset(to + 10, 0xff, 2);
	memcpy(to + 12, from, 4);
}

/* What Ethernet pads a short packet with is none of it; 0: the kernel's offload left the length out. */
static void end_at(struct bytes *b, size_t total)
{
	if (!total || total > b->wire)
		return;
	b->wire = total;
	b->len = b->len < total ? b->len : total;
}

static bool ip4(struct bytes *b, struct capture_packet *p, bool *ret_fragment)
{
	size_t header;

	if (b->len < 20)
		return false;
	header = (size_t)(b->at[0] & 0xf) * 4;
	if (header < 20)
		return false;
	*ret_fragment = u16_at(b, 6) & 0x3fff;
	if (u16_at(b, 6) & 0x1fff)
		return false; /* a later fragment has no ports */
	end_at(b, u16_at(b, 2));
	p->ip_len = (uint32_t)b->wire;
	p->ip_id = u16_at(b, 4);
	p->ttl = b->at[8];
	p->tuple.family = 4;
	p->tuple.proto = b->at[9];
	v4_mapped(p->tuple.src, b->at + 12);
	v4_mapped(p->tuple.dst, b->at + 16);
	return skip(b, header);
}

/* RFC 8200: headers between IPv6's own and the one that is looked for. */
static bool skip_extensions(struct bytes *b, uint8_t next, struct capture_packet *p,
			    bool *ret_fragment)
{
	for (int i = 0; i < EXTENSIONS_MAX; i++) {
		size_t n;

		switch (next) {
		case IPPROTO_HOPOPTS:
		case IPPROTO_ROUTING:
		case IPPROTO_DSTOPTS:
		case IPPROTO_MH:
			if (b->len < 2)
				return false;
			n = ((size_t)b->at[1] + 1) * 8;
			break;
		case IPPROTO_AH:
			if (b->len < 2)
				return false;
			n = ((size_t)b->at[1] + 2) * 4;
			break;
		case IPPROTO_FRAGMENT:
			if (b->len < 8 || u16_at(b, 2) & 0xfff8)
				return false;
			*ret_fragment = u16_at(b, 2) & 1;
			n = 8;
			break;
		default:
			p->tuple.proto = next;
			return true;
		}
		next = b->at[0];
		if (!skip(b, n))
			return false;
	}
	return false;
}

static bool ip6(struct bytes *b, struct capture_packet *p, bool *ret_fragment)
{
	uint8_t next;
	size_t len;

	if (b->len < 40)
		return false;
	len = u16_at(b, 4);
	end_at(b, len ? len + 40 : 0);
	next = b->at[6];
	p->ip_len = (uint32_t)b->wire;
	p->ttl = b->at[7];
	p->tuple.family = 6;
	memcpy(p->tuple.src, b->at + 8, 16);
	memcpy(p->tuple.dst, b->at + 24, 16);
	*ret_fragment = false;
	return skip(b, 40) && skip_extensions(b, next, p, ret_fragment);
}

static bool ip(struct bytes *b, struct capture_packet *p, bool *ret_fragment)
{
	if (!b->len)
		return false;
	if (b->at[0] >> 4 == 4)
		return ip4(b, p, ret_fragment);
	return b->at[0] >> 4 == 6 && ip6(b, p, ret_fragment);
}

/* ---- what is in it --------------------------------------------------------------------------- */

static bool ports(const struct bytes *b, struct capture_packet *p)
{
	if (b->len < 4)
		return false;
	p->tuple.sport = u16_at(b, 0);
	p->tuple.dport = u16_at(b, 2);
	return true;
}

static bool segment(const struct bytes *b, struct capture_packet *p)
{
	size_t header;

	if (b->len < 16 || !ports(b, p))
		return false;
	p->seq = u32_at(b, 4);
	p->ack = u32_at(b, 8);
	header = (size_t)(b->at[12] >> 4) * 4;
	p->flags = b->at[13];
	p->window = u16_at(b, 14);
	if (header < 20 || header > b->wire)
		return false;
	p->payload = (uint32_t)(b->wire - header);
	return true;
}

/* RFC 792, RFC 4443: errors quote the beginning of the packet that they are about. */
static bool is_error(const struct capture_packet *p)
{
	if (p->tuple.proto == IPPROTO_ICMPV6)
		return p->icmp_type >= 1 && p->icmp_type <= 4;
	return p->icmp_type == 3 || p->icmp_type == 11 || p->icmp_type == 12;
}

static bool icmp_error(struct bytes *b, struct capture_packet *p)
{
	bool fragment;

	if (b->len < 8)
		return false;
	p->icmp_type = b->at[0];
	p->icmp_code = b->at[1];
	if (!is_error(p) || !skip(b, 8))
		return false;
	memcpy(p->icmp_src, p->tuple.src, sizeof(p->icmp_src));
	p->icmp = true;
	if (!ip(b, p, &fragment) || !ports(b, p))
		return false;
	if (p->tuple.proto == IPPROTO_TCP && b->len >= 8)
		p->seq = u32_at(b, 4);
	return p->tuple.proto == IPPROTO_TCP || p->tuple.proto == IPPROTO_UDP;
}

bool capture_packet(int link, const uint8_t *data, size_t len, size_t wire,
		    struct capture_packet *ret)
{
	struct bytes b = {data, len, wire < len ? len : wire};
	bool fragment;

	*ret = (struct capture_packet){0};
	if (!skip_link(link, &b, ret) || !ip(&b, ret, &fragment))
		return false;
	if (ret->tuple.proto == IPPROTO_ICMP || ret->tuple.proto == IPPROTO_ICMPV6)
		return !fragment && icmp_error(&b, ret);
	return ret->tuple.proto == IPPROTO_TCP && segment(&b, ret);
}
