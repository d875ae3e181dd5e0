/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "source/live.h"

#include "record/record.h"
#include "source/btf_trim.h"
#include "tcpwhy.skel.h"

#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <sys/resource.h>
#include <sys/utsname.h>

/*
 * Each probe: the program and, for older kernels, its other forms, told apart by how many arguments
 * the kernel's tracepoint has (including the data pointer that BTF counts first).
 */
struct probe_def {
	const char *tracepoint;
	const char *program[3];
	int args[3]; /* of the tracepoint, at least; 0 ends the list */
	const char *what;
	const char *missing;
	const char *older;
	bool tasks; /* only with follow_forks */
};

/* clang-format off */
static const struct probe_def probe_defs[] = {
	{"tcp_send_reset", {"tcp_send_reset", "tcp_send_reset_old"}, {4, 3},
	 "resets sent, with the packet that asked for them and the kernel's reason",
	 "why a reset was sent", "resets sent without a socket, and the kernel's reason for a reset"},
	{"tcp_receive_reset", {"tcp_receive_reset"}, {2}, "resets received", "resets received", NULL},
	{"kfree_skb", {"kfree_skb", "kfree_skb_3", "kfree_skb_2"}, {5, 4, 3}, "packets dropped, and why", "drops",
	 "the receiving socket of a drop (and, before 5.17, the reason)"},
	{"tcp_retransmit_skb", {"tcp_retransmit_skb", "tcp_retransmit_skb_2"}, {4, 3}, "retransmissions",
	 "retransmissions", "whether a retransmission could be sent"},
	{"tcp_retransmit_synack", {"tcp_retransmit_synack"}, {3}, "SYN-ACK retransmissions", "SYN-ACK retransmissions",
	 NULL},
	{"inet_sock_set_state", {"inet_sock_set_state"}, {4}, "socket states", "connects that fail, and who closed a socket",
	 NULL},
	{"inet_sk_error_report", {"inet_sk_error_report"}, {2}, "socket errors", "errors reported to sockets", NULL},
	{"net_dev_queue", {"net_dev_queue"}, {2}, "SYNs, resets and ICMP errors that leave",
	 "whether SYNs left, resets of REJECT rules, ICMP errors sent", NULL},
	{"netif_receive_skb", {"netif_receive_skb"}, {2}, "SYNs, resets and ICMP errors that arrive",
	 "SYNs that are refused silently, headers of resets received, ICMP errors received", NULL},
	{"sys_exit", {"sys_exit"}, {3}, "connect() calls that fail at once", "connects that fail without a packet", NULL},
	{"sched_process_fork", {"sched_process_fork"}, {3}, "children of the watched processes",
	 "children of the watched processes", NULL, true},
};
/* clang-format on */

struct names {
	char **v; /* by number */
	size_t n;
};

struct live {
	struct tcpwhy_bpf *skel;
	int btf_fd; /* of the types for libbpf, while it loads the programs */
	struct ring_buffer *ring;
	struct live_probe probes[ARRAY_SIZE(probe_defs)];
	struct bpf_link *links[ARRAY_SIZE(probe_defs)];
	struct names drop_reasons;
	struct names reset_reasons;
	void (*fn)(void *arg, struct rec_hdr *rec);
	void *arg;
	uint64_t seq;
	uint64_t invalid;
};

static void names_free(struct names *names)
{
	for (size_t i = 0; i < names->n; i++)
		free(names->v[i]);
	free(names->v);
	*names = (struct names){0};
}

#define NAMES_MAX 1024 /* reasons of subsystems (values above 65535) have no name here */

/* The members of an enum of the kernel, their common prefix taken off. Missing enum: no names. */
static int names_load(const struct btf *btf, const char *type, const char *prefix,
		      struct names *ret)
{
	int id = btf__find_by_name_kind(btf, type, BTF_KIND_ENUM);
	const struct btf_type *t;
	const struct btf_enum *e;

	if (id < 0)
		return 0;
	t = btf__type_by_id(btf, (uint32_t)id);
	e = btf_enum(t);
	ret->v = calloc(NAMES_MAX, sizeof(*ret->v));
	if (!ret->v)
		return -ENOMEM;
	ret->n = NAMES_MAX;
	for (int i = 0; i < btf_vlen(t); i++) {
		const char *name = btf__name_by_offset(btf, e[i].name_off);
		size_t skip = strlen(prefix);

		if (e[i].val < 0 || e[i].val >= NAMES_MAX || !name || ret->v[e[i].val])
			continue;
		ret->v[e[i].val] = strdup(strncmp(name, prefix, skip) == 0 ? name + skip : name);
		if (!ret->v[e[i].val])
			return -ENOMEM;
	}
	return 0;
}

static const char *names_get(const struct names *names, uint32_t n)
{
	return n < names->n && names->v[n] ? names->v[n] : "";
}

/*
 * How many arguments does the tracepoint have (the data pointer included)? 0: this kernel doesn't
 * have it.
 */
static int tracepoint_args(const struct btf *btf, const char *tracepoint)
{
	_cleanup_strbuf_ struct strbuf name = {0};
	const struct btf_type *t;
	int id;

	strbuf_addf(&name, "btf_trace_%s", tracepoint);
	id = btf__find_by_name_kind(btf, name.s, BTF_KIND_TYPEDEF);
	if (id < 0)
		return 0;
	t = btf__type_by_id(btf, btf__type_by_id(btf, (uint32_t)id)->type); /* typedef -> pointer */
	if (!t || !btf_is_ptr(t))
		return 0;
	t = btf__type_by_id(btf, t->type);
	return t && btf_is_func_proto(t) ? btf_vlen(t) : 0;
}

/* Chooses the form of each probe that this kernel's tracepoint fits; the others aren't loaded. */
static void probes_choose(struct live *l, const struct btf *btf, bool tasks)
{
	for (size_t i = 0; i < ARRAY_SIZE(probe_defs); i++) {
		const struct probe_def *def = &probe_defs[i];
		struct live_probe *probe = &l->probes[i];
		int args = tracepoint_args(btf, def->tracepoint);
		bool chosen = false;

		probe->name = def->tracepoint;
		probe->what = def->what;
		probe->missing = def->missing;
		for (size_t form = 0; form < ARRAY_SIZE(def->program) && def->program[form];
		     form++) {
			struct bpf_program *prog =
				bpf_object__find_program_by_name(l->skel->obj, def->program[form]);
			bool fits = !chosen && args >= def->args[form] && (!def->tasks || tasks);

			bpf_program__set_autoload(prog, fits);
			if (!fits)
				continue;
			chosen = true;
			probe->older = form > 0;
			probe->missing = form > 0 ? def->older : NULL;
		}
	}
}

static void probes_attach(struct live *l)
{
	for (size_t i = 0; i < ARRAY_SIZE(probe_defs); i++) {
		const struct probe_def *def = &probe_defs[i];

		for (size_t form = 0; form < ARRAY_SIZE(def->program) && def->program[form];
		     form++) {
			struct bpf_program *prog =
				bpf_object__find_program_by_name(l->skel->obj, def->program[form]);

			if (!bpf_program__autoload(prog))
				continue;
			l->links[i] = bpf_program__attach(prog);
			l->probes[i].attached = l->links[i] != NULL;
			if (!l->links[i])
				l->probes[i].missing = def->missing;
		}
	}
}

static int why_not(int err, struct strbuf *why)
{
	/* For root EACCES is the verifier's word, not a missing privilege. */
	if (err == -EPERM || (err == -EACCES && geteuid()))
		strbuf_add(why, geteuid() ? "tcpwhy needs root to watch the kernel: run it with "
					    "sudo"
					  : "the kernel refuses BPF to this process (a container, "
					    "or lockdown): run it on the "
					    "host, with CAP_BPF, CAP_PERFMON, CAP_NET_ADMIN and "
					    "CAP_SYS_ADMIN");
	else
		strbuf_addf(why, "the kernel did not load the BPF programs (%s): see tcpwhy doctor",
			    strerror(-err));
	return err;
}

static int no_btf(const char *path, struct strbuf *why)
{
	struct utsname u;

	uname(&u);
	if (path)
		strbuf_addf(why, "%s holds no BTF of a kernel: give the file that belongs to %s",
			    path, u.release);
	else
		strbuf_addf(why,
			    "this kernel (%s) carries no BTF: use a kernel built with "
			    "CONFIG_DEBUG_INFO_BTF=y, or give "
			    "its BTF with --btf FILE",
			    u.release);
	return -ENODATA;
}

static int take_one(void *arg, void *data, size_t size)
{
	struct live *l = arg;
	struct rec_event e;

	if (size != sizeof(e)) {
		l->invalid++;
		return 0;
	}
	memcpy(&e, data, sizeof(e));
	e.hdr.wall_ns = now_wall() - (now_mono() - e.hdr.mono_ns);
	e.hdr.seq = ++l->seq;
	if (e.has_reason)
		str_copy(e.reason_name, sizeof(e.reason_name),
			 names_get(e.hdr.kind == REC_RST_SENT ? &l->reset_reasons
							      : &l->drop_reasons,
				   e.reason));
	if (record_validate(&e, sizeof(e)) < 0) {
		l->invalid++;
		return 0;
	}
	l->fn(l->arg, &e.hdr);
	return 0;
}

static void config_fill(struct live *l, const struct live_options *o)
{
	struct config *config = (struct config *)&l->skel->rodata->cfg;

	*config = o->config;
	for (uint32_t i = 0; o->is_noise && i < CONFIG_REASONS; i++)
		config->noise[i] = o->is_noise(names_get(&l->drop_reasons, i));
	config->noise[0] = l->drop_reasons.n > 0; /* SKB_NOT_DROPPED_YET */
}

/*
 * Opens the programs with as much of the kernel's types as they need. Where conntrack is a module,
 * its types are in the module's own BTF, on top of the kernel's.
 */
static int open_programs(struct live *l, const struct btf *btf, const struct btf *conntrack)
{
	struct bpf_object_open_opts opts = {.sz = sizeof(opts)};
	_cleanup_close_ int fd = -1;
	char path[32];

	l->skel = tcpwhy_bpf__open();
	if (!l->skel)
		return -errno;
	fd = btf_trim(conntrack ? conntrack : btf, bpf_object__btf(l->skel->obj));
	if (fd < 0)
		return fd;
	tcpwhy_bpf__destroy(l->skel);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	opts.btf_custom_path = path;
	l->skel = tcpwhy_bpf__open_opts(&opts);
	l->btf_fd = l->skel ? fd : -1;
	fd = l->skel ? -1 : fd;
	return l->skel ? 0 : -errno;
}

/*
 * Kernels before 5.13 (commit e5069b9c23b3) have no pointers among the arguments of global
 * functions: there, static ones, which the verifier follows at every call, must do.
 */
static void functions_make_static(struct bpf_object *obj)
{
	struct btf *btf = bpf_object__btf(obj);

	for (uint32_t id = 1; btf && id < btf__type_cnt(btf); id++) {
		struct btf_type *t = (struct btf_type *)btf__type_by_id(btf, id);
		const char *name = btf__name_by_offset(btf, t->name_off);

		if (btf_is_func(t) && btf_vlen(t) == BTF_FUNC_GLOBAL &&
		    !bpf_object__find_program_by_name(obj, name))
			t->info = (t->info & ~0xffffu) | BTF_FUNC_STATIC;
	}
}

static void programs_close(struct live *l)
{
	tcpwhy_bpf__destroy(l->skel);
	l->skel = NULL;
	close_fd(&l->btf_fd);
}

static int programs_load(struct live *l, const struct live_options *o, struct btf *btf,
			 bool global_functions)
{
	struct btf *conntrack = o->btf ? NULL : btf__load_module_btf("nf_conntrack", btf);
	int err = open_programs(l, btf, conntrack);

	btf__free(conntrack);
	if (err)
		return err;
	probes_choose(l, btf, o->follow_forks);
	config_fill(l, o);
	if (!global_functions)
		functions_make_static(l->skel->obj);
	err = tcpwhy_bpf__load(l->skel);
	if (err)
		programs_close(l);
	else
		close_fd(&l->btf_fd);
	return err;
}

static int load(struct live *l, const struct live_options *o, struct strbuf *why)
{
	struct btf *btf = o->btf ? btf__parse(o->btf, NULL) : btf__load_vmlinux_btf();
	int err;

	if (!btf)
		return no_btf(o->btf, why);
	err = names_load(btf, "skb_drop_reason", "SKB_DROP_REASON_", &l->drop_reasons);
	if (!err)
		err = names_load(btf, "sk_rst_reason", "SK_RST_REASON_", &l->reset_reasons);
	if (!err) {
		err = programs_load(l, o, btf, true);
		if (err == -EINVAL)
			err = programs_load(l, o, btf, false);
	}
	btf__free(btf);
	return err ? why_not(err, why) : 0;
}

static int quiet(enum libbpf_print_level level, const char *fmt, va_list ap)
{
	if (!getenv("TCPWHY_LIBBPF_DEBUG") || level > LIBBPF_WARN)
		return 0;
	return vfprintf(stderr, fmt, ap);
}

int live_open(const struct live_options *o, struct live **ret, struct strbuf *why)
{
	struct rlimit unlimited = {RLIM_INFINITY, RLIM_INFINITY};
	struct live *l = calloc(1, sizeof(*l));
	int err;

	if (!l)
		return -ENOMEM;
	l->btf_fd = -1;
	libbpf_set_print(quiet);
	/*
	 * Kernels before 5.11 charge BPF memory to RLIMIT_MEMLOCK (commit 97306be45fbe); no
	 * privilege, no matter.
	 */
	(void)setrlimit(RLIMIT_MEMLOCK, &unlimited);
	err = load(l, o, why);
	if (err)
		goto fail;
	l->ring = ring_buffer__new(bpf_map__fd(l->skel->maps.ring), take_one, l, NULL);
	if (!l->ring) {
		err = why_not(-errno, why);
		goto fail;
	}
	probes_attach(l);
	err = -ENOENT;
	for (size_t i = 0; i < ARRAY_SIZE(l->probes); i++)
		if (l->probes[i].attached)
			err = 0;
	if (err) {
		strbuf_add(why, "none of the kernel's tracepoints could be attached: see tcpwhy "
				"doctor");
		goto fail;
	}
	*ret = l;
	return 0;
fail:
	live_close(l);
	return err;
}

void live_close(struct live *l)
{
	if (!l)
		return;
	for (size_t i = 0; i < ARRAY_SIZE(l->links); i++)
		bpf_link__destroy(l->links[i]);
	ring_buffer__free(l->ring);
	close_fd(&l->btf_fd);
	tcpwhy_bpf__destroy(l->skel);
	names_free(&l->drop_reasons);
	names_free(&l->reset_reasons);
	free(l);
}

int live_fd(const struct live *l)
{
	return ring_buffer__epoll_fd(l->ring);
}

int live_take(struct live *l, void (*fn)(void *arg, struct rec_hdr *rec), void *arg)
{
	l->fn = fn;
	l->arg = arg;
	return ring_buffer__consume(l->ring);
}

uint64_t live_lost(const struct live *l)
{
	return __atomic_load_n(&l->skel->bss->lost_ever, __ATOMIC_RELAXED);
}

/*
 * Events that no program saw: one that interrupts the same program on its CPU is not run (kernel
 * 5.12 and newer count that: kernel/bpf/trampoline.c, bpf_prog_inc_misses_counter).
 */
static uint64_t missed(const struct live *l)
{
	struct bpf_program *prog;
	uint64_t n = 0;

	bpf_object__for_each_program(prog, l->skel->obj)
	{
		struct bpf_prog_info info = {0};
		uint32_t len = sizeof(info);

		if (bpf_program__fd(prog) >= 0 &&
		    bpf_obj_get_info_by_fd(bpf_program__fd(prog), &info, &len) == 0)
			n += info.recursion_misses;
	}
	return n;
}

static void sum_up(const struct count_value *values, int cpus, struct count_value *sum)
{
	*sum = (struct count_value){0};
	for (int i = 0; i < cpus; i++) {
		sum->seen += values[i].seen;
		sum->shown += values[i].shown;
		sum->suppressed += values[i].suppressed;
		sum->lost += values[i].lost;
	}
}

static const char *key_reason(const struct live *l, const struct count_key *key)
{
	if (key->kind == REC_RST_SENT)
		return names_get(&l->reset_reasons, key->reason);
	return key->kind == REC_DROP ? names_get(&l->drop_reasons, key->reason) : "";
}

/* What has no row of its own: beyond the table's size, or never seen by a program. */
static int count_others(struct live *l, struct count_value *values, int cpus,
			struct count_value *sum)
{
	uint64_t misses = missed(l);
	uint32_t first = 0;

	if (bpf_map_lookup_elem(bpf_map__fd(l->skel->maps.overflow), &first, values))
		return -errno;
	sum_up(values, cpus, sum);
	sum->seen += misses;
	sum->lost += misses;
	return 0;
}

int live_counts(struct live *l,
		void (*fn)(void *arg, const struct count_key *key, const struct count_value *sum,
			   const char *reason_name),
		void *arg)
{
	int fd = bpf_map__fd(l->skel->maps.counts), cpus = libbpf_num_possible_cpus(), err;
	_cleanup_free_ struct count_value *values =
		calloc((size_t)(cpus > 0 ? cpus : 1), sizeof(*values));
	struct count_key key, next;
	struct count_value sum;
	void *at = NULL;

	if (!values || cpus <= 0)
		return -ENOMEM;
	while (!bpf_map_get_next_key(fd, at, &next)) {
		if (bpf_map_lookup_elem(fd, &next, values))
			return -errno;
		sum_up(values, cpus, &sum);
		if (sum.seen)
			fn(arg, &next, &sum, key_reason(l, &next));
		key = next;
		at = &key;
	}
	err = count_others(l, values, cpus, &sum);
	if (!err && sum.seen)
		fn(arg, &(struct count_key){0}, &sum, "");
	return err;
}

int live_watch_pid(struct live *l, uint32_t pid)
{
	uint8_t one = 1;

	return bpf_map_update_elem(bpf_map__fd(l->skel->maps.pids), &pid, &one, BPF_ANY) ? -errno
											 : 0;
}

/* The same key as port_key() of bpf/common.bpf.h makes. */
int live_watch_port(struct live *l, uint32_t netns, uint16_t port)
{
	uint64_t key = (uint64_t)netns << 16 | port;
	uint8_t one = 1;

	return bpf_map_update_elem(bpf_map__fd(l->skel->maps.ports), &key, &one, BPF_ANY) ? -errno
											  : 0;
}

/* The same key as flow_key_set() of bpf/common.bpf.h makes, for any namespace. */
int live_admit(struct live *l, const struct rec_tuple *t)
{
	struct {
		uint64_t a[2], b[2];
		uint16_t a_port, b_port;
		uint32_t netns;
	} key = {.a_port = t->sport, .b_port = t->dport},
	  swapped = {.a_port = t->dport, .b_port = t->sport};
	uint8_t one = 1;
	bool swap;

	memcpy(key.a, t->src, 16);
	memcpy(key.b, t->dst, 16);
	memcpy(swapped.a, t->dst, 16);
	memcpy(swapped.b, t->src, 16);
	swap = key.a[0] > key.b[0] ||
	       (key.a[0] == key.b[0] &&
		(key.a[1] > key.b[1] || (key.a[1] == key.b[1] && t->sport > t->dport)));
	return bpf_map_update_elem(bpf_map__fd(l->skel->maps.flows), swap ? &swapped : &key, &one,
				   BPF_ANY)
		       ? -errno
		       : 0;
}

const struct live_probe *live_probes(const struct live *l, size_t *ret_n)
{
	*ret_n = ARRAY_SIZE(l->probes);
	return l->probes;
}
