/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * /tmp/perf-PID.map, in which just-in-time compilers name what they make (tools/perf/Documentation/jit-interface.txt): a line
 * "START SIZE name" for each function, in hexadecimal.
 */
#ifndef TCPWHY_PERF_MAP_H
#define TCPWHY_PERF_MAP_H

#include "base/base.h"

/*
 * What was made at addr, the last time if places were used again: true, its name in ret and the offset from its start. Lines
 * that make no sense are left out.
 */
bool perf_map_find(const char *text, uint64_t addr, char *ret, size_t size, uint64_t *ret_offset);

#endif
