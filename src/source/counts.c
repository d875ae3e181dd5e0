/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "source/live_private.h"

/* Where it isn't run, its twin is: bpf/tcp.bpf.c inet_sock_set_state_missed. */
static bool has_twin(const struct bpf_program *prog)
{
	return strncmp(bpf_program__name(prog), "inet_sock_set_state", 19) == 0;
}

/*
 * Events that no program saw: one that interrupts the same program on its CPU is not run (kernel
 * 5.12 and newer count that: kernel/bpf/trampoline.c, bpf_prog_inc_misses_counter).
 */
uint64_t counts_missed(const struct live *l)
{
	struct bpf_program *prog;
	uint64_t n = 0;

	bpf_object__for_each_program(prog, l->skel->obj)
	{
		struct bpf_prog_info info = {0};
		uint32_t len = sizeof(info);

		if (!has_twin(prog) && bpf_program__fd(prog) >= 0 &&
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
	uint64_t misses = counts_missed(l);
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

int live_connects(struct live *l,
		  void (*fn)(void *arg, const struct connect_key *key,
			     const struct connect_value *v),
		  void *arg)
{
	int fd = bpf_map__fd(l->skel->maps.connects);
	struct connect_key key, next;
	struct connect_value value;
	void *at = NULL;

	while (!bpf_map_get_next_key(fd, at, &next)) {
		if (bpf_map_lookup_elem(fd, &next, &value))
			return -errno;
		if (value.connected || value.failed)
			fn(arg, &next, &value);
		key = next;
		at = &key;
	}
	return 0;
}
