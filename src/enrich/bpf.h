/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef TCPWHY_ENRICH_BPF_H
#define TCPWHY_ENRICH_BPF_H

#include "base/base.h"

/*
 * The lowest process that has a BPF program or a link of it open, and its name. 0; -ENOENT if there
 * is none (what is pinned, or attached without a link, needs no process), or it can't be seen. From
 * any thread.
 */
int bpf_holder(uint32_t prog_id, uint32_t *ret_pid, char ret_comm[16]);

#endif
