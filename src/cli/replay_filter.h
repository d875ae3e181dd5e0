/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef TCPWHY_CLI_REPLAY_FILTER_H
#define TCPWHY_CLI_REPLAY_FILTER_H

#include "abi/record.h"
#include "cli/options.h"

/* Do the filters choose this event? */
bool replay_wanted(const struct watch_options *o, const struct rec_event *e);

#endif
