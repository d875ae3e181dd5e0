/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A stack that a program takes at a tracepoint or in a trampoline begins in the program itself, and goes
 * on with what called that (bpf_trace_run3, bpf_trampoline_…): two frames that say nothing of the kernel.
 */
#include "source/live_private.h"

#define FUNCTIONS_MAX 8 /* of one program: its own and those that helpers call */

static int add_program(struct live *l, int fd)
{
	uint64_t starts[FUNCTIONS_MAX] = {0};
	uint32_t lens[FUNCTIONS_MAX] = {0};
	struct bpf_prog_info info = {
		.nr_jited_ksyms = FUNCTIONS_MAX,
		.jited_ksyms = (uintptr_t)starts,
		.nr_jited_func_lens = FUNCTIONS_MAX,
		.jited_func_lens = (uintptr_t)lens,
	};
	uint32_t size = sizeof(info);

	if (bpf_obj_get_info_by_fd(fd, &info, &size) < 0)
		return -errno;
	for (size_t i = 0; i < FUNCTIONS_MAX && i < info.nr_jited_ksyms && starts[i]; i++) {
		struct code_range *range = vec_push(&l->own_code);

		if (!range)
			return -ENOMEM;
		*range = (struct code_range){starts[i], starts[i] + lens[i]};
	}
	return 0;
}

void own_code_find(struct live *l)
{
	struct bpf_program *prog;

	l->own_code.n = 0;
	bpf_object__for_each_program(prog, l->skel->obj)
	{
		if (bpf_program__fd(prog) >= 0 && add_program(l, bpf_program__fd(prog)) < 0)
			return; /* addresses are hidden: the frames stay */
	}
}

unsigned own_code_frames(const struct live *l, const uint64_t *frames, unsigned n)
{
	for (size_t i = 0; n > OWN_FRAMES && i < l->own_code.n; i++)
		if (frames[0] > l->own_code.v[i].start && frames[0] <= l->own_code.v[i].end)
			return OWN_FRAMES;
	return 0;
}

void own_code_skip(const struct live *l, struct rec_event *e)
{
	unsigned own = own_code_frames(l, e->kstack, e->nr_kstack);

	if (!own)
		return;
	e->nr_kstack = (uint8_t)(e->nr_kstack - own);
	memmove(e->kstack, e->kstack + own, e->nr_kstack * sizeof(e->kstack[0]));
	memset(e->kstack + e->nr_kstack, 0, own * sizeof(e->kstack[0]));
}
