/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <netinet/in.h>

#include "cli/nearest.h"
#include "cli/options.h"

#define MAX_WORDS 24

struct parsed {
	struct watch_options o;
	struct strbuf err;
	int r;
	int next;
	bool dashes;
};

/* Parses and checks a NULL-terminated list of words as watch does. */
static struct parsed parse(char *const *words)
{
	struct parsed p = {0};
	int argc = 0;

	while (words[argc])
		argc++;
	p.r = options_parse(watch_option_defs, &p.o, argc, words, &p.next, &p.dashes, &p.err);
	if (!p.r && p.dashes)
		p.o.command = words + p.next;
	if (!p.r)
		p.r = watch_options_check(&p.o, &p.err);
	return p;
}

#define PARSE(...) parse((char *[MAX_WORDS]){__VA_ARGS__})

#define assert_good(p)                                    \
	do {                                              \
		if ((p).r)                                \
			print_message("%s\n", (p).err.s); \
		assert_int_equal((p).r, 0);               \
		assert_null((p).err.s);                   \
	} while (0)

#define assert_bad(says, ...)                           \
	do {                                            \
		struct parsed bad = PARSE(__VA_ARGS__); \
                                                        \
		assert_int_equal(bad.r, -EINVAL);       \
		assert_string_equal(bad.err.s, says);   \
		strbuf_free(&bad.err);                  \
	} while (0)

static void nothing_given_lets_everything_through(void **state)
{
	struct parsed p = PARSE(NULL);
	static const struct watch_options none;
	(void)state;

	assert_good(p);
	assert_memory_equal(&p.o, &none, sizeof(none));
}

static void flags_and_letters(void **state)
{
	struct parsed p = PARSE("--json", "--all", "--stacks", "-qh", "--version", "--nft-trace");
	(void)state;

	assert_good(p);
	assert_true(p.o.json && p.o.all && p.o.stacks && p.o.quiet && p.o.help && p.o.version &&
		    p.o.nft_trace);
	assert_bad("--json takes no value, but got \"yes\"", "--json=yes");
	assert_bad("--json takes no value, but got \"\"", "--json=");
	assert_bad("unknown option --nfttrace; did you mean --nft-trace? See tcpwhy --help", "--"
											     "nfttr"
											     "ace");
}

static void values_after_space_or_equals(void **state)
{
	struct parsed p = PARSE("--count", "3", "--comm=nginx", "--btf", "--odd", "--color=never");
	(void)state;

	assert_good(p);
	assert_true(p.o.count == 3);
	assert_string_equal(p.o.comm, "nginx");
	assert_string_equal(p.o.btf, "--odd");
	assert_int_equal(p.o.color, COLOR_NEVER);
	assert_bad("--count needs a value: --count N", "--count");
	assert_bad("--count needs a value: --count N", "--count", "--", "ls");
}

static void numbers_keep_their_range(void **state)
{
	(void)state;

	assert_bad("--pid: \"0\" is not allowed; give a number from 1 to 4194304", "--pid", "0");
	assert_bad("--pid: \"-5\" is not allowed; give a number from 1 to 4194304", "--pid", "-5");
	assert_bad("--count: \"0\" is not allowed; give a number of at least 1", "--count=0");
	assert_bad("--count: \"1e3\" is not allowed; give a number of at least 1", "--count=1e3");
	assert_bad("--count: \"99999999999999999999\" is not allowed; give a number of at least 1",
		   "--count=99999999999999999999");
}

static void strings_keep_their_length(void **state)
{
	struct parsed p = PARSE("--comm", "fifteen-letters", "--iface", "enp0s31f6.10012");
	(void)state;

	assert_good(p);
	assert_string_equal(p.o.iface, "enp0s31f6.10012");
	assert_bad("--comm: \"sixteen-letters!\" is not allowed; give at most 15 characters",
		   "--comm", "sixteen-letters!");
	assert_bad("--netns: \"\" is not allowed; give something", "--netns=");
}

static void words_are_from_the_list(void **state)
{
	struct parsed p = PARSE("--proto", "icmpv6");
	(void)state;

	assert_good(p);
	assert_int_equal(p.o.proto, IPPROTO_ICMPV6);
	assert_bad("--proto: \"sctp\" is not allowed; give tcp, udp, icmp or icmpv6", "--proto="
										      "sctp");
	assert_bad("--color: \"\" is not allowed; give auto, always or never", "--color=");
}

static void durations(void **state)
{
	static const struct {
		const char *text;
		uint64_t ns;
	} good[] = {
		{"1ms", 1000000},     {"500ms", 500000000},  {"5s", 5000000000},
		{"2m", 120000000000}, {"1h", 3600000000000}, {"8760h", 31536000000000000},
	};
	static const char *const bad[] = {"5",
					  "s",
					  "",
					  "0s",
					  "-1s",
					  "1.5s",
					  "5 s",
					  "5S",
					  "1d",
					  "8761h",
					  "1m30s",
					  "99999999999999999999999999s",
					  "18446744073709551615h"};
	(void)state;

	for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
		struct parsed p = PARSE("--duration", (char *)good[i].text);

		assert_good(p);
		assert_true(p.o.duration == good[i].ns);
	}
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		struct parsed p = PARSE("--duration", (char *)bad[i]);

		assert_int_equal(p.r, -EINVAL);
		strbuf_free(&p.err);
	}
	assert_bad("--duration: \"5\" is not allowed; give a time with its unit, such as 500ms, "
		   "5s, 2m or 1h, from 1ms to 8760h",
		   "--duration=5");
}

static void ports_are_a_list(void **state)
{
	struct parsed p = PARSE("--port", "53", "--port=65535", "--sport=1", "--dport", "80");
	(void)state;

	assert_good(p);
	assert_int_equal(p.o.port.n, 2);
	assert_int_equal(p.o.port.v[0], 53);
	assert_int_equal(p.o.port.v[1], 65535);
	assert_int_equal(p.o.sport.v[0], 1);
	assert_int_equal(p.o.dport.v[0], 80);
	assert_bad("--port: \"0\" is not allowed; give a number from 1 to 65535", "--port=0");
	assert_bad("--port: \"65536\" is not allowed; give a number from 1 to 65535", "--port="
										      "65536");
	assert_bad("--port: \"http\" is not allowed; give a number from 1 to 65535", "--port=http");
	assert_bad("--port may be given at most 8 times", "--port=1", "--port=2", "--port=3",
		   "--port=4", "--port=5", "--port=6", "--port=7", "--port=8", "--port=9");
}

/* What prefix_text makes of one accepted --host, its length and family. */
static void assert_host(const char *given, const char *text, int len, int family)
{
	_cleanup_strbuf_ struct strbuf b = {0};
	struct parsed p = PARSE("--host", (char *)given);

	assert_good(p);
	assert_int_equal(p.o.host.n, 1);
	prefix_text(&p.o.host.v[0], &b);
	assert_string_equal(b.s, text);
	assert_int_equal(p.o.host.v[0].len, len);
	assert_int_equal(p.o.host.v[0].family, family);
}

static void hosts_and_prefixes(void **state)
{
	static const uint8_t ten[16] = {[10] = 0xff, [11] = 0xff, 10, 0, 0, 0};
	struct parsed p = PARSE("--host", "10.0.0.0/8");
	(void)state;

	assert_good(p);
	assert_memory_equal(p.o.host.v[0].addr, ten, sizeof(ten));
	assert_host("10.0.0.0/8", "10.0.0.0/8", 104, 4);
	assert_host("192.168.1.77", "192.168.1.77", 128, 4);
	assert_host("192.168.1.77/32", "192.168.1.77", 128, 4);
	assert_host("192.168.1.76/31", "192.168.1.76/31", 127, 4);
	assert_host("0.0.0.0/0", "0.0.0.0/0", 96, 4);
	assert_host("::/0", "::/0", 0, 6);
	assert_host("::", "::", 128, 6);
	assert_host("2001:DB8::1", "2001:db8::1", 128, 6);
	assert_host("2001:db8::/33", "2001:db8::/33", 33, 6);
	assert_host("::ffff:10.0.0.1", "10.0.0.1", 128, 4);
	assert_host("::ffff:10.0.0.0/104", "10.0.0.0/8", 104, 4);
}

static void hosts_that_are_none(void **state)
{
	static const char *const bad[] = {"",
					  "example.com",
					  "10.0.0",
					  "10.0.0.256",
					  "10.0.0.1/33",
					  "10.0.0.1/",
					  "10.0.0.1/-1",
					  "/8",
					  "2001:db8::/129",
					  "fe80::1%eth0",
					  "[::1]",
					  "10.0.0.1/8/8",
					  "10.0.0.1 ",
					  "::/0x0",
					  "1:2:3:4:5:6:7:8:9",
					  "0000:0000:0000:0000:0000:0000:0000:0000:0000:0000:0000:"
					  "0000:0000:0000:0000:0000"};
	(void)state;

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		struct parsed p = PARSE("--host", (char *)bad[i]);

		if (!p.r)
			print_message("accepted \"%s\"\n", bad[i]);
		assert_int_equal(p.r, -EINVAL);
		strbuf_free(&p.err);
	}
	assert_bad("--src: \"example.com\" is not allowed; give an IPv4 or IPv6 address or "
		   "prefix, such as 10.0.0.0/8 (names are not looked up)",
		   "--src", "example.com");
}

static void host_bits_are_an_error(void **state)
{
	(void)state;

	assert_bad("--dst: 10.0.0.5/24 has host bits set; did you mean 10.0.0.0/24 or 10.0.0.5?",
		   "--dst=10.0.0.5/24");
	assert_bad("--dst: 10.0.0.1/31 has host bits set; did you mean 10.0.0.0/31 or 10.0.0.1?",
		   "--dst=10.0.0.1/31");
	assert_bad("--dst: 1.2.3.4/0 has host bits set; did you mean 0.0.0.0/0 or 1.2.3.4?", "--"
											     "dst="
											     "1.2."
											     "3.4/"
											     "0");
	assert_bad("--dst: 2001:db8::1/64 has host bits set; did you mean 2001:db8::/64 or "
		   "2001:db8::1?",
		   "--dst=2001:db8::1/64");
}

static void eight_hosts_and_no_more(void **state)
{
	struct parsed p = PARSE("--host=::1", "--host=::2", "--host=::3", "--host=::4",
				"--host=::5", "--host=::6", "--host=::7", "--host=10.0.0.8");
	(void)state;

	assert_good(p);
	assert_int_equal(p.o.host.n, 8);
	assert_int_equal(p.o.host.v[7].addr[15], 8);
	assert_bad("--host may be given at most 8 times", "--host=::1", "--host=::2", "--host=::3",
		   "--host=::4", "--host=::5", "--host=::6", "--host=::7", "--host=::8",
		   "--host=::9");
}

static void command_after_dashes(void **state)
{
	struct parsed p = PARSE("--json", "--", "curl", "--json", "--", "x");
	(void)state;

	assert_good(p);
	assert_true(p.dashes && p.o.json);
	assert_string_equal(p.o.command[0], "curl");
	assert_string_equal(p.o.command[1], "--json");
	assert_string_equal(p.o.command[2], "--");
	assert_string_equal(p.o.command[3], "x");
	assert_null(p.o.command[4]);
}

static void parsing_stops_at_a_word(void **state)
{
	struct parsed p = PARSE("--json", "doctor", "--all");
	(void)state;

	assert_good(p);
	assert_int_equal(p.next, 1);
	assert_false(p.dashes);
	assert_false(p.o.all);
	p = PARSE("-", "--all");
	assert_good(p);
	assert_int_equal(p.next, 0);
}

static void unknown_options_name_the_nearest(void **state)
{
	(void)state;

	assert_bad("unknown option --prot; did you mean --proto? See tcpwhy --help", "--prot=x");
	assert_bad("unknown option --dur; did you mean --duration? See tcpwhy --help", "--dur");
	assert_bad("unknown option --hsot; did you mean --host? See tcpwhy --help", "--hsot");
	assert_bad("unknown option --xyzzy; see tcpwhy --help", "--xyzzy");
	assert_bad("unknown option -x; see tcpwhy --help", "-x");
	assert_bad("unknown option -qx; see tcpwhy --help", "-qx");
	assert_bad("unknown option -json; did you mean --json? See tcpwhy --help", "-json");
	assert_bad("unknown option --=5; see tcpwhy --help", "--=5");
}

static void impossible_combinations(void **state)
{
	(void)state;

	assert_bad("--pid 7 and a command can't go together: a command is watched by its own "
		   "process tree",
		   "--pid=7", "--", "ls");
	assert_bad("--sport and --proto icmpv6 can't go together: ICMP has no ports", "--sport=7",
		   "--proto=icmpv6");
	assert_bad("--src 10.0.0.1 is IPv4 and --dst ::1 is IPv6: no packet is both",
		   "--src=10.0.0.1", "--dst=::1");
	assert_bad("--host 2001:db8::/32 is IPv6 and --src 10.0.0.1 is IPv4: no packet is both",
		   "--host=2001:db8::/32", "--src=10.0.0.1");
	assert_bad("--host ::1 is IPv6 and --proto icmp is IPv4: no packet is both", "--host=::1",
		   "--proto=icmp");
}

static void possible_combinations(void **state)
{
	struct parsed p = PARSE("--src=10.0.0.1", "--src=::1", "--dst=::2", "--proto=tcp");
	(void)state;

	assert_good(p);
	p = PARSE("--comm=curl", "--port=1", "--proto=udp", "--", "ls");
	assert_good(p);
	p = PARSE("--host=0.0.0.0/0", "--proto=icmp");
	assert_good(p);
}

static void ready_fd_must_be_open(void **state)
{
	int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	char number[16], says[64];
	struct parsed p;
	(void)state;

	assert_true(fd > 0);
	snprintf(number, sizeof(number), "%d", fd);
	snprintf(says, sizeof(says), "--ready-fd %d: no file is open there", fd);
	p = PARSE("--ready-fd", number);
	assert_good(p);
	assert_true(p.o.ready_fd == (uint64_t)fd);
	close(fd);
	assert_bad(says, "--ready-fd", number);
}

/* As record does. */
static struct parsed parse_record(char *const *words)
{
	struct parsed p = {0};
	int argc = 0;

	while (words[argc])
		argc++;
	p.r = options_parse(record_option_defs, &p.o, argc, words, &p.next, &p.dashes, &p.err);
	return p;
}

static void letters_take_values(void **state)
{
	struct parsed p = parse_record((char *[]){"-qo", "x", "-oy", "--size", "2G", NULL});
	static const struct {
		char *word;
		uint64_t bytes; /* 0: refused */
	} sizes[] = {
		{"65536", 65536}, {"64K", 65536},
		{"3M", 3 << 20},  {"1024G", 1ull << 40},
		{"65535", 0},	  {"63K", 0},
		{"1025G", 0},	  {"99999999999999999999", 0},
		{"64KB", 0},	  {"M", 0},
		{"", 0},	  {"-1", 0},
		{"64k", 0},	  {"18014398509481984K", 0},
	};
	(void)state;

	assert_good(p);
	assert_string_equal(p.o.record.path, "y");
	assert_true(p.o.quiet && p.o.record.size == 2ull << 30);
	p = parse_record((char *[]){"-o", "--", "ls", NULL});
	assert_int_equal(p.r, -EINVAL);
	assert_string_equal(p.err.s, "-o needs a value: -o FILE");
	strbuf_free(&p.err);
	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		p = parse_record((char *[]){"--size", sizes[i].word, NULL});
		assert_int_equal(p.r, sizes[i].bytes ? 0 : -EINVAL);
		assert_true(p.o.record.size == sizes[i].bytes);
		strbuf_free(&p.err);
	}
}

static void check_help(const struct option_def *defs)
{
	_cleanup_strbuf_ struct strbuf b = {0};

	options_help(defs, &b);
	for (const struct option_def *d = defs; d->name; d++) {
		char name[40];

		snprintf(name, sizeof(name), "--%s ", d->name);
		assert_non_null(strstr(b.s, name));
		assert_true((d->type == OPT_FLAG) == !d->arg);
		assert_non_null(strstr(b.s, d->group));
	}
	for (const char *line = b.s, *end; (end = strchr(line, '\n')); line = end + 1)
		assert_true(end - line <= 100);
}

static void help_names_every_option(void **state)
{
	(void)state;
	check_help(watch_option_defs);
	check_help(record_option_defs);
	check_help(replay_option_defs);
}

static void edits_are_counted(void **state)
{
	(void)state;

	assert_int_equal(edit_distance("", ""), 0);
	assert_int_equal(edit_distance("abc", ""), 3);
	assert_int_equal(edit_distance("port", "prot"), 1);
	assert_int_equal(edit_distance("port", "sport"), 1);
	assert_int_equal(edit_distance("kitten", "sitting"), 3);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nothing_given_lets_everything_through),
		cmocka_unit_test(flags_and_letters),
		cmocka_unit_test(values_after_space_or_equals),
		cmocka_unit_test(numbers_keep_their_range),
		cmocka_unit_test(strings_keep_their_length),
		cmocka_unit_test(words_are_from_the_list),
		cmocka_unit_test(durations),
		cmocka_unit_test(ports_are_a_list),
		cmocka_unit_test(hosts_and_prefixes),
		cmocka_unit_test(hosts_that_are_none),
		cmocka_unit_test(host_bits_are_an_error),
		cmocka_unit_test(eight_hosts_and_no_more),
		cmocka_unit_test(command_after_dashes),
		cmocka_unit_test(parsing_stops_at_a_word),
		cmocka_unit_test(unknown_options_name_the_nearest),
		cmocka_unit_test(impossible_combinations),
		cmocka_unit_test(possible_combinations),
		cmocka_unit_test(ready_fd_must_be_open),
		cmocka_unit_test(letters_take_values),
		cmocka_unit_test(help_names_every_option),
		cmocka_unit_test(edits_are_counted),
	};

	return cmocka_run_group_tests_name("options", tests, NULL, NULL);
}
