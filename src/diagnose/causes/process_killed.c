/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "diagnose/judge.h"
#include "record/record.h"

/*
 * The kernel closes the sockets of a process that a signal ends (kernel/signal.c get_signal,
 * kernel/exit.c do_exit). What was unread then makes a reset at once (net/ipv4/tcp.c __tcp_close),
 * and so does what arrives later.
 */
struct end {
	enum task_ending ending;
	unsigned signal;
	unsigned pid;
	const char *comm;
};

/* The reset that came with the end itself, for the reason that a close would have had. */
static bool at_once(const struct judge *j, struct end *end)
{
	const struct rec_event *e = j->ev;

	if (e->hdr.kind != REC_RST_SENT || !e->active ||
	    !(fact_stack(j, "do_exit") || e->task.ending != TASK_RUNS))
		return false;
	if (!fact_reason_is(e, "TCP_ABORT_ON_CLOSE") && !fact_stack(j, "inet_csk_listen_stop") &&
	    !(fact_stack(j, "__tcp_close") && e->sock.unread))
		return false;
	*end = (struct end){fact_ending(j, e), e->task.signal, e->task.pid, e->task.comm};
	return true;
}

static bool afterwards(const struct judge *j, struct end *end)
{
	const struct rec_memory *m = &j->ev->mem;

	if (!fact_answers_closed(j))
		return false;
	*end = (struct end){m->closed_ending, m->closed_signal, m->closed_pid, m->closed_comm};
	return true;
}

static bool is_crash(const struct end *end)
{
	return strncmp(say_ending(end->ending, end->signal), "crashed", 7) == 0;
}

static void tell(struct judge *j, const struct end *end, bool now)
{
	const struct rec_event *e = j->ev;
	const char *how = say_ending(end->ending, end->signal);

	verdict_explain(j->v, "The process pid %u %s %s. The kernel closed its sockets:", end->pid,
			end->comm, how);
	if (now && fact_stack(j, "inet_csk_listen_stop"))
		verdict_explain(j->v, "this connection waited in the queue of a listening one, not "
				      "yet accepted, and was reset.");
	else if (now)
		verdict_explain(j->v,
				"%u bytes received on this connection were still unread, so its "
				"peer %s got a reset, not a normal end.",
				e->sock.unread, say_dst(&e->sock.tuple));
	else
		verdict_explain(j->v,
				"what %s sent after that found nobody, and was answered with a "
				"reset.",
				e->hdr.kind == REC_RST_OUT ? say_dst(&e->pkt.tuple)
							   : say_src(&e->pkt.tuple));
	if (now)
		verdict_evidence(j->v, "the reset was sent while the process ended: %s",
				 say_stack(j, e));
	else
		verdict_evidence(j->v, "%s: %s", say_packet(&e->pkt), say_stack(j, e));
	if (!now)
		verdict_evidence(j->v, "its socket was closed %s before, as the process ended%s",
				 say_time(e->hdr.mono_ns - e->mem.closed_ns),
				 e->mem.closed_unread ? ", with data unread" : "");
	if (end->signal)
		verdict_evidence(j->v, "the process ended by signal %u, %s", end->signal,
				 signal_name(end->signal));
	else
		verdict_evidence(j->v, "the stack shows a signal that ends a process (get_signal, "
				       "do_exit); which one, this kernel did not tell");
	if (*fact_reason(e))
		verdict_evidence(j->v, "the kernel's reason for the reset: %s", fact_reason(e));
	verdict_hit(j->v, "pid %u %s (%s) %s", end->pid, end->comm, say_netns(j, e->hdr.netns),
		    how);
}

static void fixes(struct judge *j, const struct end *end)
{
	if (end->ending == TASK_OOM_KILLED)
		verdict_fix(j->v,
			    "lists only; then give it more memory (MemoryMax=, the container's "
			    "limit), or let it use less",
			    "dmesg | grep -i -A8 'killed process %u'; journalctl -k -g oom",
			    end->pid);
	else if (is_crash(end))
		verdict_fix(j->v, "lists only: where it crashed; the cure is in the program",
			    "coredumpctl info %u; dmesg | grep '\\[%u\\]'", end->pid, end->pid);
	if (end->ending == TASK_OOM_KILLED || is_crash(end))
		return;
	verdict_fix(j->v, "lists only: who sent it (a supervisor, a time-out, an operator)",
		    "journalctl _PID=%u; journalctl -n 50; dmesg | tail", end->pid);
	verdict_fix(j->v, "a stop takes longer",
		    "where it is stopped on purpose: let it finish its connections on SIGTERM, and "
		    "give it the time (TimeoutStopSec=, terminationGracePeriodSeconds)");
}

static bool judge(struct judge *j)
{
	struct end end;
	bool now = at_once(j, &end);

	if (!now && !afterwards(j, &end))
		return false;
	if (end.ending != TASK_KILLED && end.ending != TASK_OOM_KILLED)
		return false;
	j->v->certainty = CERTAINTY_CERTAIN;
	tell(j, &end, now);
	hit_all(j);
	fixes(j, &end);
	return true;
}

const struct cause cause_process_killed = {
	.id = "process-killed",
	.rank = RANK_ROOT,
	.kinds = KIND(RST_SENT) | KIND(DROP) | KIND(RST_OUT),
	.judge = judge,
};
