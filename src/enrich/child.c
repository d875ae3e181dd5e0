/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "enrich/child.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/capability.h>
#include <sys/wait.h>

/* A hundredth of that will do, unless the machine is short of time. */
#define TIME_LIMIT (8 * NSEC_PER_SEC)

int child_find(const char *name, char **ret)
{
	static const char *const dirs[] = {"/usr/sbin", "/sbin", "/usr/local/sbin",
					   "/usr/bin",	"/bin",	 "/usr/local/bin"};

	for (size_t i = 0; i < ARRAY_SIZE(dirs); i++) {
		_cleanup_free_ char *path = NULL;

		if (asprintf(&path, "%s/%s", dirs[i], name) < 0) {
			path = NULL;
			return -ENOMEM;
		}
		if (access(path, X_OK))
			continue;
		*ret = path;
		path = NULL;
		return 0;
	}
	return -ENOENT;
}

/*
 * Whoever isn't root loses capabilities by exec() but for the ambient ones. They are the thread's
 * own. What can't be had is missed by the child, which then fails.
 */
static void caps_pass_on(void)
{
	static const cap_value_t caps[] = {CAP_NET_ADMIN, CAP_NET_RAW, CAP_DAC_READ_SEARCH};

	if (!geteuid())
		return;
	for (size_t i = 0; i < ARRAY_SIZE(caps); i++) {
		cap_t c = cap_get_proc();

		if (c && !cap_set_flag(c, CAP_INHERITABLE, 1, &caps[i], CAP_SET) &&
		    !cap_set_proc(c))
			cap_set_ambient(caps[i], CAP_SET);
		cap_free(c);
	}
}

/* The worker's thread blocks all signals; a child must not. */
static int attr_set(posix_spawnattr_t *attr)
{
	sigset_t none, all;
	int err;

	sigemptyset(&none);
	sigfillset(&all);
	err = posix_spawnattr_setsigmask(attr, &none);
	if (!err)
		err = posix_spawnattr_setsigdefault(attr, &all);
	if (!err)
		err = posix_spawnattr_setflags(attr,
					       POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
	return -err;
}

static int spawn(const char *const argv[], int out, pid_t *ret)
{
	static char *const env[] = {"LC_ALL=C", "PATH=/usr/sbin:/usr/bin:/sbin:/bin", NULL};
	posix_spawn_file_actions_t files;
	posix_spawnattr_t attr;
	int err;

	if (posix_spawn_file_actions_init(&files))
		return -ENOMEM;
	if (posix_spawnattr_init(&attr)) {
		posix_spawn_file_actions_destroy(&files);
		return -ENOMEM;
	}
	err = attr_set(&attr);
	if (!err)
		err = -posix_spawn_file_actions_addopen(&files, 0, "/dev/null", O_RDONLY, 0);
	if (!err)
		err = -posix_spawn_file_actions_adddup2(&files, out, 1);
	if (!err)
		err = -posix_spawn_file_actions_addopen(&files, 2, "/dev/null", O_WRONLY, 0);
	/* libnftables opens its sockets without O_CLOEXEC; one may own a table. */
	if (!err)
		err = -posix_spawn_file_actions_addclosefrom_np(&files, 3);
	caps_pass_on();
	if (!err)
		err = -posix_spawn(ret, argv[0], &files, &attr, (char *const *)argv, env);
	posix_spawnattr_destroy(&attr);
	posix_spawn_file_actions_destroy(&files);
	return err;
}

/* Until the end of file. */
static int output_read(int fd, size_t max, struct strbuf *ret)
{
	uint64_t end = now_mono() + TIME_LIMIT;
	char buf[8192];

	for (;;) {
		struct pollfd pfd = {.fd = fd, .events = POLLIN};
		uint64_t now = now_mono();
		ssize_t n;

		if (now >= end)
			return -ETIMEDOUT;
		if (poll(&pfd, 1, (int)((end - now) / NSEC_PER_MSEC) + 1) <= 0)
			continue;
		n = read(fd, buf, sizeof(buf));
		if (n < 0 && errno != EINTR)
			return -errno;
		if (!n)
			return ret->oom ? -ENOMEM : 0;
		if (n > 0)
			strbuf_addn(ret, buf, (size_t)n);
		if (ret->len > max)
			return -E2BIG;
	}
}

int child_output(const char *const argv[], size_t max, char **ret)
{
	_cleanup_close_ int in = -1;
	struct strbuf out = {0};
	int err, status, fds[2];
	pid_t pid;

	if (pipe2(fds, O_CLOEXEC) < 0)
		return -errno;
	in = fds[0];
	err = spawn(argv, fds[1], &pid);
	close(fds[1]);
	if (err)
		return err;
	err = output_read(in, max, &out);
	if (err)
		kill(pid, SIGKILL);
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR) {
			status = -1;
			break;
		}
	if (!err && status)
		err = -EIO;
	if (!err)
		strbuf_add(&out, ""); /* there is a string, if an empty one */
	if (err || !out.s) {
		strbuf_free(&out);
		return err ? err : -ENOMEM;
	}
	*ret = out.s;
	return 0;
}
