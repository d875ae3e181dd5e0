/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What bpf/stacks.bpf.h counts. */
#include "source/live_private.h"

void stacks_size(const struct live *l)
{
	/* They take memory only where they are asked for. */
	if (l->stacks)
		return;
	(void)bpf_map__set_max_entries(l->skel->maps.stacks, 1);
	(void)bpf_map__set_max_entries(l->skel->maps.stack_traces, 1);
}

static uint64_t sum_up(const uint64_t *values, int cpus)
{
	uint64_t sum = 0;

	for (int i = 0; i < cpus; i++)
		sum += values[i];
	return sum;
}

static const char *reason_of(const struct live *l, const struct stack_key *key)
{
	if (key->kind == REC_RST_SENT)
		return names_get(&l->reset_reasons, key->reason);
	return key->kind == REC_DROP ? names_get(&l->drop_reasons, key->reason) : "";
}

/* Its frames, of which the program's own have been skipped already or still stand above. */
static void take_frames(const struct live *l, const struct stack_key *key,
			uint64_t frames[STACK_DEPTH], struct live_stack *row)
{
	unsigned n = 0, own;

	if (key->stack < 0 ||
	    bpf_map_lookup_elem(bpf_map__fd(l->skel->maps.stack_traces), &key->stack, frames))
		return;
	while (n < STACK_DEPTH && frames[n])
		n++;
	own = key->skipped ? OWN_FRAMES - key->skipped : own_code_frames(l, frames, n);
	own = own < n ? own : 0;
	row->frames = frames + own;
	row->nr_frames = n - own;
}

int live_stacks(struct live *l, void (*fn)(void *arg, const struct live_stack *row), void *arg)
{
	int fd = bpf_map__fd(l->skel->maps.stacks), cpus = libbpf_num_possible_cpus();
	_cleanup_free_ uint64_t *values = calloc((size_t)(cpus > 0 ? cpus : 1), sizeof(*values));
	struct stack_key key, next;
	struct live_stack row;
	uint32_t first = 0;
	void *at = NULL;

	if (!values || cpus <= 0)
		return -ENOMEM;
	while (!bpf_map_get_next_key(fd, at, &next)) {
		/* Stacks without a number, or of another kind of view, are all 0: no number at all. */
		uint64_t frames[STACK_DEPTH] = {0};

		if (bpf_map_lookup_elem(fd, &next, values))
			return -errno;
		row = (struct live_stack){
			.key = &next, .count = sum_up(values, cpus), .reason = reason_of(l, &next)};
		take_frames(l, &next, frames, &row);
		if (row.count)
			fn(arg, &row);
		key = next;
		at = &key;
	}
	if (bpf_map_lookup_elem(bpf_map__fd(l->skel->maps.stacks_others), &first, values))
		return -errno;
	row = (struct live_stack){.count = sum_up(values, cpus) + counts_missed(l), .reason = ""};
	if (row.count)
		fn(arg, &row);
	return 0;
}
