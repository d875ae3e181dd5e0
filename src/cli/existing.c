/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "cli/existing.h"

#include "record/record.h"

#include <dirent.h>
#include <netinet/tcp.h>

/* ---- --host: both sides of a NAT ------------------------------------------------------------- */

static bool prefix_has(const struct prefix *p, const uint8_t addr[16])
{
	unsigned bytes = p->len / 8, bits = p->len % 8;

	if (memcmp(p->addr, addr, bytes) != 0)
		return false;
	return !bits || (p->addr[bytes] ^ addr[bytes]) >> (8 - bits) == 0;
}

static bool host_wanted(const struct watch_options *o, const uint8_t addr[16])
{
	const struct prefix_list *const lists[] = {&o->host, &o->src, &o->dst};

	for (size_t l = 0; l < ARRAY_SIZE(lists); l++)
		for (size_t i = 0; i < lists[l]->n; i++)
			if (prefix_has(&lists[l]->v[i], addr))
				return true;
	return false;
}

static void admit_nat(void *arg, const struct rec_ct *ct)
{
	struct session *s = arg;

	if (!host_wanted(s->o, ct->orig.src) && !host_wanted(s->o, ct->orig.dst) &&
	    !host_wanted(s->o, ct->reply.src) && !host_wanted(s->o, ct->reply.dst))
		return;
	live_admit(s->live, &ct->orig);
	live_admit(s->live, &ct->reply);
}

/* ---- --pid, --comm: sockets that are open ---------------------------------------------------- */

static void admit_socket(void *arg, const struct rec_sock_info *sock)
{
	struct session *s = arg;

	if (tuple_is_whole(&sock->tuple))
		live_admit(s->live, &sock->tuple);
	else if (sock->tuple.sport)
		live_watch_port(s->live, sock->hdr.netns, sock->tuple.sport);
}

struct process {
	uint32_t pid, parent;
	char comm[16];
	bool wanted;
};

typedef VEC(struct process) process_vec;

/*
 * "pid (comm) state ppid …": a comm may hold spaces and parentheses (fs/proc/array.c do_task_stat).
 */
static bool process_read(uint32_t pid, struct process *ret)
{
	_cleanup_free_ char *text = NULL;
	char path[32], *open, *close;

	snprintf(path, sizeof(path), "/proc/%u/stat", pid);
	if (read_file(path, 1024, &text) <= 0)
		return false;
	open = strchr(text, '(');
	close = strrchr(text, ')');
	if (!open || !close || close < open || sscanf(close + 1, " %*c %u", &ret->parent) != 1)
		return false;
	*close = '\0';
	ret->pid = pid;
	str_copy(ret->comm, sizeof(ret->comm), open + 1);
	return true;
}

static void processes_read(process_vec *all)
{
	DIR *dir = opendir("/proc");
	struct dirent *entry;

	while (dir && (entry = readdir(dir))) {
		struct process p = {0}, *slot;
		uint64_t pid;

		if (parse_u64(entry->d_name, 1, UINT32_MAX, &pid) ||
		    !process_read((uint32_t)pid, &p))
			continue;
		slot = vec_push(all);
		if (slot)
			*slot = p;
	}
	if (dir)
		closedir(dir);
}

static bool parent_is_wanted(const process_vec *all, uint32_t parent)
{
	for (size_t i = 0; i < all->n; i++)
		if (all->v[i].pid == parent)
			return all->v[i].wanted;
	return false;
}

/* Marks the tree below --pid, and processes called --comm. */
static void processes_choose(process_vec *all, const struct watch_options *o)
{
	bool more = true;

	for (size_t i = 0; i < all->n; i++) {
		struct process *p = &all->v[i];

		p->wanted =
			(o->pid && p->pid == o->pid) || (o->comm && strcmp(p->comm, o->comm) == 0);
	}
	while (more && o->pid) {
		more = false;
		for (size_t i = 0; i < all->n; i++) {
			struct process *p = &all->v[i];

			if (p->wanted || !parent_is_wanted(all, p->parent))
				continue;
			p->wanted = more = true;
		}
	}
}

static void admit_processes(struct session *s)
{
	process_vec all = {0};

	processes_read(&all);
	processes_choose(&all, s->o);
	for (size_t i = 0; i < all.n; i++) {
		if (!all.v[i].wanted)
			continue;
		if (s->o->pid)
			live_watch_pid(s->live, all.v[i].pid);
		enrich_pid_sockets(all.v[i].pid, admit_socket, s);
	}
	vec_free(&all);
}

void existing_admit(struct session *s)
{
	if (s->o->pid || s->o->comm)
		admit_processes(s);
	if (s->o->host.n || s->o->src.n || s->o->dst.n)
		enrich_ct_dump(0, admit_nat, s);
}
