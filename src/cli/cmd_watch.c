/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * tcpwhy watch: attaches, then one loop over the kernel's records, the lookups' answers, signals
 * and time.
 */
#include "cli/caps.h"
#include "cli/cli.h"
#include "cli/command.h"
#include "cli/existing.h"
#include "cli/inflow.h"
#include "cli/recorder.h"
#include "cli/session.h"
#include "record/reason.h"
#include "record/record.h"

#include <fcntl.h>
#include <linux/capability.h>
#include <poll.h>
#include <signal.h>
#include <sys/signalfd.h>

/*
 * Detail records a second: of one place on one CPU, and of one flow there. Beyond that events are
 * counted only.
 */
#define BURST_KEY 64
#define BURST_FLOW 16
/* After a command has ended, its last packets may still be on their way. */
#define AFTER_COMMAND_NS (200 * NSEC_PER_MSEC)
/* At the end answers are waited for, but not for ever. */
#define FINISH_NS (5 * NSEC_PER_SEC)
/* What the start waits for the counters of all namespaces, which takes milliseconds. */
#define SETTLE_NS (1 * NSEC_PER_SEC)

static int fail(const char *sentence)
{
	fprintf(stderr, "tcpwhy: %s\n", sentence);
	return EXIT_FAILURE;
}

/* ---- configuration --------------------------------------------------------------------------- */

static void config_hosts(const struct prefix_list *list, enum config_side side, struct config *c)
{
	for (size_t i = 0; i < list->n && c->nr_hosts < CONFIG_HOSTS; i++) {
		struct config_host *h = &c->hosts[c->nr_hosts++];

		memcpy(h->addr, list->v[i].addr, sizeof(h->addr));
		for (unsigned bit = 0; bit < list->v[i].len; bit++)
			h->mask[bit / 8] |= (uint8_t)(0x80 >> bit % 8);
		h->side = side;
	}
}

static void config_ports(const struct port_list *list, enum config_side side, struct config *c)
{
	for (size_t i = 0; i < list->n && c->nr_ports < CONFIG_PORTS; i++)
		c->ports[c->nr_ports++] = (struct config_port){.port = list->v[i], .side = side};
}

static int config_fill(const struct watch_options *o, struct config *c)
{
	int err;

	*c = (struct config){.burst_key = BURST_KEY,
			     .burst_flow = BURST_FLOW,
			     .all = o->all,
			     .connects = o->connect_latency};
	config_hosts(&o->host, SIDE_EITHER, c);
	config_hosts(&o->src, SIDE_SRC, c);
	config_hosts(&o->dst, SIDE_DST, c);
	config_ports(&o->port, SIDE_EITHER, c);
	config_ports(&o->sport, SIDE_SRC, c);
	config_ports(&o->dport, SIDE_DST, c);
	c->proto = (uint8_t)o->proto;
	if (o->iface)
		str_copy(c->ifname, sizeof(c->ifname), o->iface);
	if (o->comm)
		str_copy(c->comm, sizeof(c->comm), o->comm);
	if (o->netns) {
		err = enrich_netns_inum(o->netns, &c->netns);
		if (err) {
			fprintf(stderr,
				"tcpwhy: --netns %s: %s; give a name of \"ip netns\", pid:N, a "
				"path or an inode number\n",
				o->netns,
				err == -ENOENT ? "there is no such network namespace"
					       : strerror(-err));
			return err;
		}
	}
	c->flow_filter = c->nr_hosts || c->nr_ports;
	c->task_filter = o->pid || o->comm || o->command;
	c->filtered = c->flow_filter || c->task_filter || c->netns || c->proto || c->ifname[0];
	return 0;
}

/* ---- start ----------------------------------------------------------------------------------- */

static int start_live(struct session *s, const struct command_run *command,
		      const struct config *config)
{
	struct live_options lo = {
		.btf = s->o->btf,
		.tiers = (uint32_t)s->o->tiers,
		.ksyms = s->ksyms,
		.config = *config,
	};
	_cleanup_strbuf_ struct strbuf why = {0};
	uint32_t pid = command->pid ? (uint32_t)command->pid : (uint32_t)s->o->pid;
	int err;

	lo.follow_forks = pid != 0;
	lo.is_noise = s->o->all ? NULL : drop_reason_is_noise;
	err = live_open(&lo, &s->live, &why);
	if (err) {
		fail(why.s ? why.s : strerror(-err));
		return err;
	}
	if (pid)
		err = live_watch_pid(s->live, pid);
	return err;
}

/* Only when nothing else can fail, so that no empty file is left. */
static int start_recorder(struct session *s)
{
	_cleanup_strbuf_ struct strbuf why = {0};
	int err = recorder_open(&s->o->record, &s->recorder, &why);

	if (err)
		fail(why.s ? why.s : strerror(-err));
	return err;
}

/*
 * "tcpwhy: armed: tracepoint tier, 10 probes": whoever starts failures after this line will see
 * them.
 */
static void say_armed(const struct session *s)
{
	size_t n, attached = 0;
	const struct live_probe *probes = live_probes(s->live, &n);

	for (size_t i = 0; i < n; i++)
		attached += probes[i].attached;
	if (!s->o->quiet)
		fprintf(stderr, "tcpwhy: armed: %s tier, %zu probes\n",
			live_tier_name(live_tier(s->live)), attached);
	if (s->o->ready_fd) {
		if (write((int)s->o->ready_fd, "\n", 1) != 1)
			fprintf(stderr, "tcpwhy: --ready-fd %d: %s\n", (int)s->o->ready_fd,
				strerror(errno));
		close((int)s->o->ready_fd);
	}
}

/*
 * What lookups still need: setns(), bpf(), other processes' files, conntrack and rules (iptables-legacy
 * opens a raw socket), and the addresses in /proc/kallsyms.
 */
static void drop_privileges(void)
{
	static const int keep[] = {CAP_SYS_ADMIN,  CAP_NET_ADMIN,	CAP_NET_RAW,
				   CAP_SYS_PTRACE, CAP_DAC_READ_SEARCH, CAP_SYSLOG};
	int err = caps_keep(keep, ARRAY_SIZE(keep));

	if (err)
		fprintf(stderr, "tcpwhy: keeping more privileges than needed: %s\n",
			strerror(-err));
}

static int signals_open(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGCHLD);
	signal(SIGPIPE, SIG_IGN);
	if (sigprocmask(SIG_BLOCK, &set, NULL) < 0)
		return -errno;
	return signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

/* ---- the loop -------------------------------------------------------------------------------- */

static int timeout_ms(uint64_t now, uint64_t until)
{
	if (until == UINT64_MAX)
		return -1;
	return until <= now ? 0 : (int)((until - now + NSEC_PER_MSEC - 1) / NSEC_PER_MSEC);
}

/*
 * A command that runs decides itself what a signal means: it is passed on (the terminal has done
 * that for Ctrl-C), and its end awaited. A second signal ends the watch all the same.
 */
static bool handle_signals(int fd, struct command_run *command)
{
	struct signalfd_siginfo info;
	bool stop = false;

	while (read(fd, &info, sizeof(info)) == sizeof(info)) {
		bool typed = info.ssi_signo == SIGINT && info.ssi_code == SI_KERNEL;

		if (info.ssi_signo == SIGCHLD) {
			command_reap(command);
			continue;
		}
		if (!typed)
			command_signal(command, (int)info.ssi_signo);
		stop = stop || !command->pid || command->ended || command->signals++;
	}
	return stop;
}

static void loop(struct inflow *in, struct command_run *command, int signals)
{
	struct session *s = in->s;
	uint64_t end = s->o->duration ? now_mono() + s->o->duration : UINT64_MAX;
	struct pollfd fds[] = {
		{.fd = live_fd(s->live), .events = POLLIN},
		{.fd = signals, .events = POLLIN},
		{.fd = s->enrich ? enrich_fd(s->enrich) : -1, .events = POLLIN},
		{.fd = s->trace ? nft_trace_fd(s->trace) : -1, .events = POLLIN},
	};
	bool was_running = command->pid != 0;

	while (!session_enough(s)) {
		uint64_t now = now_mono(), next = inflow_next_ns(in);

		if (now >= end)
			return;
		if (poll(fds, ARRAY_SIZE(fds), timeout_ms(now, next < end ? next : end)) < 0 &&
		    errno != EINTR)
			return;
		if (fds[1].revents & POLLIN && handle_signals(signals, command))
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
	session_ask_names(s);
	while (s->enrich &&
	       (track_waits(s->track) || (s->o->connect_latency && enrich_pending(s->enrich))) &&
	       now_mono() < until && !session_enough(s)) {
		struct pollfd fd = {.fd = enrich_fd(s->enrich), .events = POLLIN};

		poll(&fd, 1, timeout_ms(now_mono(), until));
		inflow_take(in);
	}
	inflow_take(in);
	track_flush(s->track);
	session_step(s, UINT64_MAX - 1);
}

static int watch(struct session *s, struct command_run *command, int signals)
{
	struct inflow in = {.s = s};
	struct config config;

	session_load_symbols(s);
	if (config_fill(s->o, &config) < 0 || start_live(s, command, &config) < 0)
		return EXIT_FAILURE;
	if (s->o->record.path && start_recorder(s) < 0)
		return EXIT_FAILURE;
	(void)enrich_prepare(); /* else it is done later, by who may not be allowed to any more */
	drop_privileges();
	/* Without lookups there are still verdicts, less certain ones. */
	if (enrich_open(&s->enrich) < 0)
		fprintf(stderr, "tcpwhy: no lookups: %s\n", strerror(errno));
	if (s->o->nft_trace && session_trace_open(s, &config) < 0)
		return EXIT_FAILURE;
	existing_admit(s);
	(void)session_cover_hooks(s); /* verdicts say where a function has no probe */
	if (s->enrich)
		enrich_settle(s->enrich, SETTLE_NS);
	say_armed(s);
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
	_cleanup_close_ int signals = signals_open();
	int err, status;

	if (signals < 0)
		return fail("no signals can be handled");
	if (o->ready_fd && fcntl((int)o->ready_fd, F_GETFD) < 0)
		return fail("--ready-fd: that file descriptor isn't open");
	err = session_open(&s, o);
	if (!err && o->command)
		err = command_fork(o->command, &command);
	status = err ? fail(strerror(-err)) : watch(&s, &command, signals);
	if (command.go >= 0)
		close(command.go);
	session_close(&s);
	return status;
}
