// SPDX-License-Identifier: GPL-2.0-or-later OR BSD-2-Clause
/* All programs, in one unit of translation, since they share inlined functions, maps and configuration. */
#include "answer.bpf.c"
#include "conntrack.bpf.c"
#include "drop.bpf.c"
#include "handshake.bpf.c"
#include "netfilter.bpf.c"
#include "packet.bpf.c"
#include "reject.bpf.c"
#include "rst.bpf.c"
#include "task.bpf.c"
#include "tcp.bpf.c"

char _license[] SEC("license") = "Dual BSD/GPL";
