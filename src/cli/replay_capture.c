/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Captures of other programs: what they show becomes events of a run, as if they had been recorded. */
#include "cli/replay_private.h"
#include "source/capture.h"

struct capture_loading {
	struct replay_set *set;
	const char *path;
	struct replay *run;
};

static int take_event(void *run, const struct rec_hdr *rec)
{
	return replay_add(run, rec, rec->mono_ns);
}

/*
 * A capture that begins where another one ended is the next file of the same (tcpdump -C, dumpcap -b). Of the
 * same time, it is from another place.
 */
static int choose_run(void *arg, uint64_t first_ns, struct capture_flows **ret)
{
	struct capture_loading *l = arg;
	int err;

	for (size_t i = l->set->runs.n; i--;) {
		struct replay *r = l->set->runs.v[i];

		if (!r->capture || capture_flows_last_ns(r->capture) > first_ns)
			continue;
		l->run = r;
		*ret = r->capture;
		return 0;
	}
	err = replay_new_run(l->set, l->path, &l->run);
	if (!err)
		err = capture_flows_new(take_event, l->run, &l->run->capture);
	*ret = err ? NULL : l->run->capture;
	return err;
}

/* pcap: in microseconds or nanoseconds, in either byte order. */
bool replay_is_pcap(const void *file, size_t size)
{
	uint32_t magic;

	if (size < sizeof(magic))
		return false;
	memcpy(&magic, file, sizeof(magic));
	return magic == 0xa1b2c3d4 || magic == 0xd4c3b2a1 || magic == 0xa1b23c4d ||
	       magic == 0x4d3cb2a1;
}

int replay_load_capture(struct replay_set *set, const char *path, const void *file, size_t size,
			struct strbuf *why)
{
	struct capture_loading l = {.set = set, .path = path};
	struct capture_stats stats;
	int err = capture_read(file, size, choose_run, &l, &stats, why);

	if (err)
		return err;
	if (!stats.taken) {
		strbuf_addf(why, "a capture of another program, and no TCP in it that can be read");
		return -ENODATA;
	}
	strbuf_addf(why,
		    "a capture of another program, %llu packets (%s): packets alone show nothing "
		    "for "
		    "certain",
		    (unsigned long long)stats.packets, stats.link);
	return 0;
}
