/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "diagnose/judge.h"
#include "record/record.h"

/*
 * net/ipv4/tcp_input.c tcp_conn_request: a full accept queue (LISTENOVERFLOWS) or SYN queue
 * (TCPREQQFULLDROP).
 */
static const char *const counters[] = {"TcpExtListenOverflows", "TcpExtTCPReqQFullDrop", NULL};
static const char *const sysctls[] = {"net.core.somaxconn", "net.ipv4.tcp_max_syn_backlog", NULL};

/* The SYN itself, seen refused. */
static bool refused(const struct rec_event *e)
{
	return e->hdr.kind == REC_HANDSHAKE && STEP_IS_REFUSAL(e->step);
}

static bool concerns(const struct rec_event *e)
{
	return e->hdr.kind == REC_SYN_AGAIN || e->hdr.kind == REC_SYNACK_RETRANS || refused(e) ||
	       strcmp(e->reason_name, "TCP_LISTEN_OVERFLOW") == 0;
}

/* net/ipv4/tcp_minisocks.c tcp_check_req: the last ACK, or data behind it, finds the queue full. */
static bool is_half_open(const struct rec_event *e)
{
	return e->hdr.kind == REC_SYNACK_RETRANS ||
	       (e->hdr.kind == REC_DROP && !packet_is_syn(&e->pkt));
}

enum proof { NO_PROOF, QUEUE_FULL_NOW, COUNTED, SEEN };

struct finding {
	const struct rec_sock_info *listener;
	uint32_t queued, limit;
	bool syn_queue; /* not the accept queue but the one of half-open connections */
	enum proof proof;
	uint64_t counted;
};

static void find(const struct judge *j, struct finding *f)
{
	uint64_t overflows = fact_counter(j, counters[0]), reqq = fact_counter(j, counters[1]);
	const struct rec_event *e = j->ev;

	*f = (struct finding){.listener = fact_listener(j)};
	if (e->sock.max_backlog) {
		f->queued = e->sock.backlog;
		f->limit = e->sock.max_backlog;
	} else if (f->listener) {
		f->queued = f->listener->rqueue;
		f->limit = f->listener->wqueue;
	}
	if (refused(e) || e->hdr.kind == REC_DROP) {
		f->proof = SEEN;
		f->syn_queue = refused(e) && e->step != STEP_ACCEPT_QUEUE_FULL;
		return;
	}
	if (e->hdr.kind != REC_SYN_AGAIN && e->hdr.kind != REC_SYNACK_RETRANS)
		return;
	if (f->limit && f->queued > f->limit) {
		f->proof = overflows ? COUNTED : QUEUE_FULL_NOW;
		f->counted = overflows;
	} else if (f->listener && reqq && e->hdr.kind == REC_SYN_AGAIN) {
		f->proof = COUNTED;
		f->counted = reqq;
		f->syn_queue = true;
	} else if (f->listener && overflows && f->listener->drops && e->hdr.kind == REC_SYN_AGAIN) {
		/* Full then, drained by now. */
		f->proof = COUNTED;
		f->counted = overflows;
	}
}

static void fixes(struct judge *j, const struct finding *f)
{
	const char *prefix = say_netns_prefix(j, j->ev->hdr.netns);
	int64_t value;

	if (f->syn_queue) {
		verdict_fix(j->v,
			    "a full SYN queue no longer refuses; connections made with a cookie "
			    "lose some TCP options",
			    "%ssysctl -w net.ipv4.tcp_syncookies=1", prefix);
		if (fact_sysctl(j, sysctls[1], &value))
			verdict_fix(j->v,
				    "more memory for half-open connections; only worth it if they "
				    "are real",
				    "%ssysctl -w net.ipv4.tcp_max_syn_backlog=%u   (now %d), and a "
				    "larger listen() backlog",
				    prefix, (unsigned)value * 4, (int)value);
		return;
	}
	fix_accept(j, f->listener);
	fix_backlog(j, f->limit);
}

static void tell(struct judge *j, const struct finding *f, const struct rec_tuple *service)
{
	const char *owner = f->listener ? say_owner(j, f->listener) : "the process";

	if (f->syn_queue)
		verdict_explain(j->v,
				"Too many half-open connections wait at port %u of %s (%s): its "
				"SYN queue is full, and the kernel ignores new SYNs without a "
				"word.",
				service->dport, say_netns(j, j->ev->hdr.netns), owner);
	else
		verdict_explain(j->v,
				"%s does not accept() its connections fast enough: %u wait in the "
				"queue of port %u, and %u is the limit. The kernel ignores further "
				"ones without a word.",
				owner, f->queued, service->dport, f->limit);
	if (is_half_open(j->ev))
		verdict_explain(j->v, "This one's SYN had been answered, so its client is "
				      "connected, "
				      "as far as it can tell: the ACK that ends the handshake is "
				      "ignored, and all that it sends.");
	if (f->proof == SEEN)
		verdict_evidence(j->v, "%s: %s", say_packet(&j->ev->pkt), say_stack(j, j->ev));
	else if (j->ev->hdr.kind == REC_SYN_AGAIN)
		verdict_evidence(j->v, "the same SYN from %s arrived %u times and was not answered",
				 say_src(&j->ev->pkt.tuple), j->ev->repeats);
	else
		verdict_evidence(j->v,
				 "the SYN-ACK to %s had to be sent again, because the client's ACK "
				 "is ignored",
				 say_dst(&j->ev->pkt.tuple));
	if (f->syn_queue && j->ev->step == STEP_SYN_BACKLOG_FULL)
		verdict_evidence(j->v,
				 "%u connections are half open: without SYN cookies only three "
				 "quarters of net.ipv4.tcp_max_syn_backlog are for peers that "
				 "never "
				 "connected before",
				 j->ev->sock.syn_queue);
	else if (f->syn_queue && j->ev->sock.max_backlog)
		verdict_evidence(j->v,
				 "%u connections are half open, and %u is the limit without SYN "
				 "cookies",
				 j->ev->sock.syn_queue, j->ev->sock.max_backlog);
	else if (f->limit)
		verdict_evidence(j->v,
				 "the accept queue holds %u, its limit is %u (a queue one over the "
				 "limit is full)",
				 f->queued, f->limit);
	if (!f->syn_queue && j->ev->sock.oldest_ns)
		verdict_evidence(j->v,
				 "the oldest of them has waited for %s: accept() has not come to "
				 "it "
				 "since",
				 say_time(j->ev->hdr.mono_ns - j->ev->sock.oldest_ns));
	if (f->counted)
		verdict_evidence(j->v, "%s grew by %llu since tcpwhy began to watch",
				 f->syn_queue ? "TCPReqQFullDrop" : "ListenOverflows",
				 (unsigned long long)f->counted);
	if (f->listener)
		verdict_hit(j->v, "%s (%s) listens on %s", owner,
			    say_netns(j, f->listener->hdr.netns), say_src(&f->listener->tuple));
}

static bool judge(struct judge *j)
{
	struct rec_tuple service = j->ev->pkt.tuple;
	struct finding f;

	if (!concerns(j->ev))
		return false;
	find(j, &f);
	if (f.proof == NO_PROOF)
		return false;
	if (j->ev->hdr.kind == REC_SYNACK_RETRANS)
		service = tuple_reverse(&service);
	j->v->certainty = f.proof == QUEUE_FULL_NOW ? CERTAINTY_LIKELY : CERTAINTY_CERTAIN;
	tell(j, &f, &service);
	hit_all(j);
	fixes(j, &f);
	return true;
}

const struct cause cause_listen_overflow = {
	.id = "listen-overflow",
	.rank = RANK_ROOT,
	.kinds = KIND(HANDSHAKE) | KIND(DROP) | KIND(SYN_AGAIN) | KIND(SYNACK_RETRANS),
	.needs = Q_LISTENERS,
	.sysctls = sysctls,
	.counters = counters,
	.any_client = true,
	.concerns = concerns,
	.judge = judge,
};
