/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What is told of a conntrack entry that was seen to end, and near misses. */
#include "timeline_fixture.h"

#define judged(s, text) assert_string_equal(story_judge(s), text)

/* A container's connection behind masquerading, as the container and as the server sees it. */
static struct rec_tuple inside(void)
{
	return tcp("172.17.0.2", 39700, "10.0.2.2", 443);
}

static struct rec_tuple outside(void)
{
	return tcp("10.0.2.2", 443, "10.0.3.2", 39700);
}

static struct rec_event *stray_segment(struct story *s)
{
	struct rec_event *e = story_event(s, REC_RST_SENT, outside());

	e->pkt.tcp_flags = ACK;
	story_stack(s, e, "tcp_v4_send_reset", "tcp_v4_rcv", "ip_local_deliver_finish");
	return e;
}

/* The entry of inside(), by which outside() was translated back, ended a second before e. */
static void entry_end_fill(struct rec_event *e)
{
	struct rec_ct_end *end = &e->mem.ct_end;

	end->ns = e->hdr.mono_ns - NSEC_PER_SEC;
	end->orig = inside();
	end->reply = outside();
	end->tcp_state = 3; /* ESTABLISHED */
	end->pid = 77;
	assert_true(str_copy(end->comm, sizeof(end->comm), "controller"));
}

static void entry_end_stack(struct rec_event *e, const struct rec_event *in)
{
	e->mem.ct_end.nr_stack = in->nr_kstack;
	memcpy(e->mem.ct_end.stack, in->kstack, sizeof(e->mem.ct_end.stack));
}

/* The same, within these functions. */
#define entry_ended(s, e, ...)                                    \
	do {                                                      \
		struct rec_event in = {0};                        \
                                                                  \
		story_stack(s, &in, "nf_ct_delete", __VA_ARGS__); \
		entry_end_stack(e, &in);                          \
		entry_end_fill(e);                                \
	} while (0)

#define CAME_BY_NETLINK "ctnetlink_del_conntrack", "nfnetlink_rcv_msg"

static void deleted_entry_is_certain(void **state)
{
	struct story *s = *state;
	struct rec_event *e = stray_segment(s);

	entry_ended(s, e, CAME_BY_NETLINK);
	story_no_conntrack(s);
	judged(s, "nat-entry-missing, certain");
	assert_true(story_says(s, "has lost its entry (deleted by pid 77 controller)"));
	assert_true(story_says(s, "The end behind the NAT (172.17.0.2:39700) is not told"));
	assert_true(story_says(s, "its entry was 172.17.0.2:39700 -> 10.0.2.2:443, its reply "
				  "direction 10.0.2.2:443 -> 10.0.3.2:39700, state ESTABLISHED: "
				  "deleted by pid 77 controller, 1.0 s before"));
	assert_true(story_offers(s, "do not flush or delete conntrack entries"));
	assert_false(story_offers(s, "keepalives"));
	story_owner(story_socket(s, SOCK_MATCH_PORTS, inside(), TCP_ESTABLISHED), INSIDE, 8123,
		    "java");
	judged(s, "nat-entry-missing, certain");
	assert_true(story_hits(s, "pid 8123 java"));
}

static void flushed_entry_is_certain(void **state)
{
	struct story *s = *state;
	struct rec_event *e = stray_segment(s);

	entry_ended(s, e, "nf_ct_iterate_cleanup", "nf_ct_iterate_cleanup_net", CAME_BY_NETLINK);
	story_no_conntrack(s);
	judged(s, "nat-entry-missing, certain");
	assert_true(story_says(s, "(flushed, with all or many others, by pid 77 controller)"));
	assert_true(story_offers(s, "do not flush or delete conntrack entries"));
}

static void expired_entry_is_certain(void **state)
{
	struct story *s = *state;
	struct rec_event *e = stray_segment(s);

	entry_ended(s, e, "nf_ct_gc_expired.part.0", "gc_worker", "process_one_work");
	e->mem.ct_end.expired = true;
	story_no_conntrack(s);
	story_sysctl(s, "net.netfilter.nf_conntrack_tcp_timeout_established", 30);
	judged(s, "nat-entry-missing, certain");
	assert_true(story_says(s, "has lost its entry (expired)"));
	assert_true(story_says(s, "expired; conntrack removed it 1.0 s before"));
	assert_false(story_says(s, "controller")); /* it only ran */
	assert_true(story_offers(s, "tcp_timeout_established=432000   (now 30 s)"));
	assert_true(story_offers(s, "keepalives"));
	assert_false(story_offers(s, "do not flush"));
}

static void entries_that_the_kernel_removes(void **state)
{
	struct story *s = *state;
	struct rec_event *e = stray_segment(s);

	story_no_conntrack(s);
	entry_ended(s, e, "nf_ct_iterate_cleanup", "iterate_cleanup_work", "process_one_work");
	judged(s, "nat-entry-missing, certain");
	assert_true(story_says(s, "removed by MASQUERADE, whose device or address went away"));
	assert_true(story_offers(s, "do not take down the outer interface"));
	entry_ended(s, e, "early_drop", "init_conntrack");
	judged(s, "nat-entry-missing, certain");
	assert_true(story_says(s, "as the table was full"));
	assert_true(story_offers(s, "tcpwhy explain conntrack-table-full"));
	entry_ended(s, e, "gc_worker", "process_one_work"); /* of one that is half closed */
	judged(s, "nat-entry-missing, certain");
	assert_true(story_says(s, "as the table was full"));
	entry_ended(s, e, "bpf_prog_1", "nf_ct_unheard_of");
	judged(s, "nat-entry-missing, certain");
	assert_true(story_says(s, "removed by the kernel (nf_ct_delete"));
	assert_true(story_says(s, "nf_ct_unheard_of"));
	assert_false(story_says(s, "controller"));
}

static void entry_of_a_published_port_names_the_service(void **state)
{
	const struct rec_tuple from_client = tcp("10.0.1.2", 50000, "10.0.3.2", 443);
	struct story *s = *state;
	struct rec_event *e = story_event(s, REC_RST_SENT, from_client);

	e->pkt.tcp_flags = ACK;
	entry_ended(s, e, CAME_BY_NETLINK);
	e->mem.ct_end.orig = from_client;
	e->mem.ct_end.reply = tcp("172.17.0.2", 8443, "10.0.1.2", 50000);
	story_no_conntrack(s);
	judged(s, "nat-entry-missing, certain");
	assert_true(story_says(s, "The end behind the NAT (172.17.0.2:8443) is not told"));
}

static void ends_of_other_entries_say_nothing(void **state)
{
	struct story *s = *state;
	struct rec_event *e = stray_segment(s);
	struct rec_ct_end *end = &e->mem.ct_end;

	story_no_conntrack(s);
	entry_ended(s, e, CAME_BY_NETLINK);
	end->ns = e->hdr.mono_ns + 1; /* another one, after the packet */
	judged(s, "closed-socket, likely");
	end->ns = e->hdr.mono_ns;
	judged(s, "nat-entry-missing, certain");
	end->orig.sport = end->reply.dport = 39701; /* another connection */
	judged(s, "closed-socket, likely");
	entry_end_fill(e);
	end->orig.proto = end->reply.proto = IPPROTO_UDP;
	judged(s, "closed-socket, likely");
	entry_end_fill(e);
	end->orig = tuple_reverse(&end->reply); /* without NAT */
	judged(s, "closed-socket, likely");
}

static void entry_made_again_is_not_missing(void **state)
{
	struct story *s = *state;
	struct rec_event *e = stray_segment(s);

	entry_ended(s, e, CAME_BY_NETLINK);
	judged(s, "closed-socket, likely"); /* conntrack has not answered */
	story_conntrack(s, inside(), outside());
	story_hook(s, e, "ipv4_conntrack_in");
	judged(s, "conntrack-invalid, certain");
	e->pkt.has |= PKT_CT;
	e->pkt.ctinfo = 3;
	e->pkt.ct_orig = inside();
	e->pkt.ct_reply = outside();
	judged(s, "closed-socket, likely");
}

static void entry_in_a_zone_may_have_been_made_again(void **state)
{
	struct story *s = *state;
	struct rec_event *e = stray_segment(s);

	entry_ended(s, e, CAME_BY_NETLINK);
	e->mem.ct_end.zone = 5; /* lookups are made in zone 0 */
	story_no_conntrack(s);
	judged(s, "nat-entry-missing, likely");
	assert_true(story_says(s, "10.0.2.2:443 -> 10.0.3.2:39700, in zone 5, state"));
}

static void end_of_a_half_closed_connection(void **state)
{
	struct story *s = *state;
	struct rec_event *e = stray_segment(s);
	struct rec_sock_info *sock;

	entry_ended(s, e, "gc_worker", "process_one_work");
	e->mem.ct_end.expired = true;
	e->mem.ct_end.tcp_state = 4; /* FIN_WAIT */
	story_no_conntrack(s);
	judged(s, "nat-entry-missing, likely"); /* perhaps nobody is left behind the NAT */
	sock = story_socket(s, SOCK_MATCH_PORTS, inside(), TCP_CLOSE_WAIT);
	story_owner(sock, INSIDE, 8123, "java");
	judged(s, "nat-entry-missing, certain");
	sock->state = TCP_TIME_WAIT;
	judged(s, "nat-entry-missing, likely");
}

/* ---- drops ----------------------------------------------------------------------------------- */

static void invalid_packet_without_its_entry(void **state)
{
	struct story *s = *state;
	struct rec_event *e = story_drop(s, outside(), "NETFILTER_DROP");

	e->pkt.tcp_flags = ACK;
	e->pkt.ctinfo = CTINFO_NONE;
	story_stack(s, e, "nf_hook_slow", "ip_local_deliver", "ip_rcv");
	story_entered(s, e, story_chain(s, "input", 0));
	story_answer(s, Q_HOOKS);
	story_answer(s, Q_DROP_RULES);
	story_event(s, REC_SOCK_ERR, outside()); /* it is missed */
	judged(s, "nftables-rule, certain");
	assert_false(story_says(s, "had an entry"));
	entry_ended(s, e, CAME_BY_NETLINK);
	judged(s, "nftables-rule, certain");
	assert_false(story_says(s, "had an entry")); /* not asked: perhaps it has one again */
	story_no_conntrack(s);
	judged(s, "nftables-rule, certain");
	assert_true(story_says(s, "conntrack had an entry of this connection: deleted by pid 77 "
				  "controller, 1.0 s before"));
	story_conntrack(s, inside(), outside());
	judged(s, "nftables-rule, certain");
	assert_false(story_says(s, "had an entry"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		story_test(deleted_entry_is_certain),
		story_test(flushed_entry_is_certain),
		story_test(expired_entry_is_certain),
		story_test(entries_that_the_kernel_removes),
		story_test(entry_of_a_published_port_names_the_service),
		story_test(ends_of_other_entries_say_nothing),
		story_test(entry_made_again_is_not_missing),
		story_test(entry_in_a_zone_may_have_been_made_again),
		story_test(end_of_a_half_closed_connection),
		story_test(invalid_packet_without_its_entry),
	};

	return cmocka_run_group_tests_name("causes that conntrack's entries tell", tests, NULL,
					   NULL);
}
