/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef TCPWHY_CLI_REPLAY_FILTER_H
#define TCPWHY_CLI_REPLAY_FILTER_H

#include "cli/session.h"

/* Do the filters choose this event of tl? NULL: not known yet; what lookups found is not looked at then. */
bool replay_wanted(const struct session *s, const struct rec_event *e, const struct timeline *tl);

#endif
