/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Attached BPF programs. All of them let everything pass. */
#include "test_enrich_found.h"

#include "cli/caps.h"
#include "enrich/bpf.h"

#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <bpf/libbpf.h>
#include <linux/capability.h>
#include <linux/if_link.h>
#include <linux/magic.h>
#include <net/if.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <time.h>

#define ATTACH_TCX_INGRESS ((enum bpf_attach_type)46)

/* A program that returns `verdict`. */
static int prog_load(enum bpf_prog_type type, enum bpf_attach_type attach, const char *name,
		     int verdict)
{
	struct bpf_insn insns[] = {
		{.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0, .imm = verdict},
		{.code = BPF_JMP | BPF_EXIT},
	};
	LIBBPF_OPTS(bpf_prog_load_opts, opts, .expected_attach_type = attach);
	int fd = bpf_prog_load(type, name, "GPL", insns, ARRAY_SIZE(insns), &opts);

	assert_true(fd >= 0);
	return fd;
}

static uint32_t prog_id(int fd)
{
	struct bpf_prog_info info = {0};
	uint32_t len = sizeof(info);

	assert_int_equal(bpf_obj_get_info_by_fd(fd, &info, &len), 0);
	return info.id;
}

static int find_at(uint32_t netns, const char *ifname)
{
	return find((struct question){
		.kind = Q_BPF_PROGS, .netns = netns, .ifindex = if_nametoindex(ifname)});
}

static const struct rec_bpf_prog *prog_find(uint32_t id)
{
	for (size_t i = 0; i < found.n; i++)
		if (found.v[i].prog.id == id)
			return &found.v[i].prog;
	fail_msg("program %u not found among %zu", id, found.n);
	return NULL;
}

/* ---- devices --------------------------------------------------------------------------------- */

static void test_none(void **state)
{
	(void)state;
	assert_int_equal(find_at(t.here, "tw0"), 0);
	assert_int_equal(found.n, 0);
	assert_int_equal(
		find((struct question){.kind = Q_BPF_PROGS, .netns = t.here, .ifindex = 99999}),
		-ENODEV);
	assert_int_equal(find((struct question){.kind = Q_BPF_PROGS, .netns = t.here}), -EINVAL);
	assert_int_equal(find((struct question){.kind = Q_BPF_PROGS, .netns = 1, .ifindex = 1}),
			 -ESRCH);
}

static uint64_t now_boot(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_BOOTTIME, &ts);
	return (uint64_t)ts.tv_sec * NSEC_PER_SEC + (uint64_t)ts.tv_nsec;
}

static void test_xdp(void **state)
{
	static const struct {
		uint32_t flags;
		const char *where;
	} modes[] = {{XDP_FLAGS_SKB_MODE, "generic"}, {XDP_FLAGS_DRV_MODE, "native"}};
	int ifindex = (int)if_nametoindex("tw0");

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(modes); i++) {
		uint64_t before = now_boot();
		int fd = prog_load(BPF_PROG_TYPE_XDP, 0, "tw_xdp", XDP_PASS);
		uint32_t id = prog_id(fd);
		const struct rec_bpf_prog *prog = &found.v[0].prog;

		assert_int_equal(bpf_xdp_attach(ifindex, fd, modes[i].flags, NULL), 0);
		assert_int_equal(find_at(t.here, "tw0"), 0);
		assert_int_equal(found.n, 1);
		assert_int_equal(prog->id, id);
		assert_int_equal(prog->place, BPF_AT_XDP);
		assert_string_equal(prog->name, "tw_xdp");
		assert_string_equal(prog->where, modes[i].where);
		assert_string_equal(prog->ifname, "tw0");
		assert_int_equal(prog->ifindex, ifindex);
		assert_int_equal(prog->uid, 0);
		assert_true(prog->loaded_ns >= before && prog->loaded_ns <= now_boot());
		assert_int_equal(prog->pid, getpid());
		assert_string_equal(prog->comm, t.comm);
		assert_string_equal(prog->pinned, "");
		assert_int_equal(prog->hdr.netns, t.here);
		close(fd); /* as a loader does that then ends */
		assert_int_equal(find_at(t.here, "tw0"), 0);
		assert_int_equal(prog->id, id);
		assert_int_equal(prog->pid, 0);
		assert_string_equal(prog->comm, "");
		assert_int_equal(bpf_xdp_detach(ifindex, modes[i].flags, NULL), 0);
	}
	assert_int_equal(find_at(t.here, "tw0"), 0);
	assert_int_equal(found.n, 0);
}

static uint16_t peer_has_xdp(void)
{
	int fd = prog_load(BPF_PROG_TYPE_XDP, 0, "tw_peer", XDP_PASS);

	return (uint16_t)bpf_xdp_attach((int)if_nametoindex("lo"), fd, XDP_FLAGS_SKB_MODE, NULL);
}

/* Both namespaces have a lo of ifindex 1. */
static void test_xdp_elsewhere(void **state)
{
	struct peer peer = peer_start(peer_has_xdp);

	(void)state;
	assert_int_equal(peer.port, 0);
	assert_int_equal(find_at(t.peer, "lo"), 0);
	assert_int_equal(found.n, 1);
	assert_string_equal(found.v[0].prog.name, "tw_peer");
	assert_int_equal(found.v[0].prog.pid, peer.pid);
	assert_int_equal(found.v[0].prog.hdr.netns, t.peer);
	assert_int_equal(find_at(t.here, "lo"), 0);
	assert_int_equal(found.n, 0);
	peer_end(&peer);
}

static int tc_attach(struct bpf_tc_hook *hook, int fd, uint32_t priority, uint32_t handle)
{
	LIBBPF_OPTS(bpf_tc_opts, opts, .prog_fd = fd, .priority = priority, .handle = handle);

	return bpf_tc_attach(hook, &opts);
}

static void test_tc(void **state)
{
	LIBBPF_OPTS(bpf_tc_hook, hook, .ifindex = (int)if_nametoindex("tw0"));
	int in = prog_load(BPF_PROG_TYPE_SCHED_CLS, 0, "tw_in", 0);
	int out = prog_load(BPF_PROG_TYPE_SCHED_CLS, 0, "tw_out", 0);
	const struct rec_bpf_prog *prog;

	(void)state;
	hook.attach_point = BPF_TC_INGRESS | BPF_TC_EGRESS;
	assert_int_equal(bpf_tc_hook_create(&hook), 0);
	hook.attach_point = BPF_TC_INGRESS;
	assert_int_equal(tc_attach(&hook, in, 10, 1), 0);
	hook.attach_point = BPF_TC_EGRESS;
	assert_int_equal(tc_attach(&hook, out, 49152, 0x2a), 0);
	assert_int_equal(find_at(t.here, "tw0"), 0);
	assert_int_equal(found.n, 2);
	prog = prog_find(prog_id(in));
	assert_int_equal(prog->place, BPF_AT_TC_INGRESS);
	assert_string_equal(prog->name, "tw_in");
	assert_string_equal(prog->where, "pref 10 handle 0x1");
	assert_string_equal(prog->ifname, "tw0");
	assert_int_equal(prog->pid, getpid());
	prog = prog_find(prog_id(out));
	assert_int_equal(prog->place, BPF_AT_TC_EGRESS);
	assert_string_equal(prog->name, "tw_out");
	assert_string_equal(prog->where, "pref 49152 handle 0x2a");
	close(in);
	close(out);
	run("tc qdisc del dev tw0 clsact");
}

/* The older qdisc has no filters at egress, and answers as if it had. */
static void test_tc_ingress(void **state)
{
	int fd = prog_load(BPF_PROG_TYPE_SCHED_CLS, 0, "tw_in", 0);

	(void)state;
	run("mount -t bpf none /sys/fs/bpf");
	assert_int_equal(bpf_obj_pin(fd, "/sys/fs/bpf/tw_in"), 0);
	run("tc qdisc add dev tw0 ingress && tc filter add dev tw0 ingress pref 3 bpf da "
	    "object-pinned /sys/fs/bpf/tw_in");
	assert_int_equal(find_at(t.here, "tw0"), 0);
	assert_int_equal(found.n, 1);
	assert_int_equal(found.v[0].prog.id, prog_id(fd));
	assert_int_equal(found.v[0].prog.place, BPF_AT_TC_INGRESS);
	assert_string_equal(found.v[0].prog.where, "pref 3 handle 0x1");
	assert_string_equal(found.v[0].prog.pinned, "/sys/fs/bpf/tw_in");
	close(fd);
	assert_int_equal(find_at(t.here, "tw0"), 0);
	assert_int_equal(found.v[0].prog.pid, 0);
	assert_string_equal(found.v[0].prog.pinned, "/sys/fs/bpf/tw_in");
	run("tc qdisc del dev tw0 ingress && umount /sys/fs/bpf");
}

static void assert_filter(enum bpf_place place, const char *where, uint32_t id, const char *name)
{
	for (size_t i = 0; i < found.n; i++) {
		const struct rec_bpf_prog *prog = &found.v[i].prog;

		if (strcmp(prog->where, where) != 0)
			continue;
		assert_int_equal(prog->place, place);
		assert_int_equal(prog->id, id);
		assert_string_equal(prog->name, name);
		return;
	}
	fail_msg("no filter at %s", where);
}

/* Filters that are no programs, but drop. */
static void test_tc_drop(void **state)
{
	(void)state;
	if (system("tc qdisc add dev tw0 clsact && tc filter add dev tw0 egress pref 7 handle 5 "
		   "protocol ip matchall action drop 2>/dev/null && "
		   "tc filter add dev tw0 ingress pref 8 protocol ip flower dst_ip 192.0.2.1 "
		   "action drop 2>/dev/null && "
		   "tc filter add dev tw0 ingress pref 9 protocol ip flower dst_ip 192.0.2.2 "
		   "action ok 2>/dev/null")) {
		print_message("# filters that drop skipped: no matchall, flower or gact\n");
	} else {
		assert_int_equal(find_at(t.here, "tw0"), 0);
		assert_int_equal(found.n, 2);
		assert_filter(BPF_AT_TC_EGRESS, "pref 7 handle 0x5 action drop", 0, "matchall");
		assert_filter(BPF_AT_TC_INGRESS, "pref 8 handle 0x1 action drop", 0, "flower");
		assert_int_equal(found.v[0].prog.pid, 0);
	}
	run("tc qdisc del dev tw0 clsact");
}

/* Actions other than drop, and a filter that isn't clsact's. */
static void test_tc_actions(void **state)
{
	int fd = prog_load(BPF_PROG_TYPE_SCHED_ACT, 0, "tw_act", 0);

	(void)state;
	run("mount -t bpf none /sys/fs/bpf && tc qdisc add dev tw0 clsact");
	assert_int_equal(bpf_obj_pin(fd, "/sys/fs/bpf/tw_act"), 0);
	if (system("tc filter add dev tw0 egress pref 7 protocol ip matchall"
		   " action bpf object-pinned /sys/fs/bpf/tw_act 2>/dev/null &&"
		   "tc filter add dev tw0 ingress pref 8 protocol ip matchall"
		   " action police rate 1mbit burst 10k conform-exceed drop 2>/dev/null &&"
		   "tc qdisc add dev tw0 root handle 1: prio 2>/dev/null &&"
		   "tc filter add dev tw0 parent 1: pref 4 protocol ip matchall"
		   " action drop 2>/dev/null")) {
		print_message("# other actions skipped: no matchall, act_bpf, police, gact or "
			      "prio\n");
	} else {
		assert_int_equal(find_at(t.here, "tw0"), 0);
		assert_int_equal(found.n, 3);
		assert_filter(BPF_AT_TC_EGRESS, "pref 7 handle 0x1 action bpf", prog_id(fd),
			      "tw_act");
		assert_filter(BPF_AT_TC_INGRESS, "pref 8 handle 0x1 action police", 0, "matchall");
		assert_filter(BPF_AT_TC_EGRESS, "root pref 4 handle 0x1 action drop", 0,
			      "matchall");
		run("tc qdisc del dev tw0 root");
	}
	close(fd);
	run("tc qdisc del dev tw0 clsact && umount /sys/fs/bpf");
}

static void test_tcx(void **state)
{
	int fd = prog_load(BPF_PROG_TYPE_SCHED_CLS, 0, "tw_tcx", 0);
	int link = bpf_link_create(fd, (int)if_nametoindex("tw0"), ATTACH_TCX_INGRESS, NULL);
	uint32_t id = prog_id(fd);

	(void)state;
	if (link < 0) {
		print_message("# tcx skipped: the kernel has none\n");
		close(fd);
		return;
	}
	close(fd); /* the link has it */
	assert_int_equal(find_at(t.here, "tw0"), 0);
	assert_int_equal(found.n, 1);
	assert_int_equal(found.v[0].prog.id, id);
	assert_int_equal(found.v[0].prog.place, BPF_AT_TC_INGRESS);
	assert_string_equal(found.v[0].prog.name, "tw_tcx");
	assert_string_equal(found.v[0].prog.where, "tcx");
	assert_int_equal(found.v[0].prog.pid, getpid());
	close(link);
	assert_int_equal(find_at(t.here, "tw0"), 0);
	assert_int_equal(found.n, 0);
}

/* ---- cgroups --------------------------------------------------------------------------------- */

static char cgroup_dir[128];

static bool cgroup_make(void)
{
	static const char *const mounts[] = {"/sys/fs/cgroup", "/sys/fs/cgroup/unified"};
	struct statfs fs;
	char path[160];

	for (size_t i = 0; i < ARRAY_SIZE(mounts); i++) {
		if (statfs(mounts[i], &fs) || fs.f_type != CGROUP2_SUPER_MAGIC)
			continue;
		snprintf(cgroup_dir, sizeof(cgroup_dir), "%s/tcpwhy-test-%d", mounts[i], getpid());
		snprintf(path, sizeof(path), "%s/below", cgroup_dir);
		return !mkdir(cgroup_dir, 0755) && !mkdir(path, 0755);
	}
	return false;
}

static int cgroup_fd(const char *below)
{
	char path[160];
	int fd;

	snprintf(path, sizeof(path), "%s%s", cgroup_dir, below);
	fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_true(fd >= 0);
	return fd;
}

static uint64_t cgroup_id(int fd)
{
	struct stat st;

	assert_int_equal(fstat(fd, &st), 0);
	return st.st_ino;
}

static int find_cgroup(uint64_t id)
{
	return find((struct question){.kind = Q_BPF_PROGS, .netns = t.here, .cgroup = id});
}

static void cgroup_programs(int above, int below)
{
	int egress = prog_load(BPF_PROG_TYPE_CGROUP_SKB, 0, "tw_egress", 1);
	int connect = prog_load(BPF_PROG_TYPE_CGROUP_SOCK_ADDR, BPF_CGROUP_INET6_CONNECT,
				"tw_connect", 1);
	const struct rec_bpf_prog *prog;
	char path[160];
	int link;

	assert_int_equal(bpf_prog_attach(egress, above, BPF_CGROUP_INET_EGRESS, BPF_F_ALLOW_MULTI),
			 0);
	link = bpf_link_create(connect, below, BPF_CGROUP_INET6_CONNECT, NULL);
	assert_true(link >= 0);
	assert_int_equal(find_cgroup(cgroup_id(below)), 0);
	prog = prog_find(prog_id(egress));
	assert_int_equal(prog->place, BPF_AT_CGROUP_EGRESS);
	assert_string_equal(prog->name, "tw_egress");
	assert_string_equal(prog->where, cgroup_dir);
	assert_int_equal(prog->pid, getpid());
	assert_int_equal(prog->ifindex, 0);
	prog = prog_find(prog_id(connect));
	assert_int_equal(prog->place, BPF_AT_CGROUP_CONNECT);
	assert_string_equal(prog->name, "tw_connect");
	snprintf(path, sizeof(path), "%s/below", cgroup_dir);
	assert_string_equal(prog->where, path);

	/* What is below doesn't run above. */
	assert_int_equal(find_cgroup(cgroup_id(above)), 0);
	prog_find(prog_id(egress));
	for (size_t i = 0; i < found.n; i++)
		assert_int_not_equal(found.v[i].prog.id, prog_id(connect));
	close(link);
	close(connect);
	close(egress);
}

static void test_cgroup(void **state)
{
	char path[160];
	int above, below;
	uint64_t gone;

	(void)state;
	if (!cgroup_make()) {
		print_message("# cgroups skipped: no cgroup v2 that can be written\n");
		return;
	}
	above = cgroup_fd("");
	below = cgroup_fd("/below");
	gone = cgroup_id(below);
	cgroup_programs(above, below);
	close(above);
	close(below);
	snprintf(path, sizeof(path), "%s/below", cgroup_dir);
	assert_int_equal(rmdir(path), 0);
	assert_int_equal(rmdir(cgroup_dir), 0);
	assert_int_equal(find_cgroup(gone), -ESTALE);
	assert_int_equal(found.n, 0);
}

/* ---- programs -------------------------------------------------------------------------------- */

static void test_holder(void **state)
{
	int fd = prog_load(BPF_PROG_TYPE_XDP, 0, "tw_held", XDP_PASS), again;
	uint32_t id = prog_id(fd), pid = 0;
	char comm[16] = "";

	(void)state;
	assert_int_equal(bpf_holder(id, &pid, comm), 0);
	assert_int_equal(pid, getpid());
	assert_string_equal(comm, t.comm);
	again = fcntl(fd, F_DUPFD_CLOEXEC, 100);
	close(fd);
	assert_int_equal(bpf_holder(id, &pid, comm), 0); /* by another descriptor */
	assert_int_equal(pid, getpid());
	close(again);
	assert_int_equal(bpf_holder(id, &pid, comm), -ENOENT);
	assert_int_equal(bpf_holder(0, &pid, comm), -ENOENT);
}

/* The kernel itself knows but 15 bytes of the name. */
static void test_long_name(void **state)
{
	static const char name[] = "tw_name_of_some_length";
	struct bpf_insn insns[] = {
		{.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0, .imm = XDP_PASS},
		{.code = BPF_JMP | BPF_EXIT},
	};
	struct btf *btf = btf__new_empty();
	int number = btf__add_int(btf, "int", 4, BTF_INT_SIGNED);
	int proto = btf__add_func_proto(btf, number);
	struct bpf_func_info func = {
		.type_id = (uint32_t)btf__add_func(btf, name, BTF_FUNC_STATIC, proto)};
	LIBBPF_OPTS(bpf_prog_load_opts, opts, .func_info = &func, .func_info_cnt = 1,
		    .func_info_rec_size = sizeof(func));
	int ifindex = (int)if_nametoindex("tw0"), fd;

	(void)state;
	assert_int_equal(btf__load_into_kernel(btf), 0);
	opts.prog_btf_fd = (uint32_t)btf__fd(btf);
	fd = bpf_prog_load(BPF_PROG_TYPE_XDP, name, "GPL", insns, ARRAY_SIZE(insns), &opts);
	assert_true(fd >= 0);
	assert_int_equal(bpf_xdp_attach(ifindex, fd, XDP_FLAGS_SKB_MODE, NULL), 0);
	assert_int_equal(find_at(t.here, "tw0"), 0);
	assert_string_equal(found.v[0].prog.name, name);
	assert_int_equal(bpf_xdp_detach(ifindex, XDP_FLAGS_SKB_MODE, NULL), 0);
	close(fd);
	btf__free(btf);
}

/* Asks with no more privileges than watch keeps. 0, or what was wrong. */
static int ask_unprivileged(uint32_t id, uint64_t cgroup, pid_t holder)
{
	static const int keep[] = {CAP_SYS_ADMIN, CAP_NET_ADMIN, CAP_SYS_PTRACE,
				   CAP_DAC_READ_SEARCH, CAP_SYSLOG};

	if (caps_keep(keep, ARRAY_SIZE(keep)) || enrich_open(&t.e))
		return 2;
	if (find((struct question){.kind = Q_BPF_PROGS,
				   .netns = t.here,
				   .ifindex = if_nametoindex("tw0"),
				   .cgroup = cgroup}))
		return 3;
	if (found.n < 1 || found.v[0].prog.id != id || strcmp(found.v[0].prog.name, "tw_caps") != 0)
		return 4;
	if (found.v[0].prog.pid != (uint32_t)holder)
		return 5;
	return strcmp(found.v[0].prog.pinned, "/sys/fs/bpf/tw_caps") ? 6 : 0;
}

static void test_kept_privileges(void **state)
{
	int fd = prog_load(BPF_PROG_TYPE_XDP, 0, "tw_caps", XDP_PASS);
	int ifindex = (int)if_nametoindex("tw0"), root, status;
	uint64_t cgroup = 0;
	uint32_t id = prog_id(fd);
	pid_t holder = getpid(), pid;

	(void)state;
	run("mount -t bpf none /sys/fs/bpf");
	assert_int_equal(bpf_obj_pin(fd, "/sys/fs/bpf/tw_caps"), 0);
	assert_int_equal(bpf_xdp_attach(ifindex, fd, XDP_FLAGS_SKB_MODE, NULL), 0);
	if (cgroup_dir[0]) {
		*strrchr(cgroup_dir, '/') = '\0';
		root = cgroup_fd("");
		cgroup = cgroup_id(root);
		close(root);
	}
	pid = fork();
	if (!pid) {
		close(fd);
		_exit(ask_unprivileged(id, cgroup, holder));
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	assert_int_equal(bpf_xdp_detach(ifindex, XDP_FLAGS_SKB_MODE, NULL), 0);
	close(fd);
	run("umount /sys/fs/bpf");
}

static int setup(void **state)
{
	int err = group_setup(state);
	int fd = err || t.skip ? -1 : bpf_prog_get_next_id(0, &(uint32_t){0});

	if (!err && !t.skip && fd == -EPERM) {
		t.skip = "no bpf()";
		print_message("# lookups skipped: %s\n", t.skip);
	}
	return err;
}

static int teardown(void **state)
{
	char path[160];

	snprintf(path, sizeof(path), "%s/below", cgroup_dir);
	if (strstr(cgroup_dir, "/tcpwhy-test-") && !rmdir(path)) /* a test failed */
		rmdir(cgroup_dir);
	return group_teardown(state);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		LOOKUP_TEST(test_none),		 LOOKUP_TEST(test_xdp),
		LOOKUP_TEST(test_xdp_elsewhere), LOOKUP_TEST(test_tc),
		LOOKUP_TEST(test_tc_ingress),	 LOOKUP_TEST(test_tc_drop),
		LOOKUP_TEST(test_tc_actions),	 LOOKUP_TEST(test_tcx),
		LOOKUP_TEST(test_cgroup),	 LOOKUP_TEST(test_holder),
		LOOKUP_TEST(test_long_name),	 LOOKUP_TEST(test_kept_privileges),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
