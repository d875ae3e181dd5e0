/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Rulesets in the peer's namespace, and packets that meet them, for the tests of lookups of rules. */
#ifndef TEST_ENRICH_RULES_H
#define TEST_ENRICH_RULES_H

#include "test_enrich.h"

#include <linux/netfilter.h>

#define RULES_MAX 160
#define PORT_OPEN 7999 /* what no rule drops */

static struct rec_rule rules[RULES_MAX];
static size_t nr_rules;

static inline void rule_keep(void *arg, const struct rec_hdr *rec)
{
	(void)arg;
	if (rec->kind == REC_ANSWER) {
		memcpy(&t.end, rec, sizeof(t.end));
		t.ends++;
		return;
	}
	assert_int_equal(rec->kind, REC_RULE);
	assert_int_equal(rec->netns, t.peer);
	assert_true(nr_rules < RULES_MAX);
	memcpy(&rules[nr_rules++], rec, sizeof(rules[0]));
}

static inline int rules_ask(struct question q)
{
	struct pollfd pfd = {.fd = enrich_fd(t.e), .events = POLLIN};

	cache_expire();
	q.id = ++t.next_id;
	q.event_ns = now_mono();
	q.netns = t.peer;
	nr_rules = t.ends = 0;
	assert_int_equal(enrich_ask(t.e, &q), 0);
	while (!t.ends) {
		assert_int_equal(poll(&pfd, 1, 20000), 1);
		enrich_take(t.e, rule_keep, NULL);
	}
	assert_int_equal(t.end.count, nr_rules);
	return t.end.err;
}

static inline int drops_ask(uint8_t family, uint8_t hook)
{
	return rules_ask(
		(struct question){.kind = Q_DROP_RULES, .nf_family = family, .nf_hook = hook});
}

static inline int rule_ask(uint8_t family, const char *table, const char *chain, uint64_t handle)
{
	struct question q = {.kind = Q_RULE, .nf_family = family, .handle = handle};

	str_copy(q.table, sizeof(q.table), table);
	str_copy(q.chain, sizeof(q.chain), chain);
	return rules_ask(q);
}

/* The one with that text, of this chain. */
static inline const struct rec_rule *rule_by_text(const char *chain, const char *text)
{
	const struct rec_rule *found = NULL;

	for (size_t i = 0; i < nr_rules; i++) {
		if (strcmp(rules[i].text, text) || strcmp(rules[i].chain, chain))
			continue;
		assert_null(found);
		found = &rules[i];
	}
	if (!found) {
		for (size_t i = 0; i < nr_rules; i++)
			print_message("# %s: %s\n", rules[i].chain, rules[i].text);
		fail_msg("not among them: %s: %s", chain, text);
	}
	return found;
}

static inline size_t nr_moved(void)
{
	size_t n = 0;

	for (size_t i = 0; i < nr_rules; i++)
		n += !!(rules[i].flags & RULE_MOVED);
	return n;
}

/* What a command in the peer's namespace prints. */
static inline char *peer_says(const char *command)
{
	_cleanup_free_ char *line = NULL;
	struct strbuf out = {0};
	char buf[4096];
	size_t n;
	FILE *f;

	assert_true(asprintf(&line, "ip netns exec tw-peer sh -c '%s'", command) > 0);
	f = popen(line, "re");
	assert_non_null(f);
	while ((n = fread(buf, 1, sizeof(buf), f)) > 0)
		strbuf_addn(&out, buf, n);
	pclose(f);
	strbuf_add(&out, "");
	assert_non_null(out.s);
	return out.s;
}

/* Loads what `script` says, by the program named, in the peer's namespace. */
static inline void peer_loads(const char *program, const char *script)
{
	_cleanup_free_ char *line = NULL;
	FILE *f;

	assert_true(asprintf(&line, "ip netns exec tw-peer %s", program) > 0);
	f = popen(line, "we");
	assert_non_null(f);
	fputs(script, f);
	assert_int_equal(pclose(f), 0);
}

static const char everything[] =
	"nft -a list ruleset 2>/dev/null; iptables-nft-save -c 2>/dev/null | grep -v ^#;"
	"for t in $(cat /proc/net/ip_tables_names 2>/dev/null); do iptables-legacy-save -c -t $t |"
	" grep -v ^#; done; cat /proc/net/ip_tables_names /proc/net/ip6_tables_names 2>/dev/null";

static char *before;

static inline void rules_clear(void)
{
	free(peer_says("nft flush ruleset; iptables-legacy -P INPUT ACCEPT;"
		       "for x in -F -X; do iptables-legacy $x; done"));
}

/* Nothing of the peer's rules may be another after the lookups, nor a counter. */
static inline void unchanged_start(void)
{
	free(before);
	before = peer_says(everything);
}

static inline void unchanged_end(void)
{
	_cleanup_free_ char *after = peer_says(everything);

	assert_string_equal(before, after);
}

/* ---- packets --------------------------------------------------------------------------------- */

static int open_fd = -1;

static inline void udp_send(uint16_t port)
{
	struct sockaddr_storage sa;
	socklen_t len = sockaddr_parse(&sa, "10.99.0.2", port);
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	assert_int_equal(sendto(fd, "x", 1, 0, (struct sockaddr *)&sa, len), 1);
	close(fd);
}

/* A packet to the port, and when this is over, it has met the rules: a later one came through. */
static inline void packet(uint16_t port)
{
	struct pollfd pfd = {.fd = open_fd, .events = POLLIN};
	char c;

	udp_send(port);
	udp_send(PORT_OPEN);
	assert_int_equal(poll(&pfd, 1, 10000), 1);
	assert_int_equal(recv(open_fd, &c, 1, 0), 1);
}

/* A socket stays in the namespace it was made in. */
static inline void socket_open(void)
{
	int own = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
	int peer = open("/run/netns/tw-peer", O_RDONLY | O_CLOEXEC);
	cpu_set_t one;

	CPU_ZERO(&one);
	CPU_SET(sched_getcpu(), &one);
	sched_setaffinity(0, sizeof(one), &one); /* packets then stay in order */
	assert_int_equal(setns(peer, CLONE_NEWNET), 0);
	open_fd = serve(SOCK_DGRAM, "0.0.0.0", PORT_OPEN, false);
	assert_int_equal(setns(own, CLONE_NEWNET), 0);
	close(own);
	close(peer);
	packet(PORT_OPEN);
	assert_int_equal(recv(open_fd, &(char){0}, 1, 0), 1); /* that was two */
}

/* The handle that nft prints for the rule with this text. */
static inline uint64_t nft_handle(const char *text)
{
	_cleanup_free_ char *all = peer_says("nft -s -a list ruleset 2>/dev/null");
	const char *at = strstr(all, text);
	unsigned long long handle = 0;

	if (!at || sscanf(at + strlen(text), " # handle %llu", &handle) != 1)
		fail_msg("no handle of %s", text);
	return handle;
}

/* ---- surroundings ---------------------------------------------------------------------------- */

static inline int rules_setup(void **state)
{
	int err = group_setup(state);

	if (!err && !t.skip &&
	    system("{ nft --version && iptables-nft --version; } >/dev/null 2>&1")) {
		t.skip = "no nft(8), or no iptables-nft(8)";
		print_message("# lookups skipped: %s\n", t.skip);
	}
	if (!err && !t.skip)
		socket_open();
	return err;
}

static inline int rules_teardown(void **state)
{
	free(before);
	if (open_fd >= 0)
		close(open_fd);
	return group_teardown(state);
}

#endif
