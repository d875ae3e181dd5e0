/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * tcpwhy watch: attaches, then one loop over the kernel's records, the lookups' answers, signals
 * and time.
 */
#include "cli/cli.h"
#include "cli/command.h"
#include "cli/existing.h"
#include "cli/inflow.h"
#include "cli/recorder.h"
#include "cli/session.h"
#include "cli/sources.h"
#include "cli/start.h"
#include "record/record.h"

#include <fcntl.h>
#include <poll.h>

/* After a command has ended, its last packets may still be on their way. */
#define AFTER_COMMAND_NS (200 * NSEC_PER_MSEC)
/* At the end answers are waited for, but not for ever. */
#define FINISH_NS (5 * NSEC_PER_SEC)
/* What the start waits for the counters of all namespaces, which takes milliseconds. */
#define SETTLE_NS (1 * NSEC_PER_SEC)

/* ---- start ----------------------------------------------------------------------------------- */

/* Only when nothing else can fail, so that no empty file is left. */
static int start_recorder(struct session *s)
{
	_cleanup_strbuf_ struct strbuf why = {0};
	int err = recorder_open(&s->o->record, &s->recorder, &why);

	if (err)
		start_fail(why.s ? why.s : strerror(-err));
	return err;
}

/* Without debug information frames stay function and offset; a file that was given has to fit. */
static int find_lines(const struct watch_options *o, struct lines **ret)
{
	struct lines_options lo = {.vmlinux = o->vmlinux};
	_cleanup_strbuf_ struct strbuf why = {0};
	int err = lines_open(&lo, ret, &why);

	if (!err || !o->vmlinux)
		return 0;
	fprintf(stderr, "tcpwhy: --vmlinux: %s\n", why.s ? why.s : strerror(-err));
	return err;
}

/* ---- the loop -------------------------------------------------------------------------------- */

static void loop(struct inflow *in, struct command_run *command, int signals)
{
	struct session *s = in->s;
	uint64_t end = s->o->duration ? now_mono() + s->o->duration : UINT64_MAX;
	struct pollfd fds[] = {
		{.fd = live_fd(s->live), .events = POLLIN},
		{.fd = signals, .events = POLLIN},
		{.fd = s->enrich ? enrich_fd(s->enrich) : -1, .events = POLLIN},
		{.fd = s->trace ? nft_trace_fd(s->trace) : -1, .events = POLLIN},
		{.fd = s->sources ? sources_fd(s->sources) : -1, .events = POLLIN},
	};
	bool was_running = command->pid != 0;

	while (!session_enough(s)) {
		uint64_t now = now_mono(), next = inflow_next_ns(in);

		if (now >= end)
			return;
		next = next < end ? next : end;
		if (poll(fds, ARRAY_SIZE(fds), start_timeout_ms(now, next)) < 0 && errno != EINTR)
			return;
		if (fds[1].revents & POLLIN && start_handle_signals(signals, command))
			return;
		if (was_running && command->ended) {
			was_running = false;
			end = now_mono() + AFTER_COMMAND_NS;
		}
		inflow_take(in);
	}
}

/* What has begun to fail gets its verdict, with the answers that are still under way. */
static void finish(struct inflow *in)
{
	struct session *s = in->s;
	uint64_t until = now_mono() + FINISH_NS;

	inflow_take(in);
	inflow_take(in); /* what waited the first time is from before the end, too */
	while (now_mono() < session_sources_until(s)) {
		struct pollfd fd = {.fd = sources_fd(s->sources), .events = POLLIN};

		poll(&fd, 1, start_timeout_ms(now_mono(), session_sources_until(s)));
		session_take_sources(s);
	}
	session_ask_names(s);
	while (s->enrich &&
	       (track_waits(s->track) || (s->o->connect_latency && enrich_pending(s->enrich))) &&
	       now_mono() < until && !session_enough(s)) {
		struct pollfd fd = {.fd = enrich_fd(s->enrich), .events = POLLIN};

		poll(&fd, 1, start_timeout_ms(now_mono(), until));
		inflow_take(in);
	}
	in->ends = true;
	inflow_take(in);
	track_flush(s->track);
	session_step(s, UINT64_MAX - 1);
}

static int watch(struct session *s, struct command_run *command, int signals)
{
	struct inflow in = {.s = s};
	struct config config;

	session_load_symbols(s);
	if (find_lines(s->o, &s->lines) < 0 || start_config(s->o, &config) < 0 ||
	    start_live(s, command, &config) < 0)
		return EXIT_FAILURE;
	if (s->o->record.path && start_recorder(s) < 0)
		return EXIT_FAILURE;
	(void)enrich_prepare(); /* else it is done later, by who may not be allowed to any more */
	start_drop_privileges();
	if (s->lines && sources_open(s->lines, &s->sources) < 0)
		fprintf(stderr, "tcpwhy: no source lines: no thread can be started\n");
	/* Without lookups there are still verdicts, less certain ones. */
	if (enrich_open(&s->enrich) < 0)
		fprintf(stderr, "tcpwhy: no lookups: %s\n", strerror(errno));
	if (s->o->nft_trace && session_trace_open(s, &config) < 0)
		return EXIT_FAILURE;
	existing_admit(s);
	(void)session_cover_hooks(s); /* verdicts say where a function has no probe */
	if (s->enrich)
		enrich_settle(s->enrich, SETTLE_NS);
	start_say_armed(s);
	command_go(command);
	if (!s->ksyms)
		fprintf(stderr, "tcpwhy: kernel addresses are hidden (kernel.kptr_restrict): no "
				"function names, and "
				"causes that rest on the stack are not recognised\n");
	loop(&in, command, signals);
	finish(&in);
	inflow_free(&in);
	command_wait(command);
	session_trace_end(s);
	session_print_summary(s, command->pid != 0, command->status);
	if (s->broken_output || (s->recorder && recorder_failed(s->recorder)))
		return EXIT_FAILURE;
	return command->pid ? command->status : EXIT_SUCCESS;
}

int cmd_watch(const struct watch_options *o)
{
	struct command_run command = {.go = -1};
	struct session s = {0};
	_cleanup_close_ int signals = start_signals();
	int err, status;

	if (signals < 0)
		return start_fail("no signals can be handled");
	if (o->ready_fd && fcntl((int)o->ready_fd, F_GETFD) < 0)
		return start_fail("--ready-fd: that file descriptor isn't open");
	err = session_open(&s, o);
	if (!err && o->command)
		err = command_fork(o->command, &command);
	status = err ? start_fail(strerror(-err)) : watch(&s, &command, signals);
	if (command.go >= 0)
		close(command.go);
	session_close(&s);
	return status;
}
