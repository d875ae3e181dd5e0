/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Which subcommand, with which options: dispatch only. */
#include "abi/config.h"
#include "cli/cli.h"
#include "cli/hooks.h"
#include "cli/nearest.h"

struct command {
	const char *name;
	const char *usage;
	const char *help;
	int (*run)(int argc, char *const *argv);
};

static int run_watch(int argc, char *const *argv);
static int run_explain(int argc, char *const *argv);
static int run_doctor(int argc, char *const *argv);
static int run_hooks(int argc, char *const *argv);
static int run_addr2line(int argc, char *const *argv);
static int run_record(int argc, char *const *argv);
static int run_replay(int argc, char *const *argv);
static int run_stacks(int argc, char *const *argv);

static const struct command commands[] = {
	{"watch", "tcpwhy [watch] [options]", "watch this host: one verdict per failure",
	 run_watch},
	{"watch", "tcpwhy [options] -- command args", "run a command, explain its connections",
	 run_watch},
	{"record", "tcpwhy record -o FILE [options]",
	 "watch, and keep what happened to failed connections", run_record},
	{"replay", "tcpwhy replay FILE... [options]", "the verdicts of recordings, without root",
	 run_replay},
	{"stacks", "tcpwhy stacks [KIND...] [options]",
	 "count rst, drop, retransmit, connect, close by stack", run_stacks},
	{"explain", "tcpwhy explain [cause]", "the page of one cause, or the list of all",
	 run_explain},
	{"doctor", "tcpwhy doctor [options]", "what this kernel lets it see, and what is missing",
	 run_doctor},
	{"hooks", "tcpwhy hooks [options]", "every netfilter hook in call order, and whose it is",
	 run_hooks},
	{"addr2line", "tcpwhy addr2line FUNC+0xOFF...", "the source lines of places in the kernel",
	 run_addr2line},
};

/* "tcpwhy: <sentence>" on stderr. */
static int usage_error(const struct strbuf *err)
{
	fprintf(stderr, "tcpwhy: %s\n", err->s ? err->s : "out of memory");
	return EXIT_USAGE;
}

static int print_text(const struct strbuf *text)
{
	if (!text->s || fputs(text->s, stdout) < 0 || fflush(stdout))
		return EXIT_FAILURE;
	return EXIT_SUCCESS;
}

static int print_help(void)
{
	_cleanup_strbuf_ struct strbuf out = {0};

	strbuf_add(&out, "tcpwhy says why the kernel reset, dropped or failed a connection.\n\n"
			 "Usage:\n");
	for (size_t i = 0; i < ARRAY_SIZE(commands); i++)
		strbuf_addf(&out, "  %-34s %s\n", commands[i].usage, commands[i].help);
	options_help(watch_option_defs, &out);
	return print_text(&out);
}

static int print_command_help(const char *name, const struct option_def *defs)
{
	_cleanup_strbuf_ struct strbuf out = {0};

	for (size_t i = 0; i < ARRAY_SIZE(commands); i++)
		if (!strcmp(commands[i].name, name))
			strbuf_addf(&out, "Usage: %s\n  %s\n", commands[i].usage, commands[i].help);
	if (defs)
		options_help(defs, &out);
	return print_text(&out);
}

/* A word where only options or "--" may stand. */
static int unexpected_word(const char *word, struct strbuf *err)
{
	for (size_t i = 0; i < ARRAY_SIZE(commands); i++) {
		if (strcmp(word, commands[i].name))
			continue;
		strbuf_addf(err, "the command comes first: tcpwhy %s [options]", word);
		return usage_error(err);
	}
	strbuf_addf(err, "unexpected word \"%s\"; a command to run goes after --: tcpwhy -- %s",
		    word, word);
	return usage_error(err);
}

static int run_watch(int argc, char *const *argv)
{
	_cleanup_strbuf_ struct strbuf err = {0};
	struct watch_options o = {0};
	int next = 0;
	bool dashes;

	if (options_parse(watch_option_defs, &o, argc, argv, &next, &dashes, &err))
		return usage_error(&err);
	if (o.help)
		return print_help();
	if (o.version) {
		printf("tcpwhy " TCPWHY_VERSION "\n");
		return EXIT_SUCCESS;
	}
	if (!dashes && next < argc)
		return unexpected_word(argv[next], &err);
	if (dashes && next == argc) {
		strbuf_add(&err, "no command follows --; tcpwhy -- curl http://10.0.0.3/ runs one");
		return usage_error(&err);
	}
	o.command = dashes ? argv + next : NULL;
	if (watch_options_check(&o, &err))
		return usage_error(&err);
	return cmd_watch(&o);
}

static int run_record(int argc, char *const *argv)
{
	_cleanup_strbuf_ struct strbuf err = {0};
	struct watch_options o = {.record = record_defaults};
	int next = 0;
	bool dashes;

	if (options_parse(record_option_defs, &o, argc, argv, &next, &dashes, &err))
		return usage_error(&err);
	if (o.help)
		return print_command_help("record", record_option_defs);
	if (!dashes && next < argc)
		return unexpected_word(argv[next], &err);
	o.command = dashes && next < argc ? argv + next : NULL;
	if (!o.record.path)
		strbuf_add(&err, "record needs a file: tcpwhy record -o incident.pcapng");
	else if (!strcmp(o.record.path, "-"))
		strbuf_add(&err, "-o -: a recording needs a file, which it can rename; into a pipe "
				 "goes --json");
	else
		(void)watch_options_check(&o, &err);
	return err.s ? usage_error(&err) : cmd_watch(&o);
}

/* Options may stand before, between and behind the files. */
static int run_replay(int argc, char *const *argv)
{
	_cleanup_strbuf_ struct strbuf err = {0};
	_cleanup_free_ char **files = calloc((size_t)argc + 1, sizeof(*files));
	struct watch_options o = {0};
	int next = 0, n = 0;
	bool dashes = false;

	while (files && next < argc) {
		if (!dashes &&
		    options_parse(replay_option_defs, &o, argc, argv, &next, &dashes, &err))
			return usage_error(&err);
		if (next < argc)
			files[n++] = argv[next++];
	}
	if (o.help)
		return print_command_help("replay", replay_option_defs);
	if (!n)
		strbuf_add(&err, "replay needs a recording: tcpwhy replay incident.pcapng");
	else if (o.netns && strchr(o.netns, '/'))
		strbuf_addf(&err,
			    "--netns %s: a recording knows no paths; give the namespace's name or "
			    "inode number",
			    o.netns);
	else if (o.diff && n != 2)
		strbuf_addf(&err, "--diff compares two recordings, not %d", n);
	else if (o.diff && o.json)
		strbuf_add(&err, "--diff and --json can't go together: differences are lines of "
				 "text");
	else
		(void)watch_options_check(&o, &err);
	return err.s ? usage_error(&err) : cmd_replay(&o, n, files);
}

static int stacks_kind(const char *word, struct watch_options *o, struct strbuf *err)
{
	for (const struct option_word *w = stacks_kind_words; w->word; w++) {
		if (strcmp(word, w->word))
			continue;
		o->counted.kinds |= w->value;
		return 0;
	}
	strbuf_addf(err,
		    "stacks counts rst, drop, retransmit, connect and close, not \"%s\"; a command "
		    "to "
		    "run goes after --",
		    word);
	return -EINVAL;
}

/* Kinds and options in any order, and perhaps a command. */
static int run_stacks(int argc, char *const *argv)
{
	_cleanup_strbuf_ struct strbuf err = {0};
	struct watch_options o = {.counted = stacks_defaults};
	bool dashes = false;
	int next = 0;

	while (next < argc && !dashes) {
		if (options_parse(stacks_option_defs, &o, argc, argv, &next, &dashes, &err))
			return usage_error(&err);
		if (next < argc && !dashes && stacks_kind(argv[next++], &o, &err))
			return usage_error(&err);
	}
	if (o.help)
		return print_command_help("stacks", stacks_option_defs);
	if (dashes && next == argc) {
		strbuf_add(&err, "no command follows --; tcpwhy stacks -- curl http://10.0.0.3/ "
				 "runs one");
		return usage_error(&err);
	}
	o.command = dashes ? argv + next : NULL;
	if (!o.counted.kinds)
		o.counted.kinds = STACKS_ALL;
	if (watch_options_check(&o, &err))
		return usage_error(&err);
	return cmd_stacks(&o);
}

static int run_explain(int argc, char *const *argv)
{
	_cleanup_strbuf_ struct strbuf err = {0};

	if (argc && (!strcmp(argv[0], "--help") || !strcmp(argv[0], "-h")))
		return print_command_help("explain", NULL);
	if (argc && argv[0][0] == '-')
		strbuf_addf(&err, "unknown option %s; explain takes the name of a cause", argv[0]);
	else if (argc > 1)
		strbuf_addf(&err, "explain takes one cause, and \"%s\" is one too many", argv[1]);
	if (err.s)
		return usage_error(&err);
	return cmd_explain(argc ? argv[0] : NULL);
}

static int run_doctor(int argc, char *const *argv)
{
	_cleanup_strbuf_ struct strbuf err = {0};
	struct doctor_options o = {0};
	int next = 0;
	bool dashes;

	if (options_parse(doctor_option_defs, &o, argc, argv, &next, &dashes, &err))
		return usage_error(&err);
	if (o.help)
		return print_command_help("doctor", doctor_option_defs);
	if (next < argc || dashes) {
		strbuf_addf(&err, "doctor takes options only, not \"%s\"",
			    argv[dashes ? next - 1 : next]);
		return usage_error(&err);
	}
	return cmd_doctor(&o);
}

static int run_hooks(int argc, char *const *argv)
{
	_cleanup_strbuf_ struct strbuf err = {0};
	struct hooks_options o = {0};
	int next = 0;
	bool dashes;

	if (options_parse(hooks_option_defs, &o, argc, argv, &next, &dashes, &err))
		return usage_error(&err);
	if (o.help)
		return print_command_help("hooks", hooks_option_defs);
	if (next < argc || dashes)
		strbuf_addf(&err, "hooks takes options only, not \"%s\"",
			    argv[dashes ? next - 1 : next]);
	else
		(void)hooks_options_check(&o, &err);
	return err.s ? usage_error(&err) : cmd_hooks(&o);
}

static int run_addr2line(int argc, char *const *argv)
{
	_cleanup_strbuf_ struct strbuf err = {0};
	struct addr2line_options o = {0};
	int next = 0;
	bool dashes;

	if (options_parse(addr2line_option_defs, &o, argc, argv, &next, &dashes, &err))
		return usage_error(&err);
	if (o.help)
		return print_command_help("addr2line", addr2line_option_defs);
	if (next < argc)
		return cmd_addr2line(&o, argc - next, argv + next);
	strbuf_add(&err, "addr2line needs a place: tcpwhy addr2line tcp_v4_rcv+0x596");
	return usage_error(&err);
}

static int unknown_command(const char *word)
{
	_cleanup_strbuf_ struct strbuf err = {0};
	struct nearest near = {.asked = word};

	for (size_t i = 0; i < ARRAY_SIZE(commands); i++)
		nearest_offer(&near, commands[i].name);
	strbuf_addf(&err, "unknown command \"%s\"; ", word);
	if (near.word)
		strbuf_addf(&err, "did you mean tcpwhy %s?", near.word);
	else
		strbuf_addf(&err, "see tcpwhy --help, or watch it with tcpwhy -- %s", word);
	return usage_error(&err);
}

int main(int argc, char **argv)
{
	if (argc < 2 || argv[1][0] == '-')
		return run_watch(argc - 1, argv + 1);
	for (size_t i = 0; i < ARRAY_SIZE(commands); i++)
		if (!strcmp(argv[1], commands[i].name))
			return commands[i].run(argc - 2, argv + 2);
	return unknown_command(argv[1]);
}
