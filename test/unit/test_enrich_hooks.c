/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The running kernel's netfilter hooks: asked for, listed, and while they change. */
#include "test_enrich.h"

#include "enrich/kmem.h"

#define HOOKS_MAX 512

static struct {
	struct rec_hook v[HOOKS_MAX];
	size_t n;
	struct rec_answer end;
	bool ended;
} seen;

static void hook_keep(void *arg, const struct rec_hook *hook)
{
	(void)arg;
	assert_in_range(seen.n, 0, HOOKS_MAX - 1);
	seen.v[seen.n++] = *hook;
}

static void answer_take(void *arg, const struct rec_hdr *rec)
{
	(void)arg;
	if (rec->kind == REC_HOOK) {
		assert_int_equal(rec->size, sizeof(struct rec_hook));
		hook_keep(NULL, (const struct rec_hook *)rec);
		return;
	}
	assert_int_equal(rec->kind, REC_ANSWER);
	memcpy(&seen.end, rec, sizeof(seen.end));
	seen.ended = true;
}

static int ask_hooks(uint8_t family, uint8_t hook)
{
	struct question q = {.id = ++t.next_id,
			     .event_ns = now_mono(),
			     .kind = Q_HOOKS,
			     .netns = t.here,
			     .nf_family = family,
			     .nf_hook = hook};
	struct pollfd pfd = {.fd = enrich_fd(t.e), .events = POLLIN};

	seen.n = 0;
	seen.ended = false;
	assert_int_equal(enrich_ask(t.e, &q), 0);
	while (!seen.ended) {
		assert_int_equal(poll(&pfd, 1, 20000), 1);
		enrich_take(t.e, answer_take, NULL);
	}
	assert_int_equal(seen.end.question, q.id);
	assert_int_equal(seen.end.count, seen.n);
	return seen.end.err;
}

static const struct rec_hook *chain_seen(const char *table, const char *chain)
{
	for (size_t i = 0; i < seen.n; i++)
		if (!strcmp(seen.v[i].table, table) && !strcmp(seen.v[i].chain, chain))
			return &seen.v[i];
	return NULL;
}

/* But for those that some kernels put into every namespace: AppArmor's, loaded tables of iptables. */
static size_t chains_seen(void)
{
	size_t n = 0;

	for (size_t i = 0; i < seen.n; i++)
		n += seen.v[i].maker == HOOK_NFTABLES;
	return n;
}

static bool rules_make(void)
{
	return !system("nft 'table inet keep { "
		       "chain in { type filter hook input priority -7; policy drop; }; "
		       "chain out { type filter hook output priority 7; }; }' 2>/dev/null");
}

static bool skipped(void)
{
	int err = enrich_prepare();

	if (!err && rules_make())
		return false;
	print_message("# skipped: %s\n", err ? strerror(-err) : "no nft(8), or no nftables");
	return true;
}

static void test_question(void **state)
{
	const struct rec_hook *in;
	(void)state;

	if (skipped())
		return;
	assert_int_equal(ask_hooks(2, 1), 0);
	in = chain_seen("keep", "in");
	assert_non_null(in);
	assert_int_equal(in->question, t.next_id);
	assert_int_equal(in->hdr.netns, t.here);
	assert_int_equal(in->maker, HOOK_NFTABLES);
	assert_int_equal(in->pf, 2);
	assert_int_equal(in->hook, 1);
	assert_int_equal(in->priority, -7);
	assert_int_equal(in->policy, 0);
	assert_int_equal(in->family, 1);
	assert_string_equal(in->type, "filter");
	assert_true((int64_t)in->function < 0 && (int64_t)in->priv < 0);
	assert_null(chain_seen("keep", "out"));
	assert_int_equal(ask_hooks(10, 3), 0);
	assert_non_null(chain_seen("keep", "out"));
	assert_int_equal(ask_hooks(0, NF_HOOK_ANY), 0);
	assert_int_equal(chains_seen(), 4);
	run("nft delete table inet keep");
	cache_expire();
	assert_int_equal(ask_hooks(0, NF_HOOK_ANY), 0);
	assert_int_equal(chains_seen(), 0);
}

static void test_namespaces(void **state)
{
	(void)state;
	if (skipped())
		return;
	seen.n = 0;
	assert_int_equal(enrich_hooks(t.peer, hook_keep, NULL), 0);
	assert_int_equal(chains_seen(), 0);
	assert_int_equal(enrich_hooks(t.here, hook_keep, NULL), 0);
	assert_int_equal(chains_seen(), 4);
	assert_int_equal(enrich_hooks(1, hook_keep, NULL), -ESRCH);
	run("nft delete table inet keep");
}

static void churn(void)
{
	for (int i = 0; i < 60; i++)
		if (system("nft 'table ip churn { "
			   "chain a { type filter hook input priority -9; }; "
			   "chain b { type nat hook output priority -100; }; "
			   "chain c { type filter hook input priority 9; }; }; "
			   "delete table ip churn'"))
			_exit(1);
	_exit(0);
}

/* While chains come and go, what stays is told in each look, and what is told makes sense. */
static void test_changing(void **state)
{
	size_t looks = 0;
	int status;
	pid_t pid;
	(void)state;

	if (skipped())
		return;
	pid = fork();
	if (!pid)
		churn();
	for (; !waitpid(pid, &status, WNOHANG); looks++) {
		int err;

		seen.n = 0;
		err = enrich_hooks(t.here, hook_keep, NULL);
		assert_true(!err || err == -EAGAIN);
		if (!err)
			assert_non_null(chain_seen("keep", "in"));
		for (size_t i = 0; i < seen.n; i++) {
			const struct rec_hook *h = &seen.v[i], *last = i ? h - 1 : NULL;

			if (last && last->pf == h->pf && last->hook == h->hook)
				assert_true(last->priority <= h->priority);
			if (h->maker == HOOK_NFTABLES)
				assert_true(!strcmp(h->table, "keep") ||
					    !strcmp(h->table, "churn") || !h->table[0]);
		}
	}
	assert_int_equal(status, 0);
	print_message("# %zu looks\n", looks);
	assert_in_range(looks, 1, SIZE_MAX);
	run("nft delete table inet keep");
}

static void test_memory(void **state)
{
	struct kmem_member m[] = {{.type = "task_struct", .member = "comm"},
				  {.type = "task_struct", .member = "no_such_member"},
				  {.type = "no_such_struct", .member = "comm"},
				  {.type = "task_struct"}};
	char comm[16], all[8192];
	uint64_t task;
	(void)state;

	if (kmem_open()) {
		print_message("# skipped: no reading of the kernel's memory\n");
		return;
	}
	assert_int_equal(kmem_find(m, ARRAY_SIZE(m)), 0);
	assert_true(m[0].found && m[3].found);
	assert_false(m[1].found || m[2].found);
	assert_int_equal(m[0].size, sizeof(comm));
	assert_int_equal(m[0].count, sizeof(comm));
	assert_in_range(m[3].size, m[0].at + sizeof(comm), 65536);
	assert_int_equal(kmem_current_task(&task), 0);
	assert_int_equal(kmem_read(task + m[0].at, comm, sizeof(comm)), 0);
	assert_string_equal(comm, t.comm);
	/* More than the program reads at once. */
	if (m[3].size > 4096 && m[3].size <= sizeof(all)) {
		assert_int_equal(kmem_read(task, all, m[3].size), 0);
		assert_memory_equal(all + m[0].at, comm, sizeof(comm));
	}
	assert_int_equal(kmem_read(0, comm, sizeof(comm)), -EFAULT);
	assert_int_equal(kmem_read((uint64_t)(uintptr_t)all, comm, sizeof(comm)), -EFAULT);
	assert_int_equal(kmem_read(~0ull - 4, comm, sizeof(comm)), -EFAULT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		LOOKUP_TEST(test_memory),
		LOOKUP_TEST(test_question),
		LOOKUP_TEST(test_namespaces),
		LOOKUP_TEST(test_changing),
	};

	return cmocka_run_group_tests(tests, group_setup, group_teardown);
}
