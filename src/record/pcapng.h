/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the writer and the reader of recordings share: numbers of the pcapng format
 * (draft-ietf-opsawg-pcapng, draft-richardson-opsawg-pcapng-extras), and how our own fields are named.
 */
#ifndef TCPWHY_PCAPNG_FORMAT_H
#define TCPWHY_PCAPNG_FORMAT_H

#define PCAPNG_SECTION 0x0a0d0d0a
#define PCAPNG_INTERFACE 1
#define PCAPNG_OLD_PACKET 2
#define PCAPNG_SIMPLE_PACKET 3
#define PCAPNG_PACKET 6
#define PCAPNG_JOURNAL 9 /* one entry in systemd's Journal Export Format */

#define PCAPNG_BYTE_ORDER 0x1a2b3c4d
#define PCAPNG_BLOCK_MAX (16u << 20)

#define PCAPNG_OPT_COMMENT 1
#define PCAPNG_OPT_OS 3	     /* of a section */
#define PCAPNG_OPT_PROGRAM 4 /* of a section */
#define PCAPNG_OPT_NAME 2    /* of an interface */
#define PCAPNG_OPT_TSRESOL 9 /* of an interface */
#define PCAPNG_OPT_FLAGS 2   /* of a packet */

#define PCAPNG_INBOUND 1
#define PCAPNG_OUTBOUND 2

#define LINKTYPE_RAW 101 /* begins with the IP header */

/*
 * Fields of a journal entry: a record's by its codec's names; TCPWHY_TYPE says what the entry is: of a
 * "recording" the fields below, of a "record" its own, of a "verdict" what it says; "loss": from
 * TCPWHY_MONO_NS on events are missing.
 */
#define RECORDING_PREFIX "TCPWHY_"
#define RECORDING_TYPE "TCPWHY_TYPE"
#define RECORDING_RUN \
	"TCPWHY_RUN" /* one run of tcpwhy, whatever it is split into; of records, too */
#define RECORDING_VERSION "TCPWHY_VERSION" /* of tcpwhy */
#define RECORDING_HOST "_HOSTNAME"

#endif
