/* SPDX-License-Identifier: GPL-2.0-or-later OR BSD-2-Clause */
/*
 * What user space tells the kernel side before it is loaded: filters, limits, and which drop
 * reasons are noise.
 */
#ifndef TCPWHY_ABI_CONFIG_H
#define TCPWHY_ABI_CONFIG_H

#include "abi/record.h"

#define CONFIG_HOSTS 8
#define CONFIG_PORTS 8
#define CONFIG_REASONS 256

enum config_side { SIDE_EITHER, SIDE_SRC, SIDE_DST };

struct config_host {
	u8 addr[16]; /* IPv4-mapped, host bits zero */
	u8 mask[16];
	u8 side; /* enum config_side */
	u8 pad[7];
};

struct config_port {
	u16 port;
	u8 side;
	u8 pad;
};

struct config {
	/*
	 * Filters. Hosts of one side are alternatives, as are ports; sides and kinds of filter must
	 * all match.
	 */
	struct config_host hosts[CONFIG_HOSTS];
	struct config_port ports[CONFIG_PORTS];
	u32 nr_hosts;
	u32 nr_ports;
	u32 netns;	/* inode number, 0 any */
	u8 proto;	/* 0 any */
	u8 filtered;	/* any filter at all */
	u8 flow_filter; /* hosts or ports: flows are admitted, both sides of a NAT */
	u8 task_filter; /* pids or comm */
	char ifname[16];
	char comm[16];
	/*
	 * Detail records a second and CPU for each (kind, reason, location, netns, protocol), and
	 * for each flow of it.
	 */
	u32 burst_key;
	u32 burst_flow;
	u8 all; /* noise too */
	u8 pad[7];
	u8 noise[CONFIG_REASONS]; /* by skb_drop_reason */
};

#endif
