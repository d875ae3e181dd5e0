/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Which container does a cgroup belong to? A pure function of the text of /proc/PID/cgroup. */
#ifndef TCPWHY_ENRICH_CONTAINER_H
#define TCPWHY_ENRICH_CONTAINER_H

#include "base/base.h"

/*
 * Fills ret with "docker 0123456789ab", "kubernetes pod UID container 0123456789ab", "lxc NAME"…
 * and returns true; false, and ret empty, when the process is in no container. 80 bytes are enough
 * for every form but long LXC names, which are cut.
 */
bool container_parse(const char *cgroup, char *ret, size_t size);

#endif
