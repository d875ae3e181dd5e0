/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The options of watch and doctor, and what can't go together. */
#include "cli/options.h"
#include "source/live.h"

#include <fcntl.h>
#include <netinet/in.h>

static const struct option_word proto_words[] = {
	{"tcp", IPPROTO_TCP},
	{"udp", IPPROTO_UDP},
	{"icmp", IPPROTO_ICMP},
	{"icmpv6", IPPROTO_ICMPV6},
	{NULL, 0},
};

static const struct option_word color_words[] = {
	{"auto", COLOR_AUTO},
	{"always", COLOR_ALWAYS},
	{"never", COLOR_NEVER},
	{NULL, 0},
};

#define TIER(tier) (1 << (tier))

static const struct option_word tier_words[] = {
	{"tracepoint", TIER(TIER_TRACEPOINT)},
	{"trampoline", TIER(TIER_TRAMPOLINE) | TIER(TIER_TRACEPOINT)},
	{"kprobe", TIER(TIER_KPROBE) | TIER(TIER_TRACEPOINT)},
	{NULL, 0},
};

#define FIELD(f) .offset = offsetof(struct watch_options, f)
#define WHICH .group = "Which connections"
#define WHOSE .group = "Whose"
#define SHOWN .group = "What is shown"
#define STOP .group = "When to stop"
#define OTHER .group = "Other"
#define HOST_ARG .arg = "ADDR[/LEN]"

/* clang-format off */
#define FILTERS \
	{"host", 0, OPT_PREFIX, HOST_ARG, FIELD(host), WHICH, \
	 .help = "either side has this address, before or after NAT (repeatable)"}, \
	{"src", 0, OPT_PREFIX, HOST_ARG, FIELD(src), WHICH, .help = "the sender has it (repeatable)"}, \
	{"dst", 0, OPT_PREFIX, HOST_ARG, FIELD(dst), WHICH, .help = "the receiver has it (repeatable)"}, \
	{"port", 0, OPT_PORT, .arg = "N", FIELD(port), WHICH, .help = "either side's port (repeatable)"}, \
	{"sport", 0, OPT_PORT, .arg = "N", FIELD(sport), WHICH, .help = "the sender's port (repeatable)"}, \
	{"dport", 0, OPT_PORT, .arg = "N", FIELD(dport), WHICH, .help = "the receiver's port (repeatable)"}, \
	{"proto", 0, OPT_WORD, .arg = "NAME", FIELD(proto), WHICH, .words = proto_words, \
	 .help = "tcp, udp, icmp or icmpv6"}, \
	{"iface", 0, OPT_STRING, .arg = "NAME", FIELD(iface), WHICH, .max = 15, \
	 .help = "only at this network interface"}

#define OUTPUT \
	{"all", 0, OPT_FLAG, FIELD(all), SHOWN, .help = "every record, not only failures"}, \
	{"json", 0, OPT_FLAG, FIELD(json), SHOWN, .help = "one JSON object a line (docs/json.md)"}, \
	{"stacks", 0, OPT_FLAG, FIELD(stacks), SHOWN, .help = "the kernel and user stack of each event"}, \
	{"quiet", 'q', OPT_FLAG, FIELD(quiet), SHOWN, .help = "no armed line and, in text, no summary: verdicts only"}, \
	{"color", 0, OPT_WORD, .arg = "WHEN", FIELD(color), SHOWN, .words = color_words, \
	 .help = "auto (on a terminal), always or never"}

#define COUNT \
	{"count", 0, OPT_U64, .arg = "N", FIELD(count), STOP, .min = 1, .max = UINT64_MAX, \
	 .help = "after N verdicts"}

#define HELP {"help", 'h', OPT_FLAG, FIELD(help), OTHER, .help = "print this"}

#define COMM \
	{"comm", 0, OPT_STRING, .arg = "NAME", FIELD(comm), WHOSE, .max = 15, \
	 .help = "processes of this name (at most 15 characters, as in ps -o comm)"}

#define WHOM \
	{"pid", 0, OPT_U64, .arg = "N", FIELD(pid), WHOSE, .min = 1, .max = 4194304, \
	 .help = "this process and its children"}, \
	COMM, \
	{"netns", 0, OPT_STRING, .arg = "SPEC", FIELD(netns), WHOSE, .max = 4095, \
	 .help = "one network namespace: its name, path, inode number, or pid:N"}

#define RUN \
	{"duration", 0, OPT_DURATION, .arg = "TIME", FIELD(duration), STOP, .min = NSEC_PER_MSEC, \
	 .max = 8760ull * 3600 * NSEC_PER_SEC, .help = "after 500ms, 5s, 2m, 1h"}, \
	{"ready-fd", 0, OPT_U64, .arg = "N", FIELD(ready_fd), OTHER, .min = 1, .max = 1048576, \
	 .help = "write a line to this file descriptor once everything is attached"}, \
	{"btf", 0, OPT_STRING, .arg = "FILE", FIELD(btf), OTHER, .max = 4095, \
	 .help = "the kernel's types, for a kernel that carries none"}, \
	{"tier", 0, OPT_WORD, .arg = "NAME", FIELD(tiers), OTHER, .words = tier_words, \
	 .help = "attach by tracepoint, trampoline or kprobe only (default: the best of all)"}

#define LIVE \
	WHOM, \
	OUTPUT, \
	{"connect-latency", 0, OPT_FLAG, FIELD(connect_latency), SHOWN, \
	 .help = "at the end, how long connect() took, by destination"}, \
	COUNT, \
	RUN, \
	{"vmlinux", 0, OPT_STRING, .arg = "FILE", FIELD(vmlinux), OTHER, .max = 4095, \
	 .help = "the running kernel with debug information, for source lines"}, \
	{"nft-trace", 0, OPT_FLAG, FIELD(nft_trace), OTHER, \
	 .help = "nftables itself names the rule: adds a table while it runs, costs time"}

const struct option_def watch_option_defs[] = {
	FILTERS,
	LIVE,
	{"version", 0, OPT_FLAG, FIELD(version), OTHER, .help = "print the version"},
	HELP,
	{NULL},
};

#define RECORDED .group = "What is recorded (packets: only their headers, unless --snaplen is given)"
#define DAY (24ull * 3600 * NSEC_PER_SEC)

const struct option_def record_option_defs[] = {
	{"output", 'o', OPT_STRING, .arg = "FILE", FIELD(record.path), RECORDED, .max = 4000,
	 .help = "the recording, pcapng, readable for its owner only"},
	{"size", 0, OPT_SIZE, .arg = "SIZE", FIELD(record.size), RECORDED, .min = 64 << 10, .max = 1ull << 40,
	 .help = "when FILE has it, it becomes FILE.1 (default 64M)"},
	{"files", 0, OPT_U64, .arg = "N", FIELD(record.files), RECORDED, .min = 1, .max = 10000,
	 .help = "keep so many, the newest (default 2)"},
	{"compress", 0, OPT_FLAG, FIELD(record.compress), RECORDED,
	 .help = "the older ones with zstd: FILE.1.zst"},
	{"before", 0, OPT_DURATION, .arg = "TIME", FIELD(record.before), RECORDED, .min = 0, .max = DAY,
	 .help = "what happened to a failed connection before (default 30s)"},
	{"after", 0, OPT_DURATION, .arg = "TIME", FIELD(record.after), RECORDED, .min = 0, .max = DAY,
	 .help = "what happens to it afterwards (default 5s)"},
	{"snaplen", 0, OPT_U64, .arg = "BYTES", FIELD(record.snaplen), RECORDED, .min = 1, .max = 32768,
	 .help = "so much of a dropped packet, payload and all (default: its headers)"},
	{"everything", 0, OPT_FLAG, FIELD(record.everything), RECORDED,
	 .help = "all connections, failed or not"},
	FILTERS,
	LIVE,
	HELP,
	{NULL},
};

const struct record_options record_defaults = {
	.size = 64 << 20, .files = 2, .before = 30 * NSEC_PER_SEC, .after = 5 * NSEC_PER_SEC};

const struct option_def replay_option_defs[] = {
	FILTERS,
	{"pid", 0, OPT_U64, .arg = "N", FIELD(pid), WHOSE, .min = 1, .max = 4194304,
	 .help = "this process; its children are not known any more"},
	COMM,
	{"netns", 0, OPT_STRING, .arg = "SPEC", FIELD(netns), WHOSE, .max = 63,
	 .help = "one network namespace: its name (or host), inode number, or pid:N"},
	OUTPUT,
	COUNT,
	{"diff", 0, OPT_FLAG, FIELD(diff), OTHER,
	 .help = "of two recordings: which verdicts appear, vanish, change"},
	HELP,
	{NULL},
};

const struct option_word stacks_kind_words[] = {
	{"rst", STACKS_RST},
	{"drop", STACKS_DROP},
	{"retransmit", STACKS_RETRANSMIT},
	{"connect", STACKS_CONNECT},
	{"close", STACKS_CLOSE},
	{NULL, 0},
};

static const struct option_word by_words[] = {
	{"stack", BY_STACK},
	{"location", BY_LOCATION},
	{"reason", BY_REASON},
	{"flow", BY_FLOW},
	{NULL, 0},
};

const struct stacks_options stacks_defaults = {.interval = 5 * NSEC_PER_SEC, .top = 10};

const struct option_def stacks_option_defs[] = {
	{"by", 0, OPT_WORD, .arg = "WHAT", FIELD(counted.by), SHOWN, .words = by_words,
	 .help = "stack (default), location, reason or flow"},
	{"interval", 0, OPT_DURATION, .arg = "TIME", FIELD(counted.interval), SHOWN, .min = 100 * NSEC_PER_MSEC,
	 .max = DAY, .help = "a table every so often (default 5s)"},
	{"top", 0, OPT_U64, .arg = "N", FIELD(counted.top), SHOWN, .min = 1, .max = STACKS_TABLE_SIZE,
	 .help = "so many rows, those with most (default 10)"},
	{"folded", 0, OPT_FLAG, FIELD(counted.folded), SHOWN, .help = "at the end, one line a stack, for flame graphs"},
	{"json", 0, OPT_FLAG, FIELD(json), SHOWN, .help = "one JSON object a table (docs/json.md)"},
	{"all", 0, OPT_FLAG, FIELD(all), SHOWN, .help = "also drops that are never a failure, of any protocol"},
	{"quiet", 'q', OPT_FLAG, FIELD(quiet), SHOWN, .help = "no armed line and, in text, no table of all at the end"},
	{"color", 0, OPT_WORD, .arg = "WHEN", FIELD(color), SHOWN, .words = color_words,
	 .help = "auto (on a terminal), always or never"},
	FILTERS,
	WHOM,
	{"count", 0, OPT_U64, .arg = "N", FIELD(count), STOP, .min = 1, .max = UINT64_MAX,
	 .help = "after N tables"},
	RUN,
	HELP,
	{NULL},
};

const struct option_def doctor_option_defs[] = {
	{"btf", 0, OPT_STRING, .arg = "FILE", .offset = offsetof(struct doctor_options, btf), .max = 4095,
	 .help = "the kernel's types, for a kernel that carries none", .group = "Options"},
	{"tier", 0, OPT_WORD, .arg = "NAME", .offset = offsetof(struct doctor_options, tiers), .words = tier_words,
	 .help = "attach by tracepoint, trampoline or kprobe only (default: the best of all)", .group = "Options"},
	{"json", 0, OPT_FLAG, .offset = offsetof(struct doctor_options, json),
	 .help = "one JSON object a line", .group = "Options"},
	{"help", 'h', OPT_FLAG, .offset = offsetof(struct doctor_options, help),
	 .help = "print this", .group = "Options"},
	{NULL},
};

const struct option_def addr2line_option_defs[] = {
	{"vmlinux", 0, OPT_STRING, .arg = "FILE", .offset = offsetof(struct addr2line_options, vmlinux), .max = 4095,
	 .help = "a kernel with debug information, any (default: that of the running one)", .group = "Options"},
	{"help", 'h', OPT_FLAG, .offset = offsetof(struct addr2line_options, help),
	 .help = "print this", .group = "Options"},
	{NULL},
};
/* clang-format on */

#define FAMILY_4 1u
#define FAMILY_6 2u

/*
 * A filter that says something about the family: its option, its first value, the families it lets
 * through.
 */
struct family_claim {
	const char *option;
	const char *value;
	unsigned int families;
};

static void claim_add(struct family_claim *c, size_t *n, const char *option,
		      const struct prefix_list *list, struct strbuf *value)
{
	if (!list->n)
		return;
	prefix_text(&list->v[0], value);
	c[*n] = (struct family_claim){option, value->s, 0};
	for (size_t i = 0; i < list->n; i++)
		c[*n].families |= list->v[i].family == 4 ? FAMILY_4 : FAMILY_6;
	(*n)++;
}

static int check_families(const struct watch_options *o, struct strbuf *err)
{
	_cleanup_strbuf_ struct strbuf host = {0};
	_cleanup_strbuf_ struct strbuf src = {0};
	_cleanup_strbuf_ struct strbuf dst = {0};
	struct family_claim c[4];
	size_t n = 0;

	claim_add(c, &n, "host", &o->host, &host);
	claim_add(c, &n, "src", &o->src, &src);
	claim_add(c, &n, "dst", &o->dst, &dst);
	if (o->proto == IPPROTO_ICMP)
		c[n++] = (struct family_claim){"proto", "icmp", FAMILY_4};
	else if (o->proto == IPPROTO_ICMPV6)
		c[n++] = (struct family_claim){"proto", "icmpv6", FAMILY_6};
	for (size_t i = 0; i < n; i++) {
		for (size_t j = i + 1; j < n; j++) {
			if (c[i].families & c[j].families)
				continue;
			strbuf_addf(err, "--%s %s is IPv%c and --%s %s is IPv%c: no packet is both",
				    c[i].option, c[i].value, c[i].families == FAMILY_4 ? '4' : '6',
				    c[j].option, c[j].value, c[j].families == FAMILY_4 ? '4' : '6');
			return -EINVAL;
		}
	}
	return 0;
}

static int check_ports(const struct watch_options *o, struct strbuf *err)
{
	const char *port = o->port.n ? "port" : o->sport.n ? "sport" : o->dport.n ? "dport" : NULL;

	if (!port || (o->proto != IPPROTO_ICMP && o->proto != IPPROTO_ICMPV6))
		return 0;
	strbuf_addf(err, "--%s and --proto %s can't go together: ICMP has no ports", port,
		    o->proto == IPPROTO_ICMP ? "icmp" : "icmpv6");
	return -EINVAL;
}

int watch_options_check(const struct watch_options *o, struct strbuf *err)
{
	if (o->pid && o->command) {
		strbuf_addf(err,
			    "--pid %llu and a command can't go together: a command is watched by "
			    "its own process tree",
			    (unsigned long long)o->pid);
		return -EINVAL;
	}
	if (o->ready_fd && fcntl((int)o->ready_fd, F_GETFD) < 0) {
		strbuf_addf(err, "--ready-fd %llu: no file is open there",
			    (unsigned long long)o->ready_fd);
		return -EINVAL;
	}
	if (o->counted.folded && (o->json || o->counted.by != BY_STACK)) {
		strbuf_addf(err, "--folded and %s can't go together: folded lines are stacks",
			    o->json ? "--json" : "--by");
		return -EINVAL;
	}
	if (check_ports(o, err))
		return -EINVAL;
	return check_families(o, err);
}
