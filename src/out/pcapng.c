/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "out/pcapng.h"
#include "out/fields_out.h"
#include "record/pcapng.h"

#include <ctype.h>

int pcapng_writer_open(struct pcapng_writer *w)
{
	*w = (struct pcapng_writer){0};
	return codec_new(&w->codec);
}

void pcapng_writer_close(struct pcapng_writer *w)
{
	codec_free(w->codec);
	strbuf_free(&w->to);
	vec_free(&w->interfaces);
}

/* ---- blocks ---------------------------------------------------------------------------------- */

static void add_u16(struct strbuf *to, unsigned v)
{
	uint16_t n = (uint16_t)v;

	strbuf_addn(to, (const char *)&n, sizeof(n));
}

static void add_u32(struct strbuf *to, size_t v)
{
	uint32_t n = (uint32_t)v;

	strbuf_addn(to, (const char *)&n, sizeof(n));
}

static void add_padded(struct strbuf *to, const void *bytes, size_t n)
{
	strbuf_addn(to, bytes, n);
	strbuf_addn(to, "\0\0\0", -n & 3);
}

static void add_option(struct strbuf *to, unsigned code, const void *value, size_t len)
{
	len = len < UINT16_MAX ? len : UINT16_MAX;
	add_u16(to, code);
	add_u16(to, (unsigned)len);
	add_padded(to, value, len);
}

static void add_text_option(struct strbuf *to, unsigned code, const char *text)
{
	add_option(to, code, text, strlen(text));
}

static void add_block(struct pcapng_writer *w, unsigned type, const struct strbuf *body)
{
	size_t total = 12 + ((body->len + 3) & ~3ul);

	if (body->oom)
		return;
	add_u32(&w->to, type);
	add_u32(&w->to, total);
	add_padded(&w->to, body->s, body->len);
	add_u32(&w->to, total);
}

/* ---- journal entries ------------------------------------------------------------------------- */

/* Journal Export Format: a line, or where the value isn't one, its length and its bytes. */
static void add_field(struct strbuf *entry, const char *name, const char *value, size_t len)
{
	bool plain = true;

	for (size_t i = 0; i < len; i++)
		plain = plain && ((uint8_t)value[i] >= ' ' || value[i] == '\t');
	strbuf_add(entry, name);
	if (plain) {
		strbuf_addc(entry, '=');
	} else {
		strbuf_addc(entry, '\n');
		for (unsigned bit = 0; bit < 64; bit += 8) /* little endian */
			strbuf_addn(entry, &(char){(char)((uint64_t)len >> bit)}, 1);
	}
	strbuf_addn(entry, value, len);
	strbuf_addc(entry, '\n');
}

static void add_text(struct strbuf *entry, const char *name, const char *value)
{
	if (value && *value)
		add_field(entry, name, value, strlen(value));
}

static void add_number(struct strbuf *entry, const char *name, uint64_t number)
{
	strbuf_addf(entry, "%s=%llu\n", name, (unsigned long long)number);
}

static void entry_start(struct strbuf *entry, const char *type, uint64_t wall_ns)
{
	add_number(entry, "__REALTIME_TIMESTAMP", wall_ns / NSEC_PER_USEC);
	add_text(entry, "SYSLOG_IDENTIFIER", "tcpwhy");
	add_text(entry, RECORDING_TYPE, type);
}

static void add_member(void *arg, const char *name, const char *value, size_t len)
{
	_cleanup_strbuf_ struct strbuf upper = {0};

	strbuf_add(&upper, RECORDING_PREFIX);
	for (; *name; name++)
		strbuf_addc(&upper, (char)toupper((unsigned char)*name));
	if (upper.s)
		add_field(arg, upper.s, value, len);
}

/* ---- packets --------------------------------------------------------------------------------- */

static uint32_t interface_number(struct pcapng_writer *w, const struct rec_event *e)
{
	static const uint8_t nanoseconds = 9;
	_cleanup_strbuf_ struct strbuf body = {0};
	size_t n = w->interfaces.n;
	__typeof__(w->interfaces.v) slot;

	for (size_t i = 0; i < n; i++)
		if (w->interfaces.v[i].ifindex == e->ifindex &&
		    !strcmp(w->interfaces.v[i].ifname, e->ifname))
			return (uint32_t)i;
	slot = vec_push(&w->interfaces);
	if (!slot)
		return 0;
	slot->ifindex = e->ifindex;
	memcpy(slot->ifname, e->ifname, sizeof(slot->ifname));
	add_u16(&body, LINKTYPE_RAW);
	add_u16(&body, 0);
	add_u32(&body, 0); /* no limit of length */
	add_text_option(&body, PCAPNG_OPT_NAME, *e->ifname ? e->ifname : "unknown");
	add_option(&body, PCAPNG_OPT_TSRESOL, &nanoseconds, 1);
	add_u32(&body, 0);
	add_block(w, PCAPNG_INTERFACE, &body);
	return (uint32_t)n;
}

/* 0: not known. */
static uint32_t direction(const struct rec_event *e)
{
	switch (e->hdr.kind) {
	case REC_RST_SENT: /* the packet that was answered */
		return e->active ? PCAPNG_OUTBOUND : PCAPNG_INBOUND;
	case REC_RST_RECV:
	case REC_SYN_AGAIN:
	case REC_HANDSHAKE:
	case REC_CHALLENGE:
	case REC_RST_IGNORED:
	case REC_TW_ANSWER:
		return PCAPNG_INBOUND;
	case REC_RST_OUT:
	case REC_RETRANS:
	case REC_SYN_RETRANS:
	case REC_SYNACK_RETRANS:
		return PCAPNG_OUTBOUND;
	default:
		return e->iif ? PCAPNG_INBOUND : 0;
	}
}

static void verdict_sentence(const struct verdict *v, struct strbuf *out)
{
	strbuf_addf(out, "%s (%s): %s", v->cause, certainty_name(v->certainty),
		    v->explanation ? v->explanation : "");
}

static void add_packet(struct pcapng_writer *w, const struct rec_event *e, const char *message,
		       const struct verdict *verdict)
{
	_cleanup_strbuf_ struct strbuf bytes = {0};
	_cleanup_strbuf_ struct strbuf body = {0};
	_cleanup_strbuf_ struct strbuf comment = {0};
	size_t length = packet_bytes(&e->pkt, &bytes);
	uint32_t flags = direction(e);
	size_t carried = 0;

	if (!length)
		return;
	if (w->snaplen > bytes.len && length > bytes.len) {
		carried = w->snaplen < length ? w->snaplen : length;
		carried -= bytes.len;
		carried = w->payload_len < carried ? w->payload_len : carried;
		strbuf_addn(&bytes, (const char *)w->payload, carried);
	}
	if (verdict) {
		verdict_sentence(verdict, &comment);
		strbuf_addc(&comment, '\n');
	}
	strbuf_addf(&comment, "%s\n(headers as recorded; options%s are not)", message,
		    carried ? "" : " and payload");
	add_u32(&body, interface_number(w, e));
	add_u32(&body, e->hdr.wall_ns >> 32);
	add_u32(&body, e->hdr.wall_ns & UINT32_MAX);
	add_u32(&body, bytes.len);
	add_u32(&body, length);
	add_padded(&body, bytes.s, bytes.len);
	if (comment.s)
		add_text_option(&body, PCAPNG_OPT_COMMENT, comment.s);
	if (flags)
		add_option(&body, PCAPNG_OPT_FLAGS, &flags, sizeof(flags));
	add_u32(&body, 0);
	add_block(w, PCAPNG_PACKET, &body);
}

/* ---- what is recorded ------------------------------------------------------------------------ */

void pcapng_section(struct pcapng_writer *w, const struct pcapng_host *host)
{
	_cleanup_strbuf_ struct strbuf body = {0};
	_cleanup_strbuf_ struct strbuf entry = {0};
	_cleanup_strbuf_ struct strbuf message = {0};

	w->interfaces.n = 0;
	str_copy(w->run, sizeof(w->run), host->run);
	add_u32(&body, PCAPNG_BYTE_ORDER);
	add_u16(&body, 1);
	add_u16(&body, 0);
	add_u32(&body, UINT32_MAX); /* 64 bits: how long the section gets isn't known */
	add_u32(&body, UINT32_MAX);
	add_text_option(&body, PCAPNG_OPT_OS, host->os);
	add_text_option(&body, PCAPNG_OPT_PROGRAM, "tcpwhy " TCPWHY_VERSION);
	add_u32(&body, 0);
	add_block(w, PCAPNG_SECTION, &body);
	/* Other programs take the link type of a file from what stands before its first packet or entry. */
	(void)interface_number(w, &(struct rec_event){0});
	entry_start(&entry, "recording", host->wall_ns);
	strbuf_addf(&message, "tcpwhy " TCPWHY_VERSION " records on %s (%s)", host->name, host->os);
	add_text(&entry, "MESSAGE", message.s);
	add_text(&entry, RECORDING_HOST, host->name);
	add_text(&entry, RECORDING_RUN, host->run);
	add_text(&entry, RECORDING_VERSION, TCPWHY_VERSION);
	add_block(w, PCAPNG_JOURNAL, &entry);
}

void pcapng_record(struct pcapng_writer *w, const struct rec_hdr *rec,
		   const struct out_symbols *syms, const struct verdict *verdict)
{
	_cleanup_strbuf_ struct strbuf entry = {0};
	_cleanup_strbuf_ struct strbuf message = {0};

	record_words(rec, syms, &message);
	if (REC_KIND_IS_EVENT(rec->kind))
		add_packet(w, (const struct rec_event *)rec, message.s ? message.s : "", verdict);
	entry_start(&entry, "record", rec->wall_ns ? rec->wall_ns : w->wall_ns);
	add_text(&entry, "MESSAGE", message.s);
	add_text(&entry, RECORDING_RUN, w->run);
	if (codec_encode(w->codec, rec, add_member, &entry) == 0)
		add_block(w, PCAPNG_JOURNAL, &entry);
}

void pcapng_verdict(struct pcapng_writer *w, const struct verdict *v)
{
	_cleanup_strbuf_ struct strbuf entry = {0};
	_cleanup_strbuf_ struct strbuf message = {0};

	verdict_sentence(v, &message);
	entry_start(&entry, "verdict", v->wall_ns);
	add_text(&entry, "MESSAGE", message.s);
	add_text(&entry, "PRIORITY", "4"); /* a warning */
	add_text(&entry, RECORDING_PREFIX "CAUSE", v->cause);
	add_text(&entry, RECORDING_PREFIX "CERTAINTY", certainty_name(v->certainty));
	add_text(&entry, RECORDING_PREFIX "EVENT", v->event);
	for (size_t i = 0; i < v->evidence.n; i++)
		add_text(&entry, RECORDING_PREFIX "EVIDENCE", v->evidence.v[i]);
	for (size_t i = 0; i < v->hit.n; i++)
		add_text(&entry, RECORDING_PREFIX "HIT", v->hit.v[i]);
	for (size_t i = 0; i < v->fix.n; i++)
		add_text(&entry, RECORDING_PREFIX "FIX", v->fix.v[i].command);
	add_block(w, PCAPNG_JOURNAL, &entry);
}

void pcapng_loss(struct pcapng_writer *w, uint64_t mono_ns, uint64_t wall_ns)
{
	_cleanup_strbuf_ struct strbuf entry = {0};

	entry_start(&entry, "loss", wall_ns);
	add_text(&entry, "MESSAGE", "events were lost before this");
	add_number(&entry, RECORDING_PREFIX "MONO_NS", mono_ns);
	add_block(w, PCAPNG_JOURNAL, &entry);
}
