/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Connections that filters mean, but that began before the watch did: they are admitted by name. */
#ifndef TCPWHY_CLI_EXISTING_H
#define TCPWHY_CLI_EXISTING_H

#include "cli/session.h"

/*
 * Once the probes are attached and before anybody is told so. Translated connections of --host,
 * --src, --dst; sockets of --pid and its children, and of processes called --comm.
 */
void existing_admit(struct session *s);

#endif
