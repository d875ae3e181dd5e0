/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "source/live_private.h"

#include <unistd.h>

/*
 * A way of a probe: programs that are attached together. A program's section names what it is attached
 * to; "?" before its name: it may be missing. args: how many arguments the kernel's tracepoint must
 * have at least (the data pointer that BTF counts first included).
 */
struct probe_way {
	enum live_tier tier;
	const char *programs[WAY_PROGRAMS];
	int args;
	const char *lost;		    /* by this way; NULL nothing */
	bool (*fits)(const struct live *l); /* NULL: where its functions are */
};

#define WAYS_MAX 6

struct probe_def {
	const char *name;
	const char *what;
	const char *lost;		 /* if no way is taken */
	struct probe_way ways[WAYS_MAX]; /* best first */
	bool tasks;			 /* only with follow_forks */
	uint8_t stacks; /* STACKS_*: it is needed where these are only counted; 0 it isn't */
};

#define TRACEPOINT(args, lost, ...)                              \
	{                                                        \
		TIER_TRACEPOINT, {__VA_ARGS__}, args, lost, NULL \
	}
#define FENTRY(...)                                           \
	{                                                     \
		TIER_TRAMPOLINE, {__VA_ARGS__}, 0, NULL, NULL \
	}
#define KPROBE(...)                                       \
	{                                                 \
		TIER_KPROBE, {__VA_ARGS__}, 0, NULL, NULL \
	}
/* One function, its entry only, or its entry and its end. */
#define AT(function) FENTRY(#function "_fentry"), KPROBE(#function "_kprobe")
#define AROUND(function)                                 \
	FENTRY(#function "_fentry", #function "_fexit"), \
		KPROBE(#function "_kprobe", #function "_kretprobe")

#define KPROBE_IF(fits, ...)                              \
	{                                                 \
		TIER_KPROBE, {__VA_ARGS__}, 0, NULL, fits \
	}

#define ERRORS "socket errors"
#define HOOKS "netfilter hooks"

/* Where nftables keeps its rules: bpf/netfilter.bpf.c. */
static bool rules_in_blobs(const struct live *l)
{
	return l->nft.base_chain && !l->nft.old;
}

static bool rules_in_lists(const struct live *l)
{
	return l->nft.base_chain && l->nft.old;
}

/* clang-format off */
static const struct probe_def probe_defs[] = {
	{"tcp_send_reset", "resets sent, with the packet that asked for them and the kernel's reason", "why a reset was sent",
	 {TRACEPOINT(4, NULL, "tcp_send_reset"),
	  FENTRY("tcp_v4_send_reset_fentry", "?tcp_v6_send_reset_fentry", "tcp_send_active_reset_fentry"),
	  KPROBE("tcp_v4_send_reset_kprobe", "?tcp_v6_send_reset_kprobe", "tcp_send_active_reset_kprobe"),
	  TRACEPOINT(3, "resets sent without a socket, and the kernel's reason for a reset", "tcp_send_reset_old")}, .stacks = STACKS_RST},
	{"tcp_receive_reset", "resets received", "resets received",
	 {TRACEPOINT(2, NULL, "tcp_receive_reset")}, .stacks = STACKS_RST},
	{"kfree_skb", "packets dropped, and why", "drops",
	 {TRACEPOINT(5, NULL, "kfree_skb"),
	  TRACEPOINT(4, "the receiving socket of a drop", "kfree_skb_3"),
	  TRACEPOINT(3, "the receiving socket and the reason of a drop, and drops within TCP but those of SYNs", "kfree_skb_2")}, .stacks = STACKS_DROP},
	{"tcp_retransmit_skb", "retransmissions", "retransmissions",
	 {TRACEPOINT(4, NULL, "tcp_retransmit_skb"),
	  TRACEPOINT(3, "whether a retransmission could be sent", "tcp_retransmit_skb_2")}, .stacks = STACKS_RETRANSMIT},
	{"tcp_retransmit_synack", "SYN-ACK retransmissions", "SYN-ACK retransmissions",
	 {TRACEPOINT(3, NULL, "tcp_retransmit_synack")}, .stacks = STACKS_RETRANSMIT},
	{"inet_sock_set_state", "socket states", "connects that fail, and who closed a socket",
	 {TRACEPOINT(4, NULL, "inet_sock_set_state", "inet_sock_set_state_missed")}, .stacks = STACKS_CONNECT | STACKS_CLOSE | STACKS_FILTERS},
	{ERRORS, "errors reported to sockets", "errors that don't end a connection",
	 {TRACEPOINT(2, NULL, "inet_sk_error_report"), AT(sock_def_error_report)}},
	{"net_dev_queue", "SYNs, resets and ICMP errors that leave",
	 "whether SYNs left, resets of REJECT rules, ICMP errors sent",
	 {TRACEPOINT(2, NULL, "net_dev_queue")}, .stacks = STACKS_FILTERS},
	{"netif_receive_skb", "SYNs, resets and ICMP errors that arrive",
	 "SYNs that are refused silently, headers of resets received, ICMP errors received",
	 {TRACEPOINT(2, NULL, "netif_receive_skb")}, .stacks = STACKS_FILTERS},
	{"sys_exit", "connect() calls that fail at once", "connects that fail without a packet",
	 {TRACEPOINT(3, NULL, "sys_exit")}},
	{"REJECT, IPv4", "packets that a REJECT rule answers", "the rejected packet; the answer itself is still seen leaving",
	 {FENTRY("nf_send_reset_fentry", "nf_send_unreach_fentry"),
	  KPROBE("nf_send_reset_kprobe", "nf_send_unreach_kprobe")}},
	{"REJECT, IPv6", "packets that a REJECT rule answers", "the rejected packet; the answer itself is still seen leaving",
	 {FENTRY("nf_send_reset6_fentry", "nf_send_unreach6_fentry"),
	  KPROBE("nf_send_reset6_kprobe", "nf_send_unreach6_kprobe")}},
	{"SYN at listener", "SYNs that are refused for a full queue",
	 "at which SYN a queue was full; a SYN that comes again still tells", {AROUND(tcp_conn_request)}},
	{"SYN cookie, IPv4", "cookies sent and checked", "which ACK failed its cookie; the counters still tell",
	 {FENTRY("cookie_v4_init_sequence_fentry", "cookie_v4_check_fentry", "__cookie_v4_check_fentry"),
	  KPROBE("cookie_v4_init_sequence_kprobe", "cookie_v4_check_kprobe", "__cookie_v4_check_kprobe")}},
	{"SYN cookie, IPv6", "cookies sent and checked", "which ACK failed its cookie; the counters still tell",
	 {FENTRY("cookie_v6_init_sequence_fentry", "cookie_v6_check_fentry", "__cookie_v6_check_fentry"),
	  KPROBE("cookie_v6_init_sequence_kprobe", "cookie_v6_check_kprobe", "__cookie_v6_check_kprobe")}},
	{"ACK at request", "ACKs that match a half-open connection",
	 "a race at the end of a handshake can only be inferred", {AT(tcp_check_req)}},
	{"SYN or RST at socket", "challenge ACKs, resets that were not accepted",
	 "SYNs and resets that met another connection (from 6.11 on drops tell of SYNs)", {AROUND(tcp_validate_incoming)}},
	{"SYN at TIME_WAIT", "how a socket in TIME_WAIT answered a SYN",
	 "what TIME_WAIT answered (from 6.11 on drops tell that it did)", {AROUND(tcp_timewait_state_process)}},
	{HOOKS, "which hook function dropped a packet", "who of several at a hook point dropped it: they are listed",
	 {KPROBE("nf_hook_kprobe", "nf_hook_nft_kprobe", "nf_register_net_hook_kprobe", "?nf_nat_register_fn_kprobe")}},
	{"nftables rules", "which rule dropped or rejected a packet", "which rule it was: those that can drop are listed",
	 {KPROBE_IF(rules_in_blobs, "nft_immediate_eval_kprobe", "?nft_reject_inet_eval_kprobe",
		    "?nft_reject_ipv4_eval_kprobe", "?nft_reject_ipv6_eval_kprobe", "?nft_reject_bridge_eval_kprobe",
		    "?nft_queue_eval_kprobe"),
	  KPROBE_IF(rules_in_lists, "nft_immediate_eval_old_kprobe", "?nft_reject_inet_eval_old_kprobe",
		    "?nft_reject_ipv4_eval_old_kprobe", "?nft_reject_ipv6_eval_old_kprobe",
		    "?nft_reject_bridge_eval_old_kprobe", "?nft_queue_eval_old_kprobe")}},
	{"nftables maps", "which rule dropped a packet by a verdict map", "rules with verdict maps that drop",
	 {KPROBE_IF(rules_in_blobs, "nft_lookup_eval_kprobe", "nft_lookup_eval_kretprobe"),
	  KPROBE_IF(rules_in_lists, "nft_lookup_eval_kprobe", "nft_lookup_eval_old_kretprobe")}},
	{"xtables targets", "which rule of iptables-nft dropped a packet by a target", "rules of iptables-nft with REJECT and the like",
	 {KPROBE_IF(rules_in_blobs, "nft_target_eval_xt_kprobe", "nft_target_eval_xt_kretprobe"),
	  KPROBE_IF(rules_in_lists, "nft_target_eval_xt_kprobe", "nft_target_eval_xt_old_kretprobe")}},
	{"conntrack INVALID", "why conntrack called a packet INVALID", "conntrack's own reason",
	 {KPROBE("nf_ct_l4proto_log_invalid_kprobe", "nf_l4proto_log_invalid_kprobe")}},
	{"conntrack entries", "who ended the entry of a connection that wasn't over", "how an entry ended that is missing",
	 {AT(nf_ct_delete_from_lists), AT(__nf_ct_delete_from_lists), AT(nf_ct_delete)}},
	{"sched_process_fork", "children of the watched processes", "children of the watched processes",
	 {TRACEPOINT(3, NULL, "sched_process_fork")}, true, STACKS_FILTERS},
};
/* clang-format on */

_Static_assert(ARRAY_SIZE(probe_defs) <= PROBES_MAX, "raise PROBES_MAX");

static const char *const tier_names[TIER_COUNT] = {"tracepoint", "trampoline", "kprobe"};

const char *live_tier_name(enum live_tier tier)
{
	return tier_names[tier];
}

const char *live_tier_why(const struct live *l, enum live_tier tier)
{
	return *l->tier_why[tier] ? l->tier_why[tier] : NULL;
}

enum live_tier live_tier(const struct live *l)
{
	enum live_tier tier = TIER_TRACEPOINT;

	for (size_t i = 0; i < l->nr_probes; i++)
		if (l->probes[i].attached && l->probes[i].tier > tier)
			tier = l->probes[i].tier;
	return tier;
}

/* ---- choosing -------------------------------------------------------------------------------- */

static struct bpf_program *find_program(const struct live *l, const char *name)
{
	return bpf_object__find_program_by_name(l->skel->obj, name + (*name == '?'));
}

/* What comes behind the slash of "fentry/tcp_check_req". */
static const char *target(const struct bpf_program *prog)
{
	const char *slash = strchr(bpf_program__section_name(prog), '/');

	return slash ? slash + 1 : "";
}

/*
 * How many arguments does the tracepoint have (the data pointer included)? 0: this kernel doesn't
 * have it.
 */
static int tracepoint_args(const struct btf *btf, const char *tracepoint)
{
	_cleanup_strbuf_ struct strbuf name = {0};
	const struct btf_type *t;
	int id;

	strbuf_addf(&name, "btf_trace_%s", tracepoint);
	id = btf__find_by_name_kind(btf, name.s, BTF_KIND_TYPEDEF);
	if (id < 0)
		return 0;
	t = btf__type_by_id(btf, btf__type_by_id(btf, (uint32_t)id)->type); /* typedef -> pointer */
	if (!t || !btf_is_ptr(t))
		return 0;
	t = btf__type_by_id(btf, t->type);
	return t && btf_is_func_proto(t) ? btf_vlen(t) : 0;
}

static bool program_fits(const struct live *l, const struct btf *btf, const struct probe_way *way,
			 const char *name, char *why, size_t size)
{
	const char *at = target(find_program(l, name));
	const struct function *f;

	if (way->tier == TIER_TRACEPOINT) {
		if (tracepoint_args(btf, at) >= way->args)
			return true;
		snprintf(why, size, "this kernel has no such tracepoint");
		return false;
	}
	if (!*at) /* attached later: hooks.c */
		return true;
	f = &l->functions[function_number(at)];
	/* Trampolines need the function's types; those of a module that has none are guessed. */
	if (f->found && (way->tier == TIER_KPROBE || f->places.ret))
		return true;
	snprintf(why, size, "%s", f->found ? "this kernel's modules carry no BTF" : f->why);
	return false;
}

static bool way_fits(const struct live *l, const struct btf *btf, const struct probe_way *way,
		     char *why, size_t size)
{
	if (!(l->tiers & 1u << way->tier)) {
		snprintf(why, size, "no %ss", live_tier_name(way->tier));
		return false;
	}
	if (way->fits && !way->fits(l)) {
		snprintf(why, size, "nftables is not loaded, or laid out otherwise");
		return false;
	}
	for (size_t i = 0; i < WAY_PROGRAMS && way->programs[i]; i++)
		if (*way->programs[i] != '?' &&
		    !program_fits(l, btf, way, way->programs[i], why, size))
			return false;
	return true;
}

/* In what order the ways of a probe are tried: the asked tier's before those of tracepoints. */
static int way_at(const struct live *l, const struct probe_def *def, int place)
{
	int n = 0;

	for (int pass = 0; pass < 2; pass++)
		for (int i = 0; i < WAYS_MAX && def->ways[i].programs[0]; i++) {
			bool first = !l->prefer_other || def->ways[i].tier != TIER_TRACEPOINT;

			if (first == (pass == 0) && n++ == place)
				return i;
		}
	return -1;
}

static void choose_programs(struct live *l, const struct btf *btf, const struct probe_way *way,
			    struct strbuf *how)
{
	const char *last = "", *at;
	char why[64];

	for (size_t i = 0; i < WAY_PROGRAMS && way->programs[i]; i++) {
		struct bpf_program *prog = find_program(l, way->programs[i]);

		if (!program_fits(l, btf, way, way->programs[i], why, sizeof(why)))
			continue;
		bpf_program__set_autoload(prog, true);
		if (way->tier == TIER_KPROBE && l->kprobe_multi)
			bpf_program__set_expected_attach_type(prog, BPF_TRACE_KPROBE_MULTI);
		at = bpf_program__section_name(prog);
		if (strcmp(at, last) != 0)
			strbuf_addf(how, "%s%s", i ? ", " : "", at);
		last = at;
	}
}

static void add_why(struct strbuf *how, const char *why)
{
	if (*why && (!how->s || !strstr(how->s, why)))
		strbuf_addf(how, "%s%s", how->len ? "; " : "", why);
}

static void choose_way(struct live *l, const struct btf *btf, size_t i)
{
	const struct probe_def *def = &probe_defs[i];
	_cleanup_strbuf_ struct strbuf how = {0};
	struct live_probe *probe = &l->probes[i];
	struct probe_state *state = &l->states[i];
	char why[64];
	int way;

	state->way = -1;
	probe->lost = def->lost;
	for (int place = 0; state->way < 0 && (way = way_at(l, def, place)) >= 0; place++) {
		if (state->refused & 1u << way) {
			add_why(&how, state->refused_why);
		} else if (!way_fits(l, btf, &def->ways[way], why, sizeof(why))) {
			add_why(&how, why);
		} else {
			state->way = way;
			probe->tier = def->ways[way].tier;
			probe->lost = def->ways[way].lost;
			strbuf_reset(&how);
			choose_programs(l, btf, &def->ways[way], &how);
			add_why(&how, state->refused_why);
		}
	}
	str_copy(probe->how, sizeof(probe->how), how.s ? how.s : "");
}

static bool is_asked(const struct live *l, const struct probe_def *def)
{
	if (l->stacks && !(def->stacks & l->stacks))
		return false;
	return !def->tasks || l->follow_forks;
}

void probes_choose(struct live *l, const struct btf *vmlinux)
{
	struct bpf_program *prog;

	bpf_object__for_each_program(prog, l->skel->obj)
	{
		bpf_program__set_autoload(prog, false);
	}
	for (size_t i = 0; i < l->nr_probes; i++)
		if (is_asked(l, &probe_defs[i]))
			choose_way(l, vmlinux, i);
		else
			l->states[i].way = -1;
}

static bool is_chosen(const struct live *l, const char *probe)
{
	for (size_t i = 0; i < l->nr_probes; i++)
		if (strcmp(l->probes[i].name, probe) == 0)
			return l->states[i].way >= 0;
	return false;
}

bool probes_report_errors(const struct live *l)
{
	return is_chosen(l, ERRORS);
}

bool probes_watch_hooks(const struct live *l)
{
	return is_chosen(l, HOOKS);
}

/* ---- what the kernel offers ------------------------------------------------------------------ */

static void leave_out(struct live *l, enum live_tier tier, const char *why)
{
	l->tiers &= ~(1u << tier);
	str_copy(l->tier_why[tier], sizeof(l->tier_why[tier]), why);
}

static void try_tier(struct live *l, enum live_tier tier, int err)
{
	char why[96];

	snprintf(why, sizeof(why), "%ss can't be attached here (%s)", live_tier_name(tier),
		 strerror(-err));
	if (err)
		leave_out(l, tier, why);
}

/* The kernel looks up what they are attached to in its own BTF: a file with it is for us only. */
static bool kernel_has_btf(void)
{
	return access("/sys/kernel/btf/vmlinux", R_OK) == 0;
}

void probes_init(struct live *l, const struct btf *vmlinux)
{
	uint64_t addr;

	l->nr_probes = ARRAY_SIZE(probe_defs);
	for (size_t i = 0; i < l->nr_probes; i++) {
		l->probes[i].name = probe_defs[i].name;
		l->probes[i].what = probe_defs[i].what;
	}
	for (int tier = 0; tier < TIER_COUNT; tier++)
		if (!(l->tiers & 1u << tier))
			leave_out(l, tier, "not tried, because of --tier");
	if (!kernel_has_btf()) {
		leave_out(l, TIER_TRACEPOINT, "the kernel carries no BTF itself");
		leave_out(l, TIER_TRAMPOLINE, "the kernel carries no BTF itself");
	}
	if (l->tiers & 1u << TIER_TRAMPOLINE)
		try_tier(l, TIER_TRAMPOLINE, trial_trampoline(vmlinux));
	if (!(l->tiers & 1u << TIER_KPROBE))
		return;
	addr = l->functions[function_number(TRIAL_FUNCTION)].addr;
	l->kprobe_multi = trial_kprobe_multi(addr) == 0;
	if (!l->kprobe_multi)
		try_tier(l, TIER_KPROBE, trial_kprobe(addr));
}

/* ---- attaching ------------------------------------------------------------------------------- */

static void refuse(struct live *l, size_t i, const char *program, const char *what, int err)
{
	struct probe_state *state = &l->states[i];

	state->refused |= 1u << state->way;
	snprintf(state->refused_why, sizeof(state->refused_why), "%s could not be %s (%s)", program,
		 what, strerror(-err));
}

bool probes_refuse(struct live *l, const char *program, int err)
{
	for (size_t i = 0; i < l->nr_probes; i++) {
		const struct probe_way *way;

		if (l->states[i].way < 0)
			continue;
		way = &probe_defs[i].ways[l->states[i].way];
		for (size_t p = 0; p < WAY_PROGRAMS && way->programs[p]; p++) {
			const char *name = way->programs[p] + (*way->programs[p] == '?');

			if (strcmp(name, program) != 0)
				continue;
			refuse(l, i, program, "loaded", err);
			return true;
		}
	}
	return false;
}

static struct bpf_link *attach(const struct live *l, const struct probe_way *way,
			       struct bpf_program *prog)
{
	const char *function = target(prog);
	bool at_return = strncmp(bpf_program__section_name(prog), "kret", 4) == 0;
	uint64_t addr;

	if (way->tier != TIER_KPROBE)
		return bpf_program__attach(prog);
	addr = l->functions[function_number(function)].addr;
	return l->kprobe_multi ? kprobe_attach_fast(prog, function, addr, at_return)
			       : kprobe_attach(prog, function, addr, at_return);
}

static void detach(struct live *l, size_t i)
{
	for (size_t p = 0; p < WAY_PROGRAMS; p++) {
		bpf_link__destroy(l->states[i].links[p]);
		l->states[i].links[p] = NULL;
	}
	l->probes[i].attached = false;
}

static bool attach_way(struct live *l, size_t i)
{
	const struct probe_way *way = &probe_defs[i].ways[l->states[i].way];

	for (size_t p = 0; p < WAY_PROGRAMS && way->programs[p]; p++) {
		struct bpf_program *prog = find_program(l, way->programs[p]);

		if (!bpf_program__autoload(prog) || !*target(prog))
			continue;
		l->states[i].links[p] = attach(l, way, prog);
		if (l->states[i].links[p])
			continue;
		/* Of kprobes, one at a time may do what several at once can't. */
		if (way->tier == TIER_KPROBE && l->kprobe_multi)
			l->kprobe_multi = false;
		else
			refuse(l, i, bpf_program__name(prog), "attached", -errno);
		detach(l, i);
		return false;
	}
	return true;
}

bool probes_attach(struct live *l)
{
	bool again = false;

	for (size_t i = 0; i < l->nr_probes; i++) {
		if (l->states[i].way < 0)
			continue;
		l->probes[i].attached = attach_way(l, i);
		again = again || !l->probes[i].attached;
	}
	return again;
}

void probes_detach(struct live *l)
{
	for (size_t i = 0; i < l->nr_probes; i++)
		detach(l, i);
}
