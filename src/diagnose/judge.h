/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a cause is, and the facts that it may look at. Everything here is a pure function of a
 * timeline: no BPF, no netlink, no clock, no globals.
 */
#ifndef TCPWHY_JUDGE_H
#define TCPWHY_JUDGE_H

#include "diagnose/verdict.h"
#include "record/record.h"
#include "track/track.h"

#include <netinet/in.h>
#include <netinet/tcp.h>

#define TCP_STATE_NEW_SYN_RECV 12 /* include/net/tcp_states.h */

/*
 * Which of two causes that both fit is the better answer: what made it happen, before what followed
 * from that.
 */
enum cause_rank {
	RANK_ROOT,	  /* this host did it, and this is why */
	RANK_CONSEQUENCE, /* what a connection met: reset, refused, unanswered */
	RANK_PLACE,	  /* where on this host it was lost, but not who wanted that */
	RANK_LAST,	  /* nothing better is known */
};

/* One event of a timeline, under judgement. */
struct judge {
	const struct timeline *tl;
	const struct world *world;
	const struct rec_event *ev;
	struct verdict *v;
};

struct cause {
	const char *id;
	enum cause_rank rank;
	uint32_t kinds; /* KIND() of the events that it judges */
	/*
	 * Asked when such an event has happened, about its tuple in its namespace; Q_NETNS is
	 * always asked.
	 */
	uint32_t needs;
	const char *const *sysctls;  /* NULL-terminated; "%s" stands for the event's interface */
	const char *const *counters; /* NULL-terminated */
	bool any_client;	     /* the service's failure, whoever its client is */
	/* Is it worth asking for this event? NULL: yes. */
	bool (*concerns)(const struct rec_event *e);
	/*
	 * Did this cause ev? If so fills certainty, explanation, evidence, hit and fix of v (the
	 * engine fills the rest, and empties it again after a no).
	 */
	bool (*judge)(struct judge *j);
};

#define KIND(k) (1u << REC_##k)

#define CAUSE(name) extern const struct cause cause_##name;
#include "diagnose/causes/list.h"
#undef CAUSE

/* ---- facts ----------------------------------------------------------------------------------- */

/* Does the kernel stack of the event under judgement (or of e) show this function? */
bool fact_stack(const struct judge *j, const char *function);
bool fact_stack_of(const struct judge *j, const struct rec_event *e, const char *function);
/* A frame of the probe itself, which stands above the kernel's own. NULL: no. */
bool frame_is_ours(const struct rec_symbol *s);
/* "tcp_v4_rcv+0x596" for an address, "0x…" if it has no symbol. */
void fact_symbol_text(const struct judge *j, uint64_t addr, struct strbuf *out);

/* The first event of a kind in the timeline, NULL if none. */
const struct rec_event *fact_event(const struct judge *j, enum rec_kind kind);

/*
 * Was the socket of ev still connecting when it failed? (An error is reported when its state is
 * CLOSE already.)
 */
bool fact_was_connecting(const struct judge *j);
/*
 * A packet of this connection that was dropped on this host for a reason that can stop it; NULL:
 * none was seen.
 */
const struct rec_event *fact_loss(const struct judge *j);

/* The answer to "which conntrack entry holds this tuple in this namespace?"; NULL: not answered. */
const struct rec_ct *fact_ct(const struct judge *j, const struct rec_tuple *tuple, uint32_t netns);
/* Is the entry's other direction not simply the reverse: is it translated? */
bool ct_is_nat(const struct rec_ct *ct);
/*
 * How the entry of ev's packet left the table, if that was before the packet came, and before the connection
 * was over; NULL: not seen. Another one may have been made since.
 */
const struct rec_ct_end *fact_entry_end(const struct judge *j);
enum entry_end {
	ENTRY_EXPIRED,
	ENTRY_DELETED, /* a program asked for it */
	ENTRY_FLUSHED, /* … for many at once, perhaps all */
	ENTRY_MASQUERADE,
	ENTRY_EVICTED,
	ENTRY_BY_KERNEL, /* for another reason, which the stack shows */
};
enum entry_end entry_end(const struct judge *j, const struct rec_ct_end *end);
/* Do the hooks noted with ev show that conntrack judges packets in this namespace? */
bool fact_conntrack_active(const struct judge *j);

/*
 * Was the question answered (with whatever result)? *ret_late, if wanted: microseconds from event
 * to answer.
 */
bool fact_answered(const struct judge *j, enum question_kind kind, uint32_t *ret_late_us);
/* How many questions were still open when the watch judged. */
uint32_t fact_open_questions(const struct timeline *tl);
/* The value of a sysctl in ev's namespace: true if it is known. */
bool fact_sysctl(const struct judge *j, const char *name, int64_t *ret);
/* The route that a lookup found to dst, in ev's namespace; NULL: not known. */
const struct rec_route *fact_route(const struct judge *j, const uint8_t dst[16]);
/* A counter's increase since the base line, 0 if unknown. */
uint64_t fact_counter(const struct judge *j, const char *name);
/* Its value; false: not known. */
bool fact_counter_value(const struct judge *j, const char *name, uint64_t *ret);
/* Who listens, in ev's namespace, for what ev's packet is for (or comes from); NULL: not known. */
const struct rec_sock_info *fact_listener(const struct judge *j);
/* A socket that a lookup found for these ends (either orientation), alive. */
const struct rec_sock_info *fact_sock(const struct judge *j, const struct rec_tuple *tuple);

/* Two packets, or sockets, of one connection: equal in either direction. */
bool same_connection(const struct rec_tuple *a, const struct rec_tuple *b);

/*
 * The reason of an event, "" where there is none: none at all, or NOT_SPECIFIED (as of resets that
 * a socket sends by itself, in 6.10 and 6.11).
 */
const char *fact_reason(const struct rec_event *e);
bool fact_reason_is(const struct rec_event *e, const char *reason);

/* Has TCP on this host sent a reset in this story by now: seen by its tracepoint, or leaving? */
bool fact_reset_by_us(const struct judge *j);
/*
 * Did a process here close the connection of ev's packet before it came, so that a reset answered
 * it? (On kernels that don't tell of the reset: seen leaving, or the packet's drop.)
 */
bool fact_answers_closed(const struct judge *j);
/*
 * Had the kernel here given this connection up by itself before (a time-out, a reset of its own), since
 * `since_ns`? What comes for it afterwards only follows from that.
 */
bool fact_had_ended(const struct judge *j, uint64_t since_ns);
/* What the task of e was doing: its own word, or what the stack shows. */
enum task_ending fact_ending(const struct judge *j, const struct rec_event *e);
/*
 * Did the connection attempt of ev's SYN come to harm afterwards: repeated, reset, given up? Where
 * it may be a stray duplicate of the SYN that made the socket which it met, more is asked for.
 */
bool fact_syn_suffers(const struct judge *j, bool no_duplicate);
/*
 * Was a connection given up because its peer was silent (ETIMEDOUT, or the reset that goes with
 * it), and nothing that this host dropped is the reason?
 */
bool fact_gave_up(const struct judge *j);
/* How often a segment was seen sent again before ev; *ret_ns, if wanted: since when, 0 never. */
unsigned fact_retransmitted(const struct judge *j, uint64_t *ret_ns);

/* ---- netfilter: firewall.c ------------------------------------------------------------------- */

/* NF_*: what netfilter's probes told of the packet of e. Of one that left, they tell nothing. */
uint8_t fact_nf(const struct rec_event *e);
/* The same, if it is about the hook that the stack shows. */
uint8_t fact_nf_here(const struct judge *j, const struct rec_event *e);
/* Did they tell which base chain's policy decided; which rule? */
bool nf_has_policy(const struct rec_event *e);
bool nf_has_rule(const struct rec_event *e);

/* Where netfilter decided about the packet of e: its probes tell, or the stack. */
struct hook_place {
	const char *hook;    /* "LOCAL_IN", NULL unknown */
	const char *chain;   /* where a user finds its rules: "input" */
	const char *made_by; /* "an nftables rule", NULL unknown */
	uint8_t pf;	     /* NFPROTO_* of the hook, 0 unknown */
	uint8_t number;	     /* in that family; NF_HOOK_ANY unknown */
	bool bridged;	     /* br_netfilter called IP's hooks for a bridged packet */
	bool nftables;
	bool sure; /* the stack names the kind */
};

void fact_hook(const struct judge *j, const struct rec_event *e, struct hook_place *ret);

/* How it is known which hook function dropped a packet. */
enum dropper_from {
	FROM_NOTHING,
	FROM_STACK, /* it shows there */
	FROM_PROBE, /* the packet was seen to enter it last */
	FROM_TRACE, /* nftables' own trace tells that it did */
	FROM_LISTS, /* nothing else at this hook can drop */
};

#define SUSPECTS_MAX 16

/* The hook function that dropped a packet, as far as it is known. */
struct dropper {
	struct hook_place at;
	enum dropper_from from;
	enum certainty certainty;    /* of maker */
	uint8_t maker;		     /* enum hook_maker, 0 not known */
	const char *function;	     /* its name, "" not known */
	const struct rec_hook *hook; /* NULL: not among what the lookup found */
	/* Entered last of those that are watched, where not all are: it or one behind it. */
	const struct rec_hook *seen;
	/* Those of that hook that may drop, in call order; more than one where maker is 0. */
	const struct rec_hook *suspects[SUSPECTS_MAX];
	unsigned n_suspects;
};

void fact_dropper(const struct judge *j, const struct rec_event *e, struct dropper *ret);
/* The function's name; "" not known. */
const char *hook_function(const struct judge *j, const struct rec_hook *h);
/* Is a hook of this family and number the one of w? NFPROTO_INET stands for both IP families. */
bool at_hook(const struct hook_place *w, uint8_t pf, uint8_t number);

/*
 * Was the packet of e freed by one of these functions (NULL-terminated), not only below them? By the
 * place that the kernel reports, else by the innermost frame of the stack.
 */
bool fact_dropped_in(const struct judge *j, const struct rec_event *e,
		     const char *const *functions);
/* net/netfilter/nfnetlink_queue.c: where packets end that a program had been given. */
extern const char *const queue_places[];
/* Did a netfilter hook say drop? Without a reason, by the stack. */
bool fact_netfilter_drop(const struct judge *j, const struct rec_event *e);
/* For `concerns`: may that be so? */
bool may_be_netfilter_drop(const struct rec_event *e);
/*
 * One lost segment of a running connection is repaired by TCP, and many rules and programs mean to
 * drop stray ones. Does the drop under judgement stop something: a SYN, a datagram, the same
 * segment again, a connection that ends with an error?
 */
bool fact_suffers(const struct judge *j);

/* ---- what the causes of netfilter's drops share: causes/netfilter_drop.c, nftables_rule.c ---- */

/* Is the drop under judgement netfilter's, a failure, and no REJECT rule's? Who did it then? */
bool judge_netfilter(struct judge *j, struct dropper *ret);
/* What was dropped where, as the first sentences. */
void tell_netfilter(struct judge *j, const struct dropper *d);
/* Packet, stack, what conntrack thought of it; who is hit. */
void evidence_packet(struct judge *j, const struct hook_place *w);
/* The same, and how the dropper is known. */
void evidence_netfilter(struct judge *j, const struct dropper *d);

/* Has the packet of e a conntrack entry that isn't in the table yet? For `concerns`. */
bool entry_is_new(const struct rec_event *e);
/*
 * Was it dropped as that entry couldn't be put there? Without probes, if nothing else can have dropped it,
 * or it clashes: another connection has what it needs.
 */
bool judge_insert(struct judge *j, bool clashes, struct dropper *ret);
/* Another connection whose answers look like those to the packet under judgement; NULL: not known. */
const struct rec_ct *other_entry(const struct judge *j);
bool source_is_translated(const struct rec_packet *p);

#define RULES_SHOWN 5

/* The rules that may have decided; those whose counters moved first. */
struct rules {
	const struct rec_rule *v[RULES_SHOWN];
	unsigned n;	     /* all, also beyond v */
	unsigned moved;	     /* those of them whose counters rose */
	unsigned uncounted;  /* those without a counter, which might have risen, too */
	bool exact;	     /* v[0] is the one */
	struct rec_rule own; /* v[0], where no lookup knows it */
};

/* Has it never matched, by its own counter? That is more than not having moved since the last look. */
bool rule_never_matched(const struct rec_rule *r);
/* reject: those that answer. */
void fact_rules(const struct judge *j, const struct dropper *d, bool reject, struct rules *ret);
/* Are these rules that a user made with iptables? */
bool rules_of_iptables(const struct rules *r);
/* Names the rule or the candidates, and how it is known; adds the commands that show and change it. */
void tell_rules(struct judge *j, const struct dropper *d, const struct rules *r);

/* The answer of a REJECT rule in this story; NULL: none was seen. */
const struct rec_event *fact_reject(const struct judge *j);
/*
 * Is this event a reset (or, on kernels that don't tell, the drop behind it) for a packet that
 * found no socket?
 */
bool reset_without_socket(const struct judge *j);
/* A SYN that opens a connection, not a SYN-ACK. */
bool packet_is_syn(const struct rec_packet *p);

/* ---- another program's capture: captured.c --------------------------------------------------- */

/* Is the event under judgement what a capture shows, and this? */
bool fact_captured(const struct judge *j, enum captured_what what);
/* Which end of the packet is the service: 1 dst, -1 src, 0 not known. */
int captured_service(const struct rec_event *e);
/* Causes as packets alone show them: likely at most. */
bool judge_captured_reset(struct judge *j);
bool judge_captured_alone(struct judge *j);
bool judge_captured_refused(struct judge *j);
bool judge_captured_unreachable(struct judge *j);
bool judge_captured_unanswered(struct judge *j);
bool judge_captured_collision(struct judge *j);

/* ---- a SYN that met an old connection: causes/challenge_ack.c, time_wait_answer.c ------------- */

/*
 * Was the SYN under judgement answered with a challenge ACK, or did it meet TIME_WAIT, to its harm? Where
 * it can't be a stray duplicate of the SYN that made the socket, less is asked for.
 */
bool judge_challenge(const struct judge *j, bool no_duplicate);
bool judge_time_wait(const struct judge *j);
/* The old connection's state, "alive" if it isn't known. */
const char *challenge_state(const struct judge *j);

/* ---- a reset from elsewhere: causes/peer_reset.c, rst_injected.c ------------------------------ */

/* A reset that arrived and was taken, and that no TCP socket of this host sent. */
bool reset_from_elsewhere(const struct judge *j);
/* What it met and how it came; by whom, if a program of this host made it; what is lost with it. */
void evidence_reset(struct judge *j);
/* If a program of this host made it, that is where to look; else false. */
bool reset_fix_maker(struct judge *j);

/* ---- BPF programs: causes/bpf_tc_drop.c ------------------------------------------------------ */

#define PROGRAMS_SHOWN 5

struct programs {
	const struct rec_bpf_prog *v[PROGRAMS_SHOWN];
	unsigned n; /* all, also beyond v */
};

/* places: bits of enum bpf_place */
void fact_programs(const struct judge *j, uint32_t places, struct programs *ret);
/* Names the program or the candidates; adds commands. */
void tell_programs(struct judge *j, const struct programs *ps);

/* ---- a handshake that this host lost: causes/syn_dropped_here.c, unknown.c -------------------- */

/* The drop under judgement, or the one that a connect() met which failed; NULL: none was seen. */
const struct rec_event *judge_handshake_loss(const struct judge *j);
/* Judges that drop from now on, for certain; tells what came of it, if that is how it was found. */
void judge_at_loss(struct judge *j, const struct rec_event *loss);
/* … and tells of the drop itself, and who is hit. */
void tell_loss(struct judge *j);
/* Did a connect() end, unanswered? */
bool fact_unanswered(const struct rec_event *e);
/* What the kernel says of the drop under judgement, and commands that show more. */
void tell_drop(struct judge *j);

/* ---- the ledger of a connect(): ledger.c ------------------------------------------------------ */

/* Fills *ret, if the story is of a connect() on this host that failed or is about to; j->ev becomes its end. */
void judge_ledger(struct judge *j, struct ledger *ret);
/* Fills who called connect() or close(), as far as that was looked up. */
void judge_caller(const struct judge *j, struct verdict *v);

/* ---- words ----------------------------------------------------------------------------------- */

/*
 * Texts in a ring of buffers, for use within one printf-like call: endpoints "10.0.0.1:80", a
 * tuple, a namespace ("netns host", "container docker 0123456789ab", "netns of pid 12 (nginx)"), a
 * socket's owner ("pid 12 nginx in docker 0123456789ab", "an unknown process"), a time ("1.2 s"),
 * the stack (4 frames).
 */
const char *say_src(const struct rec_tuple *t);
const char *say_dst(const struct rec_tuple *t);
const char *say_addr(const uint8_t addr[16]);
const char *say_tuple(const struct rec_tuple *t);
const char *say_netns(const struct judge *j, uint32_t inum);
const char *say_owner(const struct judge *j, const struct rec_sock_info *s);
const char *say_time(uint64_t ns);
const char *say_stack(const struct judge *j, const struct rec_event *e);
const char *say_reason(const struct rec_event *e); /* "reason NO_SOCKET", "reason not told" */
/*
 * How a process lost its sockets: "was killed by SIGKILL", "crashed (SIGSEGV)", "closed the socket"
 */
const char *say_ending(enum task_ending ending, unsigned signal);
const char *
say_packet(const struct rec_packet
		   *p); /* "SYN 10.0.0.1:2 -> 10.0.0.2:80", "ACK … seq 1 ack 2, 100 bytes" */
const char *say_icmp(const struct rec_packet *p); /* "host unreachable" */
const char *say_task(const struct rec_event *e);  /* "pid 12 curl", "" where there is none */
/* "deleted by pid 12 conntrack", the same with its time, "…, 1.2 s before" */
const char *say_ender(const struct judge *j, const struct rec_ct_end *end);
const char *say_entry_end(const struct judge *j, const struct rec_ct_end *end);
const char *say_zone(uint16_t zone); /* ", in zone 5", "" for the one that is meant by default */
/* "rule handle 12 of chain input in table inet filter: tcp dport 80 drop" */
const char *say_rule(const struct rec_rule *r);
/* Why conntrack called the packet of e INVALID. */
enum invalid_kind {
	INVALID_UNTOLD,
	INVALID_WINDOW,
	INVALID_CHECKSUM,
	INVALID_FLAGS,
	INVALID_STATE,
	INVALID_SHORT,
	INVALID_OTHER, /* a word of a kernel to come */
};
enum invalid_kind invalid_kind(const struct rec_event *e);
const char *say_invalid(const struct rec_event *e);
/* "chain input of table inet filter (nft_do_chain_inet, priority 0)" */
const char *say_hook(const struct judge *j, const struct rec_hook *h);
/* "drop_all (id 12, tc-ingress, held by pid 7 agent)" */
const char *say_program(const struct rec_bpf_prog *p);
const char *say_netns_prefix(const struct judge *j,
			     uint32_t inum); /* "ip netns exec host ", "nsenter -t 12 -n ", "" */

/* Adds, where it is so, that the reason of the event under judgement is not the kernel's word. */
void evidence_derived(struct judge *j);
/* Adds the commands that show the rules at this place. */
void fix_rules(struct judge *j, const struct hook_place *w, const struct rec_tuple *t);

/*
 * Adds who is hit: the connection's local sockets that lookups found (with their processes), and
 * the processes in whose calls it failed. Each once. Returns how many.
 */
unsigned hit_all(struct judge *j);
/* An accept queue that is full: what its process can do, and how it can be made longer than limit. */
void fix_accept(struct judge *j, const struct rec_sock_info *listener);
void fix_backlog(struct judge *j, uint32_t limit);
/* Adds the task that resets its own connection, if it is known, and its peer; did: "closed". */
void hit_closer(struct judge *j, const char *did);
/* What the socket under judgement had received or sent, and what is lost with it. */
void evidence_thrown_away(struct judge *j);

#endif
