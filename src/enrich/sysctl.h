/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef TCPWHY_ENRICH_SYSCTL_H
#define TCPWHY_ENRICH_SYSCTL_H

#include "base/base.h"

/*
 * The file of a sysctl: "net.ipv4.conf.eth0.100.rp_filter" is
 * /proc/sys/net/ipv4/conf/eth0.100/rp_filter, as interface names may contain dots. 0, or -EINVAL
 * for what can't be a sysctl's name.
 */
int sysctl_path(const char *name, char *ret, size_t size);

#endif
