/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Resets that end a connection from outside of it: each cause told from what an application asks
 * for.
 */
#include "timeline_fixture.h"

#include <signal.h>

#define judged(s, text) assert_string_equal(story_judge(s), text)

static struct rec_tuple from_service(void)
{
	return tcp("10.0.2.2", 80, "10.0.1.2", 5000);
}

/* A reset that the service's own socket sends. */
static struct rec_event *abort_of(struct story *s, uint8_t state)
{
	struct rec_event *e = story_event(s, REC_RST_SENT, from_service());

	e->active = 1;
	story_own_socket(e, state);
	story_task(e, 3, "server");
	return e;
}

/* The same, below close(). */
static struct rec_event *abort_by_close(struct story *s)
{
	struct rec_event *e = abort_of(s, TCP_CLOSE);

	story_stack(s, e, "tcp_send_active_reset", "__tcp_close", "tcp_close");
	return e;
}

/* ---- socket-destroyed ------------------------------------------------------------------------ */

static void socket_destroyed_over_netlink(void **state)
{
	struct story *s = *state;
	struct rec_event *e = abort_of(s, TCP_ESTABLISHED);

	story_task(e, 9, "ss");
	story_reason(e, "TCP_STATE");
	story_owner(story_socket(s, SOCK_MATCH_OWNER, e->sock.tuple, 0), HOST, 3, "server");
	judged(s, "unknown, unknown");
	story_stack(s, e, "tcp_send_active_reset", "tcp_abort", "tcp_diag_destroy");
	judged(s, "socket-destroyed, certain");
	assert_true(story_says(s, "pid 9 ss, by a request over netlink"));
	assert_true(story_says(s, "a socket in ESTABLISHED"));
	assert_true(story_hits(s, "pid 3 server"));
	assert_false(story_hits(s, "pid 9 ss"));
	assert_true(story_offers(s, "find out who starts ss"));
}

static void socket_destroyed_by_a_bpf_program(void **state)
{
	struct story *s = *state;
	struct rec_event *e = abort_of(s, TCP_ESTABLISHED);

	story_stack(s, e, "tcp_send_active_reset", "tcp_abort", "bpf_sock_destroy");
	judged(s, "socket-destroyed, certain");
	assert_true(story_says(s, "a BPF program"));
}

static void socket_destroyed_without_a_reset(void **state)
{
	struct story *s = *state;
	struct rec_event *e = story_event(s, REC_SOCK_ERR, from_service());

	/* In TIME_WAIT or SYN_SENT, say, no reset is due: the error tells alone. */
	story_own_socket(e, TCP_CLOSE);
	e->err = e->sock.err = ECONNABORTED;
	judged(s, "unknown, unknown");
	story_stack(s, e, "sk_error_report", "tcp_abort", "sock_diag_destroy");
	judged(s, "socket-destroyed, certain");
	assert_true(story_says(s, "the socket was left with ECONNABORTED"));
}

/* ---- orphan-limit ---------------------------------------------------------------------------- */

static void orphan_limit_by_the_kernels_reason(void **state)
{
	struct story *s = *state;

	story_reason(abort_by_close(s), "TCP_ABORT_ON_MEMORY");
	judged(s, "orphan-limit, certain");
	story_sysctl(s, "net.ipv4.tcp_max_orphans", 16);
	story_counter(s, "TcpExtTCPMemoryPressures", 2);
	judged(s, "orphan-limit, certain");
	assert_true(story_says(s, "net.ipv4.tcp_max_orphans is 16"));
	assert_true(story_says(s, "TCPMemoryPressures grew by 2"));
	assert_true(story_offers(s, "sysctl -w net.ipv4.tcp_max_orphans="));
}

static void orphan_limit_by_the_stack(void **state)
{
	struct story *s = *state;
	struct rec_event *e = abort_of(s, TCP_FIN_WAIT1);

	judged(s, "unknown, unknown");
	story_stack(s, e, "tcp_send_active_reset", "tcp_out_of_resources", "tcp_write_timeout");
	judged(s, "orphan-limit, certain");
}

static void orphan_limit_by_what_is_left(void **state)
{
	struct story *s = *state;
	struct rec_event *e = abort_by_close(s);

	judged(s, "unknown, unknown");		 /* TCP_LINGER2, or this: nothing tells */
	e->sock.write_seq = e->sock.snd_una + 1; /* the FIN */
	judged(s, "orphan-limit, likely");
	assert_true(story_says(s, "this is what is left"));
	story_reason(e, "NOT_SPECIFIED"); /* as in 6.10 */
	judged(s, "orphan-limit, likely");
	e->sock.unread = 5;
	judged(s, "close-with-unread-data, certain");
	e->sock.unread = 0;
	story_reason(e, "TCP_STATE"); /* the kernel's word goes before */
	judged(s, "unknown, unknown");
}

static void orphan_limit_by_its_counter(void **state)
{
	struct story *s = *state;

	abort_by_close(s);
	story_counter(s, "TcpExtTCPAbortOnMemory", 1);
	judged(s, "orphan-limit, likely");
}

/* ---- linger-abort by TCP_LINGER2 ------------------------------------------------------------- */

static void linger2_by_the_kernels_reason(void **state)
{
	struct story *s = *state;

	story_reason(abort_by_close(s), "TCP_ABORT_ON_LINGER");
	judged(s, "linger-abort, certain");
	assert_true(story_says(s, "pid 3 server closed the socket after it had ended its own "
				  "half"));
	assert_true(story_offers(s, "TCP_LINGER2"));
}

static void linger2_by_its_counter(void **state)
{
	struct story *s = *state;
	struct rec_event *e = abort_by_close(s);

	story_counter(s, "TcpExtTCPAbortOnLinger", 1);
	judged(s, "linger-abort, likely");
	e->sock.write_seq++;
	judged(s, "orphan-limit, likely"); /* its FIN is not acknowledged: not in FIN_WAIT2 */
}

/* ---- application-abort ----------------------------------------------------------------------- */

static void application_abort_is_certain(void **state)
{
	struct story *s = *state;
	struct rec_event *e = abort_of(s, TCP_CLOSE);

	story_reason(e, "TCP_STATE");
	story_stack(s, e, "tcp_send_active_reset", "tcp_disconnect");
	judged(s, "unknown, unknown");
	story_stack(s, e, "__inet_stream_connect", "inet_stream_connect");
	e->sock.unread = 7;
	judged(s, "application-abort, certain");
	assert_true(story_says(s, "pid 3 server called connect() with the address family "
				  "AF_UNSPEC"));
	assert_true(story_says(s, "7 bytes were received and not read"));
	assert_true(story_hits(s, "pid 3 server"));
	assert_true(story_offers(s, "strace -f -e trace=connect -p 3"));
	e->active = 0;
	judged(s, "unknown, unknown");
}

/* ---- process-killed -------------------------------------------------------------------------- */

static void process_killed_with_unread_data(void **state)
{
	static const struct {
		uint8_t ending, signal;
		const char *says, *offers;
	} endings[] = {
		{TASK_KILLED, SIGKILL, "was killed by SIGKILL", "journalctl _PID=3"},
		{TASK_KILLED, SIGTERM, "was killed by SIGTERM", "journalctl _PID=3"},
		{TASK_KILLED, SIGSEGV, "crashed (SIGSEGV)", "coredumpctl info 3"},
		{TASK_KILLED, SIGABRT, "crashed (SIGABRT)", "coredumpctl info 3"},
		{TASK_OOM_KILLED, SIGKILL, "run out of memory", "killed process 3"},
	};
	struct story *s = *state;
	struct rec_event *e = abort_by_close(s);

	e->sock.unread = 10;
	story_stack(s, e, "do_exit", "do_group_exit", "get_signal");
	for (size_t i = 0; i < ARRAY_SIZE(endings); i++) {
		e->task.ending = endings[i].ending;
		e->task.signal = endings[i].signal;
		judged(s, "process-killed, certain");
		assert_true(story_says(s, endings[i].says));
		assert_true(story_says(s, "10 bytes received on this connection were still "
					  "unread"));
		assert_true(story_hits(s, "pid 3 server"));
		assert_true(story_offers(s, endings[i].offers));
	}
}

static void process_killed_as_the_stack_shows(void **state)
{
	struct story *s = *state;
	struct rec_event *e = abort_by_close(s);

	e->sock.unread = 10;
	story_stack(s, e, "do_exit", "do_group_exit");
	judged(s, "close-with-unread-data, certain"); /* it ended by itself */
	assert_true(story_says(s, "The process ended with 10 received bytes"));
	story_stack(s, e, "get_signal");
	judged(s, "process-killed, certain");
	assert_true(story_says(s, "which one, this kernel did not tell"));
	e->sock.unread = 0;
	story_reason(e, "TCP_ABORT_ON_MEMORY"); /* killed, but that is not why */
	judged(s, "orphan-limit, certain");
}

static void process_killed_with_connections_in_its_queue(void **state)
{
	struct story *s = *state;
	struct rec_event *e = abort_of(s, TCP_ESTABLISHED);

	story_stack(s, e, "tcp_send_active_reset", "inet_csk_listen_stop", "__tcp_close", "do_exit",
		    "get_signal");
	judged(s, "process-killed, certain");
	assert_true(story_says(s, "waited in the queue of a listening one"));
}

/* What arrives when the process is gone. */
static struct rec_event *late_packet(struct story *s, uint8_t ending, uint8_t signal)
{
	struct rec_event *e = story_event(s, REC_RST_SENT, tcp("10.0.1.2", 5000, "10.0.2.2", 80));

	e->pkt.tcp_flags = ACK;
	e->pkt.payload = 6;
	e->mem.closed_ns = e->hdr.mono_ns - 12 * NSEC_PER_MSEC;
	e->mem.closed_pid = 3;
	e->mem.closed_ending = ending;
	e->mem.closed_signal = signal;
	assert_true(str_copy(e->mem.closed_comm, sizeof(e->mem.closed_comm), "server"));
	return e;
}

static void process_killed_before_the_packet_came(void **state)
{
	struct story *s = *state;
	struct rec_event *e = late_packet(s, TASK_KILLED, SIGKILL);

	judged(s, "process-killed, certain");
	assert_true(story_says(s, "pid 3 server was killed by SIGKILL"));
	assert_true(story_says(s, "what 10.0.1.2:5000 sent after that found nobody"));
	assert_true(story_says(s, "its socket was closed 12 ms before"));
	story_own_socket(e, TCP_CLOSE); /* the socket is there still, without owner */
	e->sock.flags |= SOCK_DEAD_F;
	e->sock.shutdown = 3;
	judged(s, "process-killed, certain");
	e->mem.closed_ns = e->hdr.mono_ns + 1; /* that was another connection */
	judged(s, "closed-socket, certain");
}

static void process_killed_is_not_just_any_end(void **state)
{
	struct story *s = *state;
	struct rec_event *e = late_packet(s, TASK_EXITS, 0);

	judged(s, "closed-socket, certain");
	assert_true(story_says(s, "pid 3 server ended 12 ms before"));
	e->mem.closed_ending = TASK_RUNS;
	judged(s, "closed-socket, certain");
	assert_true(story_says(s, "pid 3 server closed the socket 12 ms before"));
}

static void process_killed_on_a_kernel_that_tells_of_the_drop_only(void **state)
{
	struct story *s = *state;
	struct rec_event *e = late_packet(s, TASK_KILLED, SIGKILL);

	e->hdr.kind = REC_DROP;
	story_reason(e, "NO_SOCKET");
	e->has_reason = REASON_DERIVED;
	judged(s, "process-killed, certain");
	assert_true(story_says(s, "NO_SOCKET was derived"));
}

static void process_killed_or_lingering(void **state)
{
	struct story *s = *state;
	struct rec_event *e = abort_by_close(s);

	/* Without SO_LINGER the end of the process would have been a normal one. */
	story_stack(s, e, "tcp_disconnect", "do_exit", "get_signal");
	e->sock.flags |= SOCK_LINGER0;
	judged(s, "linger-abort, certain");
	assert_true(story_says(s, "was killed by a signal with SO_LINGER"));
}

/* The socket is unhashed before its reset leaves: what was on its way then meets only the listener. */
static void process_killed_while_packets_come(void **state)
{
	struct story *s = *state;
	struct rec_tuple to_service = tcp("10.0.1.2", 5000, "10.0.2.2", 80);
	struct rec_event *late = story_event(s, REC_RST_SENT, to_service), *e;

	story_own_socket(late, TCP_LISTEN);
	late->pkt.has |= PKT_L4;
	late->pkt.tcp_flags = ACK;
	late->pkt.payload = 424;
	judged(s, "closed-socket, likely");
	e = abort_by_close(s);
	e->sock.unread = 1000;
	e->task.ending = TASK_KILLED;
	e->task.signal = SIGSEGV;
	story_reason(e, "TCP_ABORT_ON_CLOSE");
	judged(s, "process-killed, certain");
	assert_int_equal(s->v.events, 2);
	e->sock.tuple.dport++; /* that was another connection */
	judged(s, "closed-socket, likely");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		story_test(socket_destroyed_over_netlink),
		story_test(socket_destroyed_by_a_bpf_program),
		story_test(socket_destroyed_without_a_reset),
		story_test(orphan_limit_by_the_kernels_reason),
		story_test(orphan_limit_by_the_stack),
		story_test(orphan_limit_by_what_is_left),
		story_test(orphan_limit_by_its_counter),
		story_test(linger2_by_the_kernels_reason),
		story_test(linger2_by_its_counter),
		story_test(application_abort_is_certain),
		story_test(process_killed_with_unread_data),
		story_test(process_killed_as_the_stack_shows),
		story_test(process_killed_with_connections_in_its_queue),
		story_test(process_killed_before_the_packet_came),
		story_test(process_killed_is_not_just_any_end),
		story_test(process_killed_on_a_kernel_that_tells_of_the_drop_only),
		story_test(process_killed_or_lingering),
		story_test(process_killed_while_packets_come),
	};

	return cmocka_run_group_tests_name("causes of aborts", tests, NULL, NULL);
}
