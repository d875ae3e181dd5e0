// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A kernel module like those of security products: a hook function of netfilter, in every network namespace, that
 * drops SYNs and pings of one address. Neither nftables nor iptables knows of it.
 */
#include <linux/inet.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/module.h>
#include <linux/netfilter.h>
#include <linux/tcp.h>
#include <net/ip.h>
#include <net/ipv6.h>
#include <net/net_namespace.h>

static char *source = "";
module_param(source, charp, 0444);
MODULE_PARM_DESC(source, "address whose SYNs and pings are dropped");

static int priority;
module_param(priority, int, 0444);
MODULE_PARM_DESC(priority, "where among the hook functions it is called; the filter table is at 0");

static bool steal;
module_param(steal, bool, 0444);
MODULE_PARM_DESC(steal, "frees them itself instead of letting netfilter drop them");

static u8 address[16];
static u8 family;

static bool is_unwanted(const struct sk_buff *skb, u8 proto, int offset)
{
	struct tcphdr buf, *tcp;

	if (proto == IPPROTO_ICMP || proto == IPPROTO_ICMPV6)
		return family == NFPROTO_IPV4;
	if (proto != IPPROTO_TCP)
		return false;
	tcp = skb_header_pointer(skb, offset, sizeof(buf), &buf);
	return tcp && tcp->syn && !tcp->ack;
}

static unsigned int guard_input(void *priv, struct sk_buff *skb, const struct nf_hook_state *state)
{
	bool bad;

	if (family == NFPROTO_IPV4)
		bad = !memcmp(&ip_hdr(skb)->saddr, address, 4) &&
		      is_unwanted(skb, ip_hdr(skb)->protocol, ip_hdrlen(skb));
	else
		bad = !memcmp(&ipv6_hdr(skb)->saddr, address, 16) &&
		      is_unwanted(skb, ipv6_hdr(skb)->nexthdr, sizeof(struct ipv6hdr));
	if (!bad)
		return NF_ACCEPT;
	if (!steal)
		return NF_DROP;
	kfree_skb(skb);
	return NF_STOLEN;
}

static struct nf_hook_ops guard_ops = {
	.hook = guard_input,
	.hooknum = NF_INET_LOCAL_IN,
};

static int __net_init guard_net_init(struct net *net)
{
	return nf_register_net_hook(net, &guard_ops);
}

static void __net_exit guard_net_exit(struct net *net)
{
	nf_unregister_net_hook(net, &guard_ops);
}

static struct pernet_operations guard_net_ops = {
	.init = guard_net_init,
	.exit = guard_net_exit,
};

static int __init guard_init(void)
{
	if (in4_pton(source, -1, address, -1, NULL))
		family = NFPROTO_IPV4;
	else if (in6_pton(source, -1, address, -1, NULL))
		family = NFPROTO_IPV6;
	else
		return -EINVAL;
	guard_ops.pf = family;
	guard_ops.priority = priority;
	return register_pernet_subsys(&guard_net_ops);
}

static void __exit guard_exit(void)
{
	unregister_pernet_subsys(&guard_net_ops);
}

module_init(guard_init);
module_exit(guard_exit);
MODULE_DESCRIPTION("Drops SYNs and pings of one address, for tcpwhy's lab");
MODULE_LICENSE("GPL");
