/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Recordings as pcapng: each record a journal entry whose fields carry all of it, and before it, of a
 * packet that was seen, the packet itself as far as its headers were recorded. Whole blocks are appended
 * to `to`; who writes them to a file, and when, is the caller's matter.
 */
#ifndef TCPWHY_OUT_PCAPNG_H
#define TCPWHY_OUT_PCAPNG_H

#include "out/out.h"
#include "record/codec.h"

struct pcapng_writer {
	struct codec *codec;
	struct strbuf to;
	uint64_t wall_ns; /* of what has no time: symbols */
	char run[64];
	uint32_t snaplen; /* bytes of a packet that are written; 0: its headers */
	/* What the next record's packet carries, as far as it is known; the caller's. */
	const uint8_t *payload;
	size_t payload_len;
	VEC(struct {
		uint32_t ifindex;
		char ifname[16];
	})
	interfaces; /* of this section, in the order of their numbers */
};

struct pcapng_host {
	const char *name;
	const char *os;	 /* "Linux 6.18.0 x86_64" */
	const char *run; /* tells runs of tcpwhy apart, on all hosts */
	uint64_t wall_ns;
};

int pcapng_writer_open(struct pcapng_writer *w);
void pcapng_writer_close(struct pcapng_writer *w);

/* Begins a section: the start of each file. */
void pcapng_section(struct pcapng_writer *w, const struct pcapng_host *host);
/* verdict: of the event that it is about, else NULL; its sentence becomes the packet's comment. */
void pcapng_record(struct pcapng_writer *w, const struct rec_hdr *rec,
		   const struct out_symbols *syms, const struct verdict *verdict);
void pcapng_verdict(struct pcapng_writer *w, const struct verdict *v);
/* Events were lost, as seen at this time. */
void pcapng_loss(struct pcapng_writer *w, uint64_t mono_ns, uint64_t wall_ns);

/*
 * packet_bytes.c: the headers of p as they were on the wire, appended; the length of the whole packet,
 * 0 if it isn't known enough. Made up: what p doesn't tell (the type of service, the checksums of TCP,
 * UDP and ICMP) is 0, IP options and extension headers are missing, TCP options are no-operations.
 */
size_t packet_bytes(const struct rec_packet *p, struct strbuf *out);

#endif
