/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Words for facts. */
#include "diagnose/judge.h"
#include "record/record.h"
#include "record/source_text.h"
#include "sym/labels.h"

#include <inttypes.h>
#include <linux/icmp.h>
#include <linux/icmpv6.h>
#include <signal.h>
#include <stdarg.h>

#define SAY_TEXTS 64
#define SAY_SIZE 800

/* One of a ring of buffers: enough for every argument of one sentence, a rule's text too. */
static char *say_slot(void)
{
	static _Thread_local char texts[SAY_TEXTS][SAY_SIZE];
	static _Thread_local unsigned at;

	return texts[at++ % SAY_TEXTS];
}

static const char *_printf_(1, 2) say(const char *fmt, ...)
{
	char *s = say_slot();
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(s, SAY_SIZE, fmt, ap);
	va_end(ap);
	return s;
}

static const char *say_buf(struct strbuf *b)
{
	const char *s = say("%s", b->s ? b->s : "");

	strbuf_free(b);
	return s;
}

const char *say_addr(const uint8_t addr[16])
{
	struct strbuf b = {0};

	addr_text(addr, &b);
	return say_buf(&b);
}

const char *say_src(const struct rec_tuple *t)
{
	struct strbuf b = {0};

	endpoint_text(t->src, t->sport, &b);
	return say_buf(&b);
}

const char *say_dst(const struct rec_tuple *t)
{
	struct strbuf b = {0};

	endpoint_text(t->dst, t->dport, &b);
	return say_buf(&b);
}

const char *say_tuple(const struct rec_tuple *t)
{
	struct strbuf b = {0};

	tuple_text(t, &b);
	return say_buf(&b);
}

const char *say_netns(const struct judge *j, uint32_t inum)
{
	const struct rec_netns *n = world_netns(j->world, inum);

	if (n && n->name[0])
		return say("netns %s", n->name);
	if (n && n->container[0])
		return say("container %s", n->container);
	if (world_is_host(n))
		return say("the host's own netns");
	if (n && n->pid)
		return say("netns of pid %" PRIu32 " (%s)", n->pid, n->comm);
	return inum ? say("netns %" PRIu32, inum) : say("an unknown netns");
}

const char *say_netns_prefix(const struct judge *j, uint32_t inum)
{
	const struct rec_netns *n = world_netns(j->world, inum);

	if (n && n->name[0])
		return say("ip netns exec %s ", n->name);
	if (n && n->pid && !world_is_host(n))
		return say("nsenter -t %" PRIu32 " -n ", n->pid);
	return "";
}

const char *say_owner(const struct judge *j, const struct rec_sock_info *s)
{
	(void)j;
	if (s->pid && s->container[0])
		return say("pid %" PRIu32 " %s in %s", s->pid, s->comm, s->container);
	if (s->pid)
		return say("pid %" PRIu32 " %s", s->pid, s->comm);
	return say("an unknown process");
}

const char *say_time(uint64_t ns)
{
	if (ns < NSEC_PER_MSEC)
		return say("%" PRIu64 " us", ns / NSEC_PER_USEC);
	if (ns < NSEC_PER_SEC)
		return say("%" PRIu64 " ms", ns / NSEC_PER_MSEC);
	return say("%.1f s", (double)ns / NSEC_PER_SEC);
}

const char *say_task(const struct rec_event *e)
{
	return e->task.pid ? say("pid %" PRIu32 " %s", e->task.pid, e->task.comm) : "";
}

void fact_symbol_text(const struct judge *j, uint64_t addr, struct strbuf *out)
{
	const struct rec_symbol *s = world_symbol(j->world, addr);

	if (!s || !s->name[0]) {
		strbuf_addf(out, "0x%" PRIx64, addr);
		return;
	}
	strbuf_addf(out, "%s+0x%" PRIx64, s->name, s->offset);
	if (s->module[0])
		strbuf_addf(out, " [%s]", s->module);
}

bool frame_is_ours(const struct rec_symbol *s)
{
	return s && label_is_tracing(s->name);
}

/* " (net/ipv4/tcp_ipv4.c:2226)": the line in the function itself. */
static void add_source(const struct rec_symbol *s, struct strbuf *out)
{
	struct source_line lines[SOURCE_LINES_MAX];

	if (s && source_lines(s->source, lines))
		strbuf_addf(out, " (%.*s)", lines[0].place_len, lines[0].place);
}

static const char *say_frames(const struct judge *j, const uint64_t *frames, unsigned n,
			      unsigned max)
{
	struct strbuf b = {0};
	unsigned told = 0;

	for (unsigned i = 0; i < n && told < max; i++) {
		const struct rec_symbol *s = world_symbol(j->world, frames[i]);

		if (frame_is_ours(s))
			continue;
		if (told++)
			strbuf_add(&b, " <- ");
		fact_symbol_text(j, frames[i], &b);
		add_source(s, &b);
	}
	return b.len ? say_buf(&b) : "no stack";
}

const char *say_stack(const struct judge *j, const struct rec_event *e)
{
	return say_frames(j, e->kstack, e->nr_kstack, 4);
}

const char *say_ender(const struct judge *j, const struct rec_ct_end *end)
{
	switch (entry_end(j, end)) {
	case ENTRY_EXPIRED:
		return "expired";
	case ENTRY_DELETED:
		return say("deleted by pid %" PRIu32 " %s", end->pid, end->comm);
	case ENTRY_FLUSHED:
		return say("flushed, with all or many others, by pid %" PRIu32 " %s", end->pid,
			   end->comm);
	case ENTRY_MASQUERADE:
		return "removed by MASQUERADE, whose device or address went away";
	case ENTRY_EVICTED:
		return "thrown out for a new connection, as the table was full";
	default:
		return say("removed by the kernel (%s)",
			   say_frames(j, end->stack, end->nr_stack, 4));
	}
}

const char *say_entry_end(const struct judge *j, const struct rec_ct_end *end)
{
	const char *ago = say_time(j->ev->hdr.mono_ns - end->ns);

	if (end->expired)
		return say("%s; conntrack removed it %s before", say_ender(j, end), ago);
	return say("%s, %s before", say_ender(j, end), ago);
}

const char *say_zone(uint16_t zone)
{
	return zone ? say(", in zone %u", zone) : "";
}

const char *say_reason(const struct rec_event *e)
{
	return e->has_reason && *e->reason_name ? say("reason %s", e->reason_name)
						: "reason not told";
}

const char *say_ending(enum task_ending ending, unsigned signal)
{
	switch (ending) {
	case TASK_EXITS:
		return "ended";
	case TASK_OOM_KILLED:
		return "was killed by the kernel, which had run out of memory (OOM killer)";
	case TASK_KILLED:
		break;
	default:
		return "closed the socket";
	}
	if (!signal)
		return "was killed by a signal";
	if (signal == SIGSEGV || signal == SIGABRT || signal == SIGBUS || signal == SIGILL ||
	    signal == SIGFPE)
		return say("crashed (%s)", signal_name(signal));
	return say("was killed by %s", signal_name(signal));
}

const char *say_packet(const struct rec_packet *p)
{
	_cleanup_strbuf_ struct strbuf flags = {0};

	if (!(p->has & PKT_L4))
		return say("packet %s", say_tuple(&p->tuple));
	if (p->tuple.proto == IPPROTO_UDP)
		return say("UDP %s, %" PRIu32 " bytes", say_tuple(&p->tuple), p->payload);
	if (p->tuple.proto != IPPROTO_TCP)
		return say("%s %s", proto_name(p->tuple.proto), say_tuple(&p->tuple));
	tcp_flags_text(p->tcp_flags, &flags);
	if (packet_is_syn(p))
		return say("SYN %s", say_tuple(&p->tuple));
	return say("%s %s, seq %" PRIu32 " ack %" PRIu32 ", %" PRIu32 " bytes",
		   flags.s ? flags.s : "segment", say_tuple(&p->tuple), p->seq, p->ack, p->payload);
}

/* What an ICMP error says (RFC 792, RFC 1812 section 5.2.7, RFC 4443). */
const char *say_icmp(const struct rec_packet *p)
{
	if (p->tuple.family == 6) {
		static const char *const codes[] = {"no route to destination",
						    "administratively prohibited",
						    "beyond scope of source address",
						    "address unreachable",
						    "port unreachable",
						    "source address failed policy (prohibited)",
						    "route rejected"};

		if (p->icmp_type == ICMPV6_DEST_UNREACH && p->icmp_code < ARRAY_SIZE(codes))
			return codes[p->icmp_code];
		if (p->icmp_type == ICMPV6_PKT_TOOBIG)
			return "packet too big";
		return p->icmp_type == ICMPV6_TIME_EXCEED ? "hop limit exceeded" : "an error";
	}
	static const char *const codes[] = {
		"network unreachable",	    "host unreachable",
		"protocol unreachable",	    "port unreachable",
		"fragmentation needed",	    "source route failed",
		"network unknown",	    "host unknown",
		"source host isolated",	    "network prohibited",
		"host prohibited",	    "network unreachable for TOS",
		"host unreachable for TOS", "communication administratively prohibited"};

	if (p->icmp_type == ICMP_DEST_UNREACH && p->icmp_code < ARRAY_SIZE(codes))
		return codes[p->icmp_code];
	return p->icmp_type == ICMP_TIME_EXCEEDED ? "TTL exceeded" : "an error";
}

/* ---- netfilter ------------------------------------------------------------------------------- */

const char *say_rule(const struct rec_rule *r)
{
	const char *legacy = r->maker == RULE_IPTABLES_LEGACY ? "-legacy" : "";
	const char *tables = r->family == 10 ? "ip6tables" : "iptables";
	const char *colon = *r->text ? ": " : "";

	if (r->flags & RULE_POLICY && r->maker == RULE_NFTABLES)
		return say("the policy of base chain %s in table %s %s is drop", r->chain,
			   nf_family_name(r->family), r->table);
	if (r->flags & RULE_POLICY)
		return say("the policy of chain %s in table %s of %s%s is DROP", r->chain, r->table,
			   tables, legacy);
	if (r->maker != RULE_NFTABLES && r->number)
		return say("%s%s rule number %" PRIu32 " of chain %s in table %s%s%s", tables,
			   legacy, r->number, r->chain, r->table, colon, r->text);
	if (r->maker != RULE_NFTABLES)
		return say("%s%s rule of chain %s in table %s%s%s", tables, legacy, r->chain,
			   r->table, colon, r->text);
	return say("nftables rule handle %" PRIu64 "%s%s in table %s %s%s%s", r->handle,
		   *r->chain ? " of chain " : "", r->chain, nf_family_name(r->family), r->table,
		   colon, r->text);
}

const char *say_hook(const struct judge *j, const struct rec_hook *h)
{
	const char *name = hook_function(j, h), *comma = *name ? ", " : "";

	switch (h->maker) {
	case HOOK_NFTABLES:
		return say("chain %s of table %s %s (%s%spriority %" PRId32 ")", h->chain,
			   nf_family_name(h->family), h->table, name, comma, h->priority);
	case HOOK_IPTABLES:
		return say("iptables-legacy%s%s (%s%spriority %" PRId32 ")",
			   *h->table ? ", table " : "", h->table, name, comma, h->priority);
	case HOOK_BPF:
		return say("the BPF program %s (id %" PRIu32 "%s%s, priority %" PRId32 ")",
			   *h->prog_name ? h->prog_name : "without a name", h->prog_id,
			   h->prog_pid ? say(", held by pid %" PRIu32 " ", h->prog_pid) : "",
			   h->prog_comm, h->priority);
	case HOOK_FOREIGN:
		return say("%s of the foreign kernel module %s (priority %" PRId32 ")",
			   *name ? name : "a function", *h->module ? h->module : "(unknown)",
			   h->priority);
	default:
		return say("the kernel's own %s (priority %" PRId32 ")", *name ? name : "function",
			   h->priority);
	}
}

const char *say_program(const struct rec_bpf_prog *p)
{
	return say("%s (id %" PRIu32 ", %s%s%s%s%s%s%s%s)", *p->name ? p->name : "without a name",
		   p->id, bpf_place_name(p->place), *p->ifname ? " of " : "", p->ifname,
		   *p->where ? ", " : "", p->where,
		   p->pid ? say(", held by pid %" PRIu32 " ", p->pid) : "", p->comm,
		   *p->pinned ? say(", pinned at %s", p->pinned) : "");
}

/*
 * What conntrack says of an INVALID packet, in words: net/netfilter/nf_conntrack_proto_tcp.c, …_udp.c,
 * …_icmp.c. Older kernels word it a little differently.
 */
static const struct {
	const char *kernel;
	enum invalid_kind kind;
	const char *words;
} invalid_words[] = {
	{"SEQ is over", INVALID_WINDOW, "its data goes beyond the receiver's window"},
	{"ACK is over", INVALID_WINDOW, "it acknowledges data that conntrack has not seen pass"},
	{"SEQ is under", INVALID_WINDOW, "its data was acknowledged long before"},
	{"ACK is under", INVALID_WINDOW, "its acknowledgement is far too old"},
	{"ACK under", INVALID_WINDOW, "its acknowledgement is far too old"},
	{"checksum", INVALID_CHECKSUM, "its checksum is wrong: it was damaged on its way"},
	{"flag", INVALID_FLAGS, "no valid packet has this combination of TCP flags"},
	{"rst", INVALID_STATE, "a reset whose number doesn't fit the connection"},
	{"state", INVALID_STATE,
	 "it doesn't fit the state that conntrack thinks the connection is in"},
	{"short", INVALID_SHORT, "it is too short for its header"},
	{"truncated", INVALID_SHORT, "it is shorter than its header says"},
	{"malformed", INVALID_SHORT, "its header is damaged"},
};

enum invalid_kind invalid_kind(const struct rec_event *e)
{
	if (!(e->nf.has & NF_INVALID))
		return INVALID_UNTOLD;
	for (size_t i = 0; i < ARRAY_SIZE(invalid_words); i++)
		if (strcasestr(e->nf.invalid, invalid_words[i].kernel))
			return invalid_words[i].kind;
	return *e->nf.invalid ? INVALID_OTHER : INVALID_UNTOLD;
}

const char *say_invalid(const struct rec_event *e)
{
	for (size_t i = 0; i < ARRAY_SIZE(invalid_words); i++)
		if (strcasestr(e->nf.invalid, invalid_words[i].kernel))
			return say("%s (in the kernel's words: %s)", invalid_words[i].words,
				   e->nf.invalid);
	return *e->nf.invalid ? say("in the kernel's words: %s", e->nf.invalid)
			      : "the kernel gave no reason";
}
