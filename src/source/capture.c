/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "source/capture.h"

#include <pcap/pcap.h>

/* Times beyond that are nonsense, and would not do as nanoseconds. */
#define SECONDS_MAX (1ll << 33)

static uint64_t time_of(const struct timeval *tv)
{
	if (tv->tv_sec < 0 || tv->tv_sec > SECONDS_MAX || tv->tv_usec < 0)
		return 0;
	/* The precision that was asked for: nanoseconds. */
	return (uint64_t)tv->tv_sec * NSEC_PER_SEC + (uint64_t)tv->tv_usec % NSEC_PER_SEC;
}

static int read_packets(pcap_t *pcap, capture_flows_fn *flows, void *arg,
			struct capture_stats *stats, struct strbuf *why)
{
	int link = pcap_datalink(pcap), got, err = 0;
	struct capture_flows *to = NULL;
	struct pcap_pkthdr *head;
	const u_char *data;

	while (!err && (got = pcap_next_ex(pcap, &head, &data)) == 1) {
		struct capture_packet p;
		uint64_t ns = time_of(&head->ts);

		if (!stats->packets++) {
			stats->first_ns = ns;
			err = flows(arg, ns, &to);
		}
		if (err || !capture_packet(link, data, head->caplen, head->len, &p))
			continue;
		p.ns = ns;
		stats->taken++;
		err = capture_flows_take(to, &p);
	}
	if (err || got == PCAP_ERROR_BREAK)
		return err;
	strbuf_addf(why, "the capture ends there: %s", pcap_geterr(pcap));
	return -EBADMSG;
}

int capture_read(const void *file, size_t size, capture_flows_fn *flows, void *arg,
		 struct capture_stats *stats, struct strbuf *why)
{
	char error[PCAP_ERRBUF_SIZE] = "";
	FILE *f = fmemopen((void *)file, size, "r"); /* for reading: nothing is written to it */
	const char *link;
	pcap_t *pcap;
	int err;

	*stats = (struct capture_stats){0};
	if (!f)
		return -errno;
	pcap = pcap_fopen_offline_with_tstamp_precision(f, PCAP_TSTAMP_PRECISION_NANO, error);
	if (!pcap) {
		fclose(f);
		strbuf_addf(why, "no capture that can be read: %s", error);
		return -EBADMSG;
	}
	link = pcap_datalink_val_to_name(pcap_datalink(pcap));
	str_copy(stats->link, sizeof(stats->link), link ? link : "unknown");
	if (capture_link_known(pcap_datalink(pcap))) {
		err = read_packets(pcap, flows, arg, stats, why);
	} else {
		strbuf_addf(why,
			    "packets of the link type %s (%d) are not understood; Ethernet, raw "
			    "IP, "
			    "Linux cooked and loopback are",
			    stats->link, pcap_datalink(pcap));
		err = -ENOTSUP;
	}
	pcap_close(pcap); /* closes f */
	return err;
}
