/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "source/live_private.h"

#include "record/record.h"
#include "source/btf_trim.h"

#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/utsname.h>

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

/* kernel/trace/bpf_trace.c: with lockdown=confidentiality there is no bpf_probe_read_kernel. */
static int no_reading(struct strbuf *why)
{
	strbuf_add(why, "this kernel lets no BPF program read its memory "
			"(lockdown=confidentiality, "
			"see /sys/kernel/security/lockdown): boot it with lockdown=integrity or "
			"none");
	return -EPERM;
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
	own_code_skip(l, &e);
	if (e.nf.has & NF_INVALID)
		nf_words_fill(&e.nf);
	if (record_validate(&e, sizeof(e)) < 0) {
		l->invalid++;
		return 0;
	}
	l->fn(l->arg, &e.hdr);
	return 0;
}

/* Of a helper BTF has the type, too, that its definition makes (include/linux/filter.h, BPF_CALL_x). */
static bool has_helper(const struct btf *btf, const char *name)
{
	char type[64];

	snprintf(type, sizeof(type), "btf_%s", name);
	return btf__find_by_name(btf, type) > 0 ||
	       btf__find_by_name_kind(btf, name, BTF_KIND_FUNC) > 0;
}

static void config_fill(struct live *l, const struct live_options *o, const struct btf *btf)
{
	struct config *config = (struct config *)&l->skel->rodata->cfg;

	*config = o->config;
	config->errors_by_state = !probes_report_errors(l);
	config->task_regs = has_helper(btf, "bpf_task_pt_regs");
	for (size_t i = 0; i < FN_COUNT; i++)
		config->fn[i] = l->functions[i].places;
	config->nft = l->nft;
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
	char path[32];

	l->btf_fd = memfd_create("tcpwhy-btf", MFD_CLOEXEC);
	if (l->btf_fd < 0)
		return -errno;
	snprintf(path, sizeof(path), "/proc/self/fd/%d", l->btf_fd);
	opts.btf_custom_path = path; /* read when the programs are loaded */
	l->skel = tcpwhy_bpf__open_opts(&opts);
	if (!l->skel)
		return -errno;
	return btf_trim(conntrack ? conntrack : btf, bpf_object__btf(l->skel->obj), l->btf_fd);
}

/* The row of all destinations for which there is no room later. */
static int connects_others(struct live *l)
{
	const struct connect_value none = {0};
	const struct connect_key others = {0};

	return bpf_map_update_elem(bpf_map__fd(l->skel->maps.connects), &others, &none, BPF_ANY)
		       ? -errno
		       : 0;
}

static void programs_close(struct live *l)
{
	hook_links_free(&l->hook_links);
	probes_detach(l);
	tcpwhy_bpf__destroy(l->skel);
	l->skel = NULL;
	close_fd(&l->btf_fd);
}

/*
 * The program that libbpf failed to load: it tells that in words only (tools/lib/bpf/libbpf.c
 * bpf_object_load_prog). One thread loads.
 */
static char failed_program[64];

static int programs_load(struct live *l, const struct live_options *o, struct btf *btf)
{
	struct btf *conntrack = o->btf ? NULL : btf__load_module_btf("nf_conntrack", btf);
	int err = open_programs(l, btf, conntrack);

	btf__free(conntrack);
	if (err)
		return err;
	probes_choose(l, btf);
	config_fill(l, o, btf);
	failed_program[0] = '\0';
	/* It takes memory only where it is asked for. */
	if (!o->config.connects)
		(void)bpf_map__set_max_entries(l->skel->maps.connects, 1);
	if (!o->config.callers)
		(void)bpf_map__set_max_entries(l->skel->maps.callers, 1);
	stacks_size(l);
	err = tcpwhy_bpf__load(l->skel);
	if (!err)
		err = connects_others(l);
	if (!err)
		close_fd(&l->btf_fd);
	return err;
}

/*
 * Loads and attaches the best way of each probe; where the kernel refuses one, the next best, until it
 * refuses none.
 */
static int programs_start(struct live *l, const struct live_options *o, struct btf *btf)
{
	for (;;) {
		int err = programs_load(l, o, btf);

		if (!err && !probes_attach(l)) {
			own_code_find(l);
			return 0;
		}
		programs_close(l);
		if (!err)
			continue;
		if (!probes_refuse(l, failed_program, err))
			return err;
	}
}

/* The tier that is asked for, if it is more than tracepoints, is not to be had. */
static bool tier_missing(const struct live *l, struct strbuf *why)
{
	enum live_tier tier = l->asked & 1u << TIER_TRAMPOLINE ? TIER_TRAMPOLINE : TIER_KPROBE;

	if (!l->prefer_other || l->tiers & 1u << tier)
		return false;
	strbuf_addf(why, "--tier %s: %s; leave the option out, and the best that there is is taken",
		    live_tier_name(tier), l->tier_why[tier]);
	return true;
}

static int load(struct live *l, const struct live_options *o, struct strbuf *why)
{
	struct btf *btf = o->btf ? btf__parse(o->btf, NULL) : btf__load_vmlinux_btf();
	int err;

	if (!btf)
		return no_btf(o->btf, why);
	err = trial_read();
	if (err) {
		btf__free(btf);
		return err == -EPERM ? why_not(err, why) : no_reading(why);
	}
	err = names_load(btf, "skb_drop_reason", "SKB_DROP_REASON_", &l->drop_reasons);
	if (!err)
		err = names_load(btf, "sk_rst_reason", "SK_RST_REASON_", &l->reset_reasons);
	if (!err) {
		functions_find(btf, l->functions);
		if (o->ksyms)
			functions_locate(l->functions, o->ksyms);
		nft_layout(btf, &l->nft);
		probes_init(l, btf);
		err = tier_missing(l, why) ? -EOPNOTSUPP : programs_start(l, o, btf);
	}
	btf__free(btf);
	return err && !why->len ? why_not(err, why) : err;
}

static int quiet(enum libbpf_print_level level, const char *fmt, va_list ap)
{
	char text[160];
	va_list again;

	if (level > LIBBPF_WARN)
		return 0;
	va_copy(again, ap);
	vsnprintf(text, sizeof(text), fmt, again);
	va_end(again);
	if (!failed_program[0])
		(void)sscanf(text, "libbpf: prog '%63[^']", failed_program);
	return getenv("TCPWHY_LIBBPF_DEBUG") ? vfprintf(stderr, fmt, ap) : 0;
}

int live_open(const struct live_options *o, struct live **ret, struct strbuf *why)
{
	struct rlimit unlimited = {RLIM_INFINITY, RLIM_INFINITY};
	struct live *l = calloc(1, sizeof(*l));
	int err;

	if (!l)
		return -ENOMEM;
	l->btf_fd = -1;
	l->hooks_known = UINT64_MAX;
	l->follow_forks = o->follow_forks;
	l->stacks = o->config.stacks;
	if (l->stacks && (o->config.flow_filter || o->config.task_filter || o->config.ifname[0]))
		l->stacks |= STACKS_FILTERS;
	l->tiers = o->tiers ? o->tiers : (1u << TIER_COUNT) - 1;
	l->asked = l->tiers;
	l->prefer_other = o->tiers && o->tiers != 1u << TIER_TRACEPOINT;
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
	if (o->config.snaplen) {
		err = payloads_open(l);
		if (err) {
			err = why_not(err, why);
			goto fail;
		}
	}
	err = -ENOENT;
	for (size_t i = 0; i < l->nr_probes; i++)
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
	ring_buffer__free(l->ring);
	perf_buffer__free(l->payloads);
	programs_close(l);
	vec_free(&l->own_code);
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

int live_watch_pid(struct live *l, uint32_t pid)
{
	uint8_t one = 1;

	return bpf_map_update_elem(bpf_map__fd(l->skel->maps.pids), &pid, &one, BPF_ANY) ? -errno
											 : 0;
}

/* The same key as port_key() of bpf/event.bpf.h makes. */
int live_watch_port(struct live *l, uint32_t netns, uint16_t port)
{
	uint64_t key = (uint64_t)netns << 16 | port;
	uint8_t one = 1;

	return bpf_map_update_elem(bpf_map__fd(l->skel->maps.ports), &key, &one, BPF_ANY) ? -errno
											  : 0;
}

/* The same key as flow_key_set() of bpf/packet.bpf.h makes, for any namespace. */
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
	*ret_n = l->nr_probes;
	return l->probes;
}
