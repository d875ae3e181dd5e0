/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Whose call it was, and by which of its functions. The process may end at any moment: what it has in its memory is read
 * first, then the files. They are opened as the process sees them, in its own root.
 */
#include "enrich/container.h"
#include "enrich/lookup.h"
#include "enrich/process.h"
#include "enrich/user_unwind.h"
#include "sym/perf_map.h"

#include <sys/stat.h>

#define FRAMES_MAX 32
#define MAPS_MAX (16u << 20)
#define COMMAND_MAX (64u << 10)
#define PERF_MAP_MAX (64u << 20)

static ssize_t proc_read(uint32_t pid, const char *name, size_t max, char **ret)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/%u/%s", pid, name);
	return read_file(path, max, ret);
}

/* ---- the process ----------------------------------------------------------------------------- */

/* A number may be another process's by now, and exec makes another program of it. */
static int check_thread(const struct user_stack *s)
{
	_cleanup_free_ char *comm = NULL;
	char name[48];
	size_t len = strcspn(s->comm, "\n");

	snprintf(name, sizeof(name), "task/%u/comm", s->tid);
	if (proc_read(s->pid, name, 64, &comm) < 0)
		return -ESRCH;
	return strcspn(comm, "\n") == len && !memcmp(comm, s->comm, len) ? 0 : -ESRCH;
}

static void add_process(struct lookup *l)
{
	struct rec_process rec = {.pid = l->q->stack.pid};
	_cleanup_free_ char *command = NULL;
	ssize_t len = proc_read(rec.pid, "cmdline", COMMAND_MAX, &command);

	if (len > 0) {
		str_copy(rec.program, sizeof(rec.program), command);
		for (ssize_t i = (ssize_t)strlen(command) + 1; i < len; i++)
			rec.args += !command[i] || i + 1 == len;
	}
	process_comm(rec.pid, rec.comm, sizeof(rec.comm));
	process_container(rec.pid, rec.container, sizeof(rec.container));
	lookup_add(l, &rec, REC_PROCESS, l->q->netns);
}

/* Its number in its own namespace of processes: the last of "NSpid:\t1234\t1". */
static uint32_t own_pid(uint32_t pid)
{
	_cleanup_free_ char *status = NULL;
	char *line, *end;
	unsigned long own = pid;

	if (proc_read(pid, "status", 16384, &status) < 0)
		return pid;
	line = strstr(status, "\nNSpid:");
	if (!line)
		return pid;
	for (line += strlen("\nNSpid:"); *line == '\t'; line = end)
		own = strtoul(line + 1, &end, 10);
	return (uint32_t)own;
}

/* Its own, or root's: others can write to /tmp, too. */
static void perf_map_read(struct user_process *p)
{
	_cleanup_close_ int fd = -1;
	struct stat owner, st;
	char path[64];

	if (p->perf_map)
		return;
	snprintf(path, sizeof(path), "/tmp/perf-%u.map", own_pid(p->pid));
	fd = process_file(p->pid, path);
	snprintf(path, sizeof(path), "/proc/%u", p->pid);
	if (fd >= 0 && !stat(path, &owner) && !fstat(fd, &st) &&
	    (!st.st_uid || st.st_uid == owner.st_uid)) {
		snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
		if (read_file(path, PERF_MAP_MAX, &p->perf_map) < 0)
			p->perf_map = NULL;
	}
	if (!p->perf_map)
		p->perf_map = strdup("");
}

/* ---- frames ---------------------------------------------------------------------------------- */

static void name_in_file(struct rec_user_frame *rec, const struct user_code *c)
{
	struct user_symbol symbol;

	str_copy(rec->build_id, sizeof(rec->build_id), user_file_build_id(c->file));
	if (user_file_symbol(c->file, c->addr, &symbol))
		return;
	str_copy(rec->name, sizeof(rec->name), symbol.name);
	rec->offset = symbol.offset;
}

/* Code that is made while the program runs lies in memory without a file, or in one that is no ELF file (memfd_create). */
static void name_in_memory(struct rec_user_frame *rec, struct user_process *p, uint64_t at)
{
	perf_map_read(p);
	if (p->perf_map &&
	    perf_map_find(p->perf_map, at, rec->name, sizeof(rec->name), &rec->offset))
		rec->at = USER_IN_PERF_MAP;
}

static void name_frame(struct rec_user_frame *rec, struct user_process *p,
		       const struct user_code *c, bool call)
{
	uint64_t at = rec->addr - call;

	str_copy(rec->object, sizeof(rec->object), c->map->path);
	rec->offset = at - c->map->start + c->map->offset;
	rec->at = c->file ? USER_IN_FILE : c->map->inode ? USER_FILE_UNREAD : USER_IN_MEMORY;
	if (c->file)
		name_in_file(rec, c);
	else
		name_in_memory(rec, p, at);
	rec->offset += call;
}

/* What called main says nothing: the C library's start, often without a name. */
static bool is_main(const struct rec_user_frame *rec)
{
	return rec->at == USER_IN_FILE && strcmp(rec->name, "main") == 0;
}

static void add_frames(struct lookup *l, struct user_process *p)
{
	const struct user_stack *s = &l->q->stack;
	const struct rec_user *u = &s->user;
	struct user_regs r = {.pc = u->frames[0], .sp = u->nr_top ? u->sp : 0, .bp = u->bp};
	struct user_code c = user_code_at(p, r.pc, false);
	struct rec_user_frame rec;
	bool unsure;

	for (unsigned n = 0; c.map; n++) {
		rec = (struct rec_user_frame){
			.event_ns = l->q->event_ns, .pid = s->pid, .addr = r.pc};
		name_frame(&rec, p, &c, n > 0);
		rec.end = is_main(&rec) ? USER_OUTERMOST : (uint8_t)user_caller(u, &c, &r, &unsure);
		if (rec.end == USER_GOES_ON) {
			rec.unsure = unsure;
			c = user_code_at(p, r.pc, true);
			rec.end = n + 1 == FRAMES_MAX ? USER_FULL
				  : c.map	      ? USER_GOES_ON
						      : USER_NO_CODE;
		}
		lookup_add(l, &rec, REC_USER_FRAME, l->q->netns);
		if (rec.end != USER_GOES_ON)
			return;
	}
}

int user_stack_answer(struct lookup *l)
{
	struct user_process p = {.pid = l->q->stack.pid, .files = l->files};
	_cleanup_free_ char *maps = NULL;
	int err;

	if (!l->q->stack.user.nr || proc_read(p.pid, "maps", MAPS_MAX, &maps) <= 0)
		return -ESRCH; /* what ends has no memory any more */
	err = check_thread(&l->q->stack);
	if (err)
		return err;
	add_process(l);
	mappings_parse(maps, &p.maps);
	add_frames(l, &p);
	mappings_free(&p.maps);
	free(p.perf_map);
	return 0;
}
