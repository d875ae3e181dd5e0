/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Addresses and tuples: what they are, how they read, which are the same; and the community id of a
 * flow.
 */
#include "record/record.h"
#include "record/sha1.h"

#include <arpa/inet.h>
#include <netinet/in.h>

static const uint8_t v4_prefix[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
static const uint8_t zero[16];

bool addr_is_v4(const uint8_t addr[16])
{
	return memcmp(addr, v4_prefix, sizeof(v4_prefix)) == 0;
}

bool addr_is_any(const uint8_t addr[16])
{
	return addr_is_v4(addr) ? memcmp(addr + 12, zero, 4) == 0 : memcmp(addr, zero, 16) == 0;
}

bool addr_is_loopback(const uint8_t addr[16])
{
	if (addr_is_v4(addr))
		return addr[12] == 127;
	return memcmp(addr, zero, 15) == 0 && addr[15] == 1;
}

bool addr_is_multicast(const uint8_t addr[16])
{
	return addr_is_v4(addr) ? addr[12] >> 4 == 0xe : addr[0] == 0xff;
}

bool addr_equal(const uint8_t a[16], const uint8_t b[16])
{
	return memcmp(a, b, 16) == 0;
}

void addr_text(const uint8_t addr[16], struct strbuf *out)
{
	char text[INET6_ADDRSTRLEN];
	bool v4 = addr_is_v4(addr);

	if (inet_ntop(v4 ? AF_INET : AF_INET6, v4 ? addr + 12 : addr, text, sizeof(text)))
		strbuf_add(out, text);
}

void endpoint_text(const uint8_t addr[16], uint16_t port, struct strbuf *out)
{
	bool brackets = port && !addr_is_v4(addr);

	if (brackets)
		strbuf_addc(out, '[');
	addr_text(addr, out);
	if (brackets)
		strbuf_addc(out, ']');
	if (port)
		strbuf_addf(out, ":%u", port);
}

void tuple_text(const struct rec_tuple *t, struct strbuf *out)
{
	endpoint_text(t->src, t->sport, out);
	strbuf_add(out, " -> ");
	endpoint_text(t->dst, t->dport, out);
}

bool tuple_equal(const struct rec_tuple *a, const struct rec_tuple *b)
{
	return a->proto == b->proto && a->sport == b->sport && a->dport == b->dport &&
	       addr_equal(a->src, b->src) && addr_equal(a->dst, b->dst);
}

struct rec_tuple tuple_reverse(const struct rec_tuple *t)
{
	struct rec_tuple r = *t;

	memcpy(r.src, t->dst, sizeof(r.src));
	memcpy(r.dst, t->src, sizeof(r.dst));
	r.sport = t->dport;
	r.dport = t->sport;
	return r;
}

static bool tuple_is_ordered(const struct rec_tuple *t)
{
	int c = memcmp(t->src, t->dst, sizeof(t->src));

	return c < 0 || (c == 0 && t->sport <= t->dport);
}

struct rec_tuple tuple_canonical(const struct rec_tuple *t)
{
	return tuple_is_ordered(t) ? *t : tuple_reverse(t);
}

bool tuple_is_whole(const struct rec_tuple *t)
{
	if (addr_is_any(t->src) || addr_is_any(t->dst))
		return false;
	if (t->proto == IPPROTO_TCP || t->proto == IPPROTO_UDP)
		return t->sport && t->dport;
	return true;
}

/* ---- community id ---------------------------------------------------------------------------- */

/*
 * ICMP types that come in pairs stand for the two ports; others are one-way, with the code as
 * second port.
 */
static const struct icmp_pair {
	uint8_t proto;
	uint8_t type[2];
} icmp_pairs[] = {
	{IPPROTO_ICMP, {8, 0}},	      /* echo */
	{IPPROTO_ICMP, {9, 10}},      /* router advertisement, solicitation */
	{IPPROTO_ICMP, {13, 14}},     /* timestamp */
	{IPPROTO_ICMP, {15, 16}},     /* information */
	{IPPROTO_ICMP, {17, 18}},     /* address mask */
	{IPPROTO_ICMPV6, {128, 129}}, /* echo */
	{IPPROTO_ICMPV6, {130, 131}}, /* multicast listener query, report */
	{IPPROTO_ICMPV6, {133, 134}}, /* router solicitation, advertisement */
	{IPPROTO_ICMPV6, {135, 136}}, /* neighbour solicitation, advertisement */
	{IPPROTO_ICMPV6, {139, 140}}, /* node information */
	{IPPROTO_ICMPV6, {144, 145}}, /* home agent discovery */
};

/*
 * t, of ICMP, has the type as sport and the code as dport. Returns whether its flow has only one
 * direction.
 */
static bool tuple_icmp_ports(struct rec_tuple *t)
{
	for (size_t i = 0; i < ARRAY_SIZE(icmp_pairs); i++) {
		const struct icmp_pair *pair = &icmp_pairs[i];

		for (int side = 0; pair->proto == t->proto && side < 2; side++) {
			if (t->sport != pair->type[side])
				continue;
			t->dport = pair->type[!side];
			return false;
		}
	}
	return true;
}

/* RFC 4648 section 4. */
static void base64_add(struct strbuf *out, const uint8_t *data, size_t len)
{
	static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz012345678"
				     "9+/";

	for (size_t i = 0; i < len; i += 3) {
		size_t n = len - i < 3 ? len - i : 3;
		uint32_t group = 0;

		for (size_t j = 0; j < 3; j++)
			group = group << 8 | (j < n ? data[i + j] : 0);
		for (size_t j = 0; j < 4; j++)
			strbuf_addc(out, j <= n ? digits[group >> (18 - 6 * j) & 63] : '=');
	}
}

/* Of the others the message is silent about ports. */
static bool proto_has_ports(uint8_t proto)
{
	return proto == IPPROTO_TCP || proto == IPPROTO_UDP || proto == IPPROTO_SCTP ||
	       proto == IPPROTO_ICMP || proto == IPPROTO_ICMPV6;
}

static size_t put(uint8_t *to, const void *from, size_t len)
{
	memcpy(to, from, len);
	return len;
}

void community_id(const struct rec_tuple *t, struct strbuf *out)
{
	bool v4 = addr_is_v4(t->src) && addr_is_v4(t->dst);
	size_t skip = v4 ? 12 : 0, n = 2; /* the seed: 0 */
	uint8_t message[2 + 16 + 16 + 2 + 4] = {0}, digest[SHA1_SIZE];
	struct rec_tuple flow = *t;
	bool one_way = false;
	uint16_t port;

	if (t->proto == IPPROTO_ICMP || t->proto == IPPROTO_ICMPV6)
		one_way = tuple_icmp_ports(&flow);
	if (!one_way)
		flow = tuple_canonical(&flow);
	n += put(message + n, flow.src + skip, 16 - skip);
	n += put(message + n, flow.dst + skip, 16 - skip);
	message[n] = flow.proto;
	n += 2; /* a byte of padding */
	if (proto_has_ports(flow.proto)) {
		port = htons(flow.sport);
		n += put(message + n, &port, sizeof(port));
		port = htons(flow.dport);
		n += put(message + n, &port, sizeof(port));
	}
	sha1(message, n, digest);
	strbuf_add(out, "1:");
	base64_add(out, digest, sizeof(digest));
}
