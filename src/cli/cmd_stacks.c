/* SPDX-License-Identifier: GPL-2.0-or-later */
/* tcpwhy stacks: the kernel counts, and from time to time the counts are read and told. */
#include "cli/cli.h"
#include "cli/existing.h"
#include "cli/start.h"
#include "cli/tally.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/ioctl.h>

/* After a command has ended, its last packets may still be on their way. */
#define AFTER_COMMAND_NS (200 * NSEC_PER_MSEC)

struct counting {
	struct session *s;
	struct tally *tally;
	uint64_t began_ns;
	uint64_t told_ns; /* when the last table was */
	uint64_t tables;
	bool screen; /* a terminal: each table takes the place of the last */
};

static bool find_symbol(void *arg, uint64_t addr, struct rec_symbol *ret)
{
	return session_find_symbol(arg, addr, true, ret);
}

/* Lines of the window. */
static size_t screen_height(const struct counting *c)
{
	struct winsize size = {0};

	return c->screen && ioctl(fileno(c->s->out.to), TIOCGWINSZ, &size) == 0 ? size.ws_row : 0;
}

static int look(struct counting *c, bool all, size_t top, struct out_stacks *ret)
{
	uint64_t now = now_mono();
	int err;

	*ret = (struct out_stacks){.wall_ns = now_wall(),
				   .interval_ns = now - (all ? c->began_ns : c->told_ns)};
	c->told_ns = now;
	tally_begin(c->tally);
	err = live_stacks(c->s->live, tally_add, c->tally);
	return err ? err : tally_take(c->tally, all, top, ret);
}

static int tell(struct counting *c, bool all)
{
	const struct watch_options *o = c->s->o;
	const struct out_options *out = &c->s->out;
	struct out_stacks stacks;
	int err = look(c, all, o->counted.folded ? 0 : o->counted.top, &stacks);

	if (!err) {
		if (c->screen && !all)
			fputs("\033[H\033[2J", out->to);
		if (o->counted.folded)
			folded_stacks(out, &stacks);
		else if (o->json)
			jsonl_stacks(out, &stacks);
		else
			text_stacks(out, &stacks, all ? 0 : screen_height(c));
	}
	vec_free(&stacks.rows);
	if (ferror(out->to))
		c->s->broken_output = true;
	return err;
}

static bool enough(const struct counting *c)
{
	return c->s->broken_output || (c->s->o->count && c->tables >= c->s->o->count);
}

static int loop(struct counting *c, struct command_run *command, int signals)
{
	const struct watch_options *o = c->s->o;
	uint64_t end = o->duration ? c->began_ns + o->duration : UINT64_MAX;
	bool runs = command->pid != 0;
	int err = 0;

	while (!err && !enough(c)) {
		uint64_t next = c->began_ns + (c->tables + 1) * o->counted.interval;
		uint64_t now = now_mono();
		struct pollfd fd = {.fd = signals, .events = POLLIN};

		if (now >= end)
			break;
		if (now >= next) {
			c->tables++;
			if (!o->counted.folded)
				err = tell(c, false);
			continue;
		}
		if (poll(&fd, 1, start_timeout_ms(now, next < end ? next : end)) < 0 &&
		    errno != EINTR)
			break;
		if (fd.revents & POLLIN && start_handle_signals(signals, command))
			break;
		if (runs && command->ended) {
			runs = false;
			end = now_mono() + AFTER_COMMAND_NS;
		}
	}
	return err;
}

static int count(struct counting *c, struct command_run *command, int signals)
{
	struct session *s = c->s;
	struct config config;
	int err;

	session_load_symbols(s);
	if (start_config(s->o, &config) < 0 || start_live(s, command, &config) < 0)
		return EXIT_FAILURE;
	start_drop_privileges();
	existing_admit(s);
	c->began_ns = c->told_ns = now_mono();
	start_say_armed(s);
	command_go(command);
	if (!s->ksyms)
		fprintf(stderr, "tcpwhy: kernel addresses are hidden (kernel.kptr_restrict): no "
				"function names\n");
	err = loop(c, command, signals);
	command_wait(command);
	if (!err && (!s->o->quiet || s->o->counted.folded || s->o->json))
		err = tell(c, true);
	if (err)
		return start_fail(strerror(-err));
	if (s->broken_output)
		return EXIT_FAILURE;
	return command->pid ? command->status : EXIT_SUCCESS;
}

int cmd_stacks(const struct watch_options *o)
{
	struct command_run command = {.go = -1};
	struct session s = {0};
	struct counting c = {.s = &s};
	_cleanup_close_ int signals = start_signals();
	int err, status;

	if (signals < 0)
		return start_fail("no signals can be handled");
	err = session_open(&s, o);
	if (o->counted.folded)
		s.out.to = stdout; /* it is for a program, as JSON is */
	if (!err)
		err = tally_new((enum stacks_by)o->counted.by, find_symbol, &s, &c.tally);
	if (!err && o->command)
		err = command_fork(o->command, &command);
	c.screen = !err && !o->json && !o->counted.folded && isatty(fileno(s.out.to));
	status = err ? start_fail(strerror(-err)) : count(&c, &command, signals);
	if (command.go >= 0)
		close(command.go);
	tally_free(c.tally);
	session_close(&s);
	return status;
}
