/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "cli/start.h"
#include "cli/caps.h"
#include "record/reason.h"

#include <linux/capability.h>
#include <signal.h>
#include <sys/signalfd.h>

/*
 * Detail records a second: of one place on one CPU, and of one flow there. Beyond that events are
 * counted only.
 */
#define BURST_KEY 64
#define BURST_FLOW 16

int start_fail(const char *sentence)
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

int start_config(const struct watch_options *o, struct config *c)
{
	int err;

	*c = (struct config){.burst_key = BURST_KEY,
			     .burst_flow = BURST_FLOW,
			     .all = o->all,
			     .connects = o->connect_latency,
			     .callers = o->stacks,
			     .snaplen = (uint32_t)o->record.snaplen,
			     .stacks = (uint8_t)o->counted.kinds,
			     .stacks_by = (uint8_t)o->counted.by};
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

int start_live(struct session *s, const struct command_run *command, const struct config *config)
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
		start_fail(why.s ? why.s : strerror(-err));
		return err;
	}
	if (pid)
		err = live_watch_pid(s->live, pid);
	return err;
}

/*
 * "tcpwhy: armed: tracepoint tier, 10 probes": whoever starts failures after this line will see
 * them.
 */
void start_say_armed(const struct session *s)
{
	size_t n, attached = 0;
	const struct live_probe *probes = live_probes(s->live, &n);

	for (size_t i = 0; i < n; i++)
		attached += probes[i].attached;
	if (!s->o->quiet)
		fprintf(stderr, "tcpwhy: armed: %s tier, %zu probe%s\n",
			live_tier_name(live_tier(s->live)), attached, attached == 1 ? "" : "s");
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
void start_drop_privileges(void)
{
	static const int keep[] = {CAP_SYS_ADMIN,  CAP_NET_ADMIN,	CAP_NET_RAW,
				   CAP_SYS_PTRACE, CAP_DAC_READ_SEARCH, CAP_SYSLOG};
	int err = caps_keep(keep, ARRAY_SIZE(keep));

	if (err)
		fprintf(stderr, "tcpwhy: keeping more privileges than needed: %s\n",
			strerror(-err));
}

int start_signals(void)
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

/* ---- waiting --------------------------------------------------------------------------------- */

int start_timeout_ms(uint64_t now, uint64_t until)
{
	if (until == UINT64_MAX)
		return -1;
	return until <= now ? 0 : (int)((until - now + NSEC_PER_MSEC - 1) / NSEC_PER_MSEC);
}

/*
 * A command that runs decides itself what a signal means: it is passed on (the terminal has done
 * that for Ctrl-C), and its end awaited. A second signal ends the watch all the same.
 */
bool start_handle_signals(int fd, struct command_run *command)
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
