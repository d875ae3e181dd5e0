/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "sym/debuginfod.h"

#include <dlfcn.h>

/* elfutils/debuginfod.h, which need not be there to build this. */
typedef struct debuginfod_client client;
typedef client *begin_fn(void);
typedef void end_fn(client *c);
typedef int find_fn(client *c, const unsigned char *id, int id_len, char **path);
typedef int progress_fn(client *c, long a, long b);
typedef void set_progress_fn(client *c, progress_fn *fn);
typedef void set_user_fn(client *c, void *data);
typedef void *get_user_fn(client *c);

static get_user_fn *get_user;

bool debuginfod_wanted(void)
{
	const char *urls = getenv("DEBUGINFOD_URLS");

	return urls && *urls;
}

static int progress(client *c, long a, long b)
{
	const bool *stop = get_user(c);

	(void)a, (void)b;
	return __atomic_load_n(stop, __ATOMIC_RELAXED);
}

int debuginfod_fetch(const char *build_id, const bool *stop, char ret[PATH_MAX])
{
	void *lib = dlopen("libdebuginfod.so.1", RTLD_NOW | RTLD_LOCAL);
	begin_fn *begin = lib ? (begin_fn *)dlsym(lib, "debuginfod_begin") : NULL;
	end_fn *end = lib ? (end_fn *)dlsym(lib, "debuginfod_end") : NULL;
	find_fn *find = lib ? (find_fn *)dlsym(lib, "debuginfod_find_debuginfo") : NULL;
	set_progress_fn *set_progress =
		lib ? (set_progress_fn *)dlsym(lib, "debuginfod_set_progressfn") : NULL;
	set_user_fn *set_user = lib ? (set_user_fn *)dlsym(lib, "debuginfod_set_user_data") : NULL;
	_cleanup_free_ char *path = NULL;
	client *c;
	int fd;

	get_user = lib ? (get_user_fn *)dlsym(lib, "debuginfod_get_user_data") : NULL;
	if (!begin || !end || !find || !set_progress || !set_user || !get_user)
		return -ELIBACC;
	c = begin();
	if (!c)
		return -ENOMEM;
	set_user(c, (void *)stop);
	set_progress(c, progress);
	/* Length 0: the id is hexadecimal text. */
	fd = find(c, (const unsigned char *)build_id, 0, &path);
	end(c);
	if (fd < 0)
		return fd;
	close(fd);
	return path && str_copy(ret, PATH_MAX, path) ? 0 : -ENAMETOOLONG;
}
