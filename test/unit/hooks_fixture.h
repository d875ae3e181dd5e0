/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A memory of the test's own, with a layout that no kernel has, and what lives in it: hooks. */
#ifndef HOOKS_FIXTURE_H
#define HOOKS_FIXTURE_H

#include "enrich/hooks_walk.h"

#define BASE 0xffff888000000000ull
#define SIZE 65536u
#define FUNCTION(n) (0xffffffff81000000ull + 16 * (n))
#define NET (BASE + 0x100)
#define HOOKS_SEEN 64

static struct {
	uint8_t bytes[SIZE];
	uint64_t used; /* next free address */
	size_t reads;
	uint64_t watched; /* each read of it calls: */
	void (*touch)(void);
} mem;

static struct {
	struct rec_hook v[HOOKS_SEEN];
	size_t n;
} seen;

static struct hooks_memory memory;

/* ---- the memory ------------------------------------------------------------------------------ */

static int mem_read(void *arg, uint64_t addr, void *buf, size_t len)
{
	(void)arg;
	mem.reads++;
	if (addr < BASE || addr - BASE > SIZE || len > SIZE - (addr - BASE))
		return -EFAULT;
	memcpy(buf, mem.bytes + (addr - BASE), len);
	if (addr == mem.watched && mem.touch)
		mem.touch();
	return 0;
}

static void put(uint64_t addr, uint64_t value, size_t size)
{
	memcpy(mem.bytes + (addr - BASE), &value, size < sizeof(value) ? size : sizeof(value));
}

static void put_member(uint64_t at, enum hooks_member id, uint64_t value)
{
	put(at + memory.layout.at[id].at, value, memory.layout.at[id].size);
}

static uint64_t room(size_t size)
{
	uint64_t at = mem.used;

	mem.used += (size + 7) & ~7ull;
	assert_true(mem.used - BASE <= SIZE);
	return at;
}

static uint64_t put_string(const char *s)
{
	uint64_t at = room(strlen(s) + 1);

	memcpy(mem.bytes + (at - BASE), s, strlen(s) + 1);
	return at;
}

static void member(enum hooks_member id, uint32_t at, uint32_t size, uint32_t count)
{
	memory.layout.at[id] =
		(struct kmem_member){.found = true, .at = at, .size = size, .count = count};
}

static void layout_make(void)
{
	member(HM_NET_IPV4, 16, 40, 5);
	member(HM_NET_IPV6, 56, 40, 5);
	member(HM_NET_ARP, 96, 24, 3);
	member(HM_NET_BRIDGE, 120, 40, 5);
	member(HM_NET_DEVICES, 160, 16, 0);
	member(HM_DEV_LIST, 24, 16, 0);
	member(HM_DEV_NAME, 0, 16, 16);
	member(HM_DEV_IFINDEX, 48, 4, 0);
	member(HM_DEV_INGRESS, 56, 8, 0);
	member(HM_DEV_EGRESS, 64, 8, 0);
	member(HM_ENTRIES_COUNT, 0, 2, 0);
	member(HM_ENTRIES_HOOKS, 8, 0, 0);
	member(HM_OPS_HOOK, 16, 8, 0);
	member(HM_OPS_PRIV, 32, 8, 0);
	member(HM_OPS_PF, 40, 1, 0);
	member(HM_OPS_TYPE, 41, 1, 0);
	memory.layout.at[HM_OPS_TYPE].bits = 8;
	member(HM_OPS_NUMBER, 44, 4, 0);
	member(HM_OPS_PRIORITY, 48, 4, 0);
	member(HM_TYPE_NFT, 1, 0, 0);
	member(HM_TYPE_BPF, 2, 0, 0);
	member(HM_PROG_AUX, 8, 8, 0);
	member(HM_AUX_ID, 4, 4, 0);
	member(HM_AUX_NAME, 8, 16, 16);
	member(HM_BASE_TYPE, 64, 8, 0);
	member(HM_BASE_POLICY, 72, 1, 0);
	member(HM_BASE_CHAIN, 80, 64, 0);
	member(HM_CHAIN_TABLE, 8, 8, 0);
	member(HM_CHAIN_NAME, 16, 8, 0);
	member(HM_CHAIN_TYPE_NAME, 0, 8, 0);
	member(HM_TABLE_FAMILY, 8, 2, 0);
	memory.layout.at[HM_TABLE_FAMILY].bits = 6;
	member(HM_TABLE_NAME, 16, 8, 0);
	member(HM_XT_VALID, 16, 4, 0);
	member(HM_XT_AF, 20, 1, 0);
	member(HM_XT_NAME, 24, 32, 32);
	member(HM_NAT_ENTRIES, 0, 8, 0);
}

static int setup(void **state)
{
	(void)state;
	memset(&mem, 0, sizeof(mem));
	memset(&seen, 0, sizeof(seen));
	memory = (struct hooks_memory){.read = mem_read};
	layout_make();
	mem.used = BASE + 0x1000;
	put_member(NET, HM_NET_DEVICES, NET + memory.layout.at[HM_NET_DEVICES].at);
	return 0;
}

/* ---- what lives in it ------------------------------------------------------------------------ */

static uint64_t ops_make(uint64_t function, uint64_t priv, uint8_t pf, uint8_t type, int priority)
{
	uint64_t at = room(56);

	put_member(at, HM_OPS_HOOK, function);
	put_member(at, HM_OPS_PRIV, priv);
	put_member(at, HM_OPS_PF, pf);
	put_member(at, HM_OPS_TYPE, type);
	put_member(at, HM_OPS_PRIORITY, (uint32_t)priority);
	return at;
}

static uint64_t entries_make(const uint64_t *ops, uint16_t n)
{
	uint64_t at = room(8 + 24ull * n);

	put_member(at, HM_ENTRIES_COUNT, n);
	for (uint16_t i = 0; i < n; i++) {
		uint64_t function = 0, priv = 0;

		memcpy(&function, mem.bytes + (ops[i] - BASE) + 16, 8);
		memcpy(&priv, mem.bytes + (ops[i] - BASE) + 32, 8);
		put(at + 8 + 16ull * i, function, 8);
		put(at + 16 + 16ull * i, priv, 8);
		put(at + 8 + 16ull * n + 8ull * i, ops[i], 8);
	}
	return at;
}

static uint64_t slot(enum hooks_member family, unsigned hook)
{
	return NET + memory.layout.at[family].at + 8ull * hook;
}

static void register_at(enum hooks_member family, unsigned hook, const uint64_t *ops, uint16_t n)
{
	put(slot(family, hook), entries_make(ops, n), 8);
}

static uint64_t chain_make(const char *table, const char *name, const char *type, uint8_t family,
			   uint8_t policy)
{
	uint64_t base = room(144), t = room(24), ct = room(8);

	put_member(ct, HM_CHAIN_TYPE_NAME, put_string(type));
	put(t + 8, family | 0x5540, 2); /* and the flags behind it */
	put_member(t, HM_TABLE_NAME, put_string(table));
	put_member(base, HM_BASE_TYPE, ct);
	put_member(base, HM_BASE_POLICY, policy);
	put_member(base + 80, HM_CHAIN_TABLE, t);
	put_member(base + 80, HM_CHAIN_NAME, put_string(name));
	return base + 80;
}

static uint64_t xtable_make(const char *name, uint8_t af, uint32_t hooks)
{
	uint64_t at = room(56);

	put_member(at, HM_XT_VALID, hooks);
	put_member(at, HM_XT_AF, af);
	memcpy(mem.bytes + (at - BASE) + 24, name, strlen(name) + 1);
	return at;
}

static uint64_t device_make(uint64_t before, const char *name, uint32_t ifindex)
{
	uint64_t at = room(72), head = NET + memory.layout.at[HM_NET_DEVICES].at;

	memcpy(mem.bytes + (at - BASE), name, strlen(name) + 1);
	put_member(at, HM_DEV_IFINDEX, ifindex);
	put(at + 24, head, 8);
	put(before ? before + 24 : head, at + 24, 8);
	return at;
}

#endif
