/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Every cause, in order of precedence within a rank. A line CAUSE(name) here and causes/name.c are
 * all it takes.
 */
CAUSE(conntrack_invalid)
CAUSE(nat_entry_missing)
CAUSE(netfilter_drop)
CAUSE(rp_filter)
CAUSE(checksum)
CAUSE(listen_overflow)
CAUSE(receive_buffer_full)
CAUSE(close_with_unread_data)
CAUSE(linger_abort)
CAUSE(no_listener)
CAUSE(closed_socket)
CAUSE(connect_unreachable)
CAUSE(connect_refused)
CAUSE(peer_reset)
CAUSE(connect_timeout)
CAUSE(no_local_cause)
CAUSE(unknown)
