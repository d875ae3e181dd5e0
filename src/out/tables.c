/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The field tables of verdicts and of the summary. */
#include "out/fields_out.h"

#include <netinet/in.h>

static bool flow_is_whole(const void *base)
{
	const struct rec_tuple *t = base;
	bool icmp = t->proto == IPPROTO_ICMP || t->proto == IPPROTO_ICMPV6;

	/* Where the type of an ICMP packet isn't known, neither is its community id. */
	return tuple_is_whole(t) && (!icmp || t->sport || t->dport);
}

static const struct field community_fields[] = {
	{.type = FIELD_COMMUNITY,
	 .name = "community_id",
	 .size = sizeof(struct rec_tuple),
	 .when = flow_is_whole},
	{.type = FIELD_END},
};

static const struct field flow_fields[] = {
	FIELD_INLINE(tuple_fields),
	FIELD_INLINE(community_fields),
	{.type = FIELD_END},
};

static const struct field fix_fields[] = {
	FIELD(CSTR, struct verdict_fix, command, "command", NULL),
	FIELD(CSTR, struct verdict_fix, effect, "effect", NULL),
	{.type = FIELD_END},
};

static bool has_line(const void *base)
{
	return ((const struct verdict_source *)base)->function;
}

static bool has_sources(const void *base)
{
	return ((const struct verdict *)base)->source.n;
}

static const struct field source_fields[] = {
	FIELD(CSTR, struct verdict_source, frame, "frame", NULL),
	FIELD(CSTR, struct verdict_source, function, "function", NULL, .when = has_line),
	FIELD(CSTR, struct verdict_source, file, "file", NULL, .when = has_line),
	FIELD(UINT, struct verdict_source, line, "line", NULL, .when = has_line),
	FIELD(BOOL, struct verdict_source, inlined, "inlined", NULL, .when = has_line),
	{.type = FIELD_END},
};

static bool is_over(const void *base)
{
	return ((const struct ledger *)base)->over;
}

static bool has_translated(const void *base)
{
	return !addr_is_any(((const struct ledger *)base)->translated.dst);
}

static bool has_ledger(const void *base)
{
	return ((const struct verdict *)base)->connect.known;
}

static const struct field syn_fields[] = {
	FIELD(NS, struct ledger_syn, after_ns, "after_ns", NULL),
	FIELD(NAME, struct ledger_syn, fate, "fate", NULL, .u.name = syn_fate_name),
	FIELD(STRING, struct ledger_syn, ifname, "interface", NULL, .optional = true),
	FIELD(CSTR, struct ledger_syn, by, "by", NULL, .optional = true),
	FIELD(BOOL, struct ledger_syn, data, "data", NULL, .optional = true),
	{.type = FIELD_END},
};

static const struct field answer_fields[] = {
	FIELD(NS, struct ledger_answer, after_ns, "after_ns", NULL),
	FIELD(CSTR, struct ledger_answer, what, "what", NULL),
	FIELD(CSTR, struct ledger_answer, taken, "taken", NULL),
	FIELD(CSTR, struct ledger_answer, why, "why", NULL, .optional = true),
	{.type = FIELD_END},
};

const struct field ledger_fields[] = {
	FIELD_GROUP_OF(struct ledger, flow, "flow", flow_fields),
	FIELD_GROUP_OF(struct ledger, translated, "translated", flow_fields,
		       .when = has_translated),
	FIELD(UINT, struct ledger, pid, "pid", NULL, .optional = true),
	FIELD(STRING, struct ledger, comm, "comm", NULL, .optional = true),
	FIELD(STRING, struct ledger, container, "container", NULL, .optional = true),
	FIELD(BOOL, struct ledger, over, "over", NULL),
	FIELD(BOOL, struct ledger, given_up, "given_up", NULL, .when = is_over),
	FIELD(ERRNO, struct ledger, err, "errno", NULL, .optional = true),
	FIELD(NS, struct ledger, took_ns, "took_ns", NULL, .optional = true),
	FIELD(LIST, struct ledger, syns, "syns", NULL,
	      .u.items = {syn_fields, sizeof(struct ledger_syn)}),
	FIELD(UINT, struct ledger, more_syns, "more_syns", NULL, .optional = true),
	FIELD(LIST, struct ledger, answers, "answers", NULL,
	      .u.items = {answer_fields, sizeof(struct ledger_answer)}),
	{.type = FIELD_END},
};

static const char *certainty_text(unsigned number)
{
	return certainty_name((enum certainty)number);
}

static bool has_process(const void *base)
{
	return ((const struct verdict *)base)->process.pid;
}

static const struct field process_fields[] = {
	FIELD(UINT, struct rec_process, pid, "pid", NULL),
	FIELD(STRING, struct rec_process, comm, "comm", NULL),
	FIELD(STRING, struct rec_process, program, "program", NULL, .optional = true),
	FIELD(UINT, struct rec_process, args, "arguments", NULL, .optional = true),
	FIELD(STRING, struct rec_process, container, "container", NULL, .optional = true),
	{.type = FIELD_END},
};

/* The labels are those of the block of text, below the line of the event. */
const struct field verdict_fields[] = {
	FIELD(UINT, struct verdict, id, "id", NULL),
	FIELD(TIME, struct verdict, wall_ns, "time", NULL),
	FIELD(NS, struct verdict, mono_ns, "mono_ns", NULL),
	FIELD(CSTR, struct verdict, cause, "cause", "cause"),
	FIELD(NAME, struct verdict, certainty, "certainty", NULL, .u.name = certainty_text),
	FIELD(CSTR, struct verdict, event, "event", NULL),
	FIELD(UINT, struct verdict, events, "count", NULL),
	FIELD_GROUP_OF(struct verdict, flow, "flow", flow_fields),
	FIELD(STRING, struct verdict, netns_name, "netns", NULL, .optional = true),
	FIELD(UINT, struct verdict, netns, "netns_inum", NULL, .optional = true),
	FIELD(STRING, struct verdict, ifname, "interface", NULL, .optional = true),
	FIELD(STRING, struct verdict, host, "host", NULL, .optional = true),
	FIELD(CSTR, struct verdict, explanation, "explanation", NULL),
	FIELD(GROUP, struct verdict, connect, "connect", "connect", .u.group = ledger_fields,
	      .when = has_ledger),
	FIELD(LINES, struct verdict, evidence, "evidence", "evidence"),
	FIELD(LINES, struct verdict, hit, "hit", "hit"),
	FIELD(LINES, struct verdict, path, "path", "path", .optional = true),
	FIELD(LINES, struct verdict, stack, "kernel_stack", "stack"),
	FIELD(LIST, struct verdict, source, "kernel_source", NULL, .when = has_sources,
	      .u.items = {source_fields, sizeof(struct verdict_source)}),
	FIELD(GROUP, struct verdict, process, "process", "process", .u.group = process_fields,
	      .when = has_process),
	FIELD(LINES, struct verdict, user_stack, "user_stack", "called by", .optional = true),
	FIELD(CSTR, struct verdict, user_stack_end, "user_stack_end", "", .optional = true),
	FIELD(LIST, struct verdict, fix, "fix", "fix",
	      .u.items = {fix_fields, sizeof(struct verdict_fix)}),
	{.type = FIELD_END},
};

/* ---- summary --------------------------------------------------------------------------------- */

static bool has_command(const void *base)
{
	return ((const struct out_summary *)base)->command;
}

/* Kind 0 is where the kernel side counts what its table had no room for. */
static const char *kind_text(unsigned kind)
{
	const char *name = record_kind_name(kind);

	return name ? name : "other";
}

static const struct field count_fields[] = {
	FIELD(NAME, struct out_count, key.kind, "kind", NULL, .u.name = kind_text),
	FIELD(STRING, struct out_count, reason, "reason", NULL, .optional = true),
	FIELD(STRING, struct out_count, location, "location", NULL, .optional = true),
	FIELD(NAME, struct out_count, key.proto, "proto", NULL, .optional = true,
	      .u.name = proto_name),
	FIELD(UINT, struct out_count, key.family, "family", NULL, .optional = true),
	FIELD(STRING, struct out_count, netns, "netns", NULL, .optional = true),
	FIELD(UINT, struct out_count, key.netns, "netns_inum", NULL, .optional = true),
	FIELD(UINT, struct out_count, value.seen, "seen", NULL),
	FIELD(UINT, struct out_count, value.shown, "shown", NULL),
	FIELD(UINT, struct out_count, value.suppressed, "suppressed", NULL),
	FIELD(UINT, struct out_count, value.lost, "lost", NULL),
	{.type = FIELD_END},
};

typedef __typeof__(*((struct out_summary *)0)->verdicts.v) summary_cause;

static const struct field summary_cause_fields[] = {
	FIELD(CSTR, summary_cause, cause, NULL, NULL),
	FIELD(UINT, summary_cause, incidents, "incidents", NULL),
	FIELD(UINT, summary_cause, events, "events", NULL),
	{.type = FIELD_END},
};

const struct field summary_fields[] = {
	FIELD(UINT, struct out_summary, seen, "seen", NULL),
	FIELD(UINT, struct out_summary, shown, "shown", NULL),
	FIELD(UINT, struct out_summary, suppressed, "suppressed", NULL),
	FIELD(UINT, struct out_summary, lost, "lost", NULL),
	FIELD(UINT, struct out_summary, questions_unanswered, "lookups_refused", NULL),
	FIELD(UINT, struct out_summary, evicted, "evicted", NULL),
	FIELD(NS, struct out_summary, duration_ns, "duration_ns", NULL),
	FIELD(MAP, struct out_summary, verdicts, "verdicts", NULL,
	      .u.items = {summary_cause_fields, sizeof(summary_cause)}),
	FIELD(LIST, struct out_summary, counts, "counts", NULL,
	      .u.items = {count_fields, sizeof(struct out_count)}),
	FIELD(INT, struct out_summary, command_status, "command_status", NULL, .when = has_command),
	{.type = FIELD_END},
};

/* ---- connects -------------------------------------------------------------------------------- */

static bool has_destination(const void *base)
{
	return ((const struct out_connects *)base)->key.family;
}

static const struct field step_fields[] = {
	FIELD(UINT, struct out_step, from_us, "from_us", NULL),
	FIELD(UINT, struct out_step, count, "count", NULL),
	{.type = FIELD_END},
};

const struct field connects_fields[] = {
	FIELD(UINT, struct out_connects, key.family, "family", NULL, .when = has_destination),
	FIELD(ADDR, struct out_connects, key.dst, "dst", NULL, .when = has_destination),
	FIELD(UINT, struct out_connects, key.dport, "dst_port", NULL, .when = has_destination),
	FIELD(STRING, struct out_connects, netns, "netns", NULL, .optional = true),
	FIELD(UINT, struct out_connects, key.netns, "netns_inum", NULL, .optional = true),
	FIELD(UINT, struct out_connects, value.connected, "connected", NULL),
	FIELD(UINT, struct out_connects, value.failed, "failed", NULL),
	FIELD(NS, struct out_connects, value.max_ns, "max_ns", NULL, .optional = true),
	FIELD(LIST, struct out_connects, latency, "latency", NULL,
	      .u.items = {step_fields, sizeof(struct out_step)}),
	{.type = FIELD_END},
};

/* ---- stacks ---------------------------------------------------------------------------------- */

const char *stacks_by_name(unsigned by)
{
	static const char *const names[] = {"stack", "location", "reason", "flow"};

	return by < ARRAY_SIZE(names) ? names[by] : name_unknown;
}

static bool has_flow(const void *base)
{
	return ((const struct out_stack *)base)->flow.proto;
}

static const struct field stack_fields[] = {
	FIELD(CSTR, struct out_stack, kind, "kind", NULL),
	FIELD(STRING, struct out_stack, reason, "reason", NULL, .optional = true),
	FIELD(STRING, struct out_stack, location, "location", NULL, .optional = true),
	FIELD_GROUP_OF(struct out_stack, flow, "flow", flow_fields, .when = has_flow),
	FIELD(UINT, struct out_stack, count, "count", NULL),
	FIELD(UINT, struct out_stack, total, "total", NULL),
	FIELD(LINES, struct out_stack, frames, "kernel_stack", NULL, .optional = true),
	FIELD(LINES, struct out_stack, path, "path", NULL, .optional = true),
	{.type = FIELD_END},
};

const struct field stacks_fields[] = {
	FIELD(TIME, struct out_stacks, wall_ns, "time", NULL),
	FIELD(NAME, struct out_stacks, by, "by", NULL, .u.name = stacks_by_name),
	FIELD(BOOL, struct out_stacks, all, "all", NULL),
	FIELD(NS, struct out_stacks, interval_ns, "interval_ns", NULL),
	FIELD(UINT, struct out_stacks, seen, "seen", NULL),
	FIELD(UINT, struct out_stacks, rest, "rest", NULL),
	FIELD(UINT, struct out_stacks, others, "others", NULL),
	FIELD(LIST, struct out_stacks, rows, "rows", NULL,
	      .u.items = {stack_fields, sizeof(struct out_stack)}),
	{.type = FIELD_END},
};

/* ---- joined ---------------------------------------------------------------------------------- */

static const struct field end_fields[] = {
	FIELD(STRING, struct out_end, host, "host", NULL),
	FIELD(UINT, struct out_end, verdict, "verdict", NULL),
	FIELD(STRING, struct out_end, cause, "cause", NULL),
	FIELD(STRING, struct out_end, certainty, "certainty", NULL),
	{.type = FIELD_END},
};

const struct field joined_fields[] = {
	FIELD_TUPLE_OF(struct out_joined, flow, "flow", NULL),
	FIELD(STRING, struct out_joined, community, "community_id", NULL),
	FIELD(LIST, struct out_joined, ends, "ends", NULL,
	      .u.items = {end_fields, sizeof(struct out_end)}),
	{.type = FIELD_END},
};
