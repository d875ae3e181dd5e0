/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "cli/command.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>

/* In the child: nothing of the parent's signal mask may stay. */
static _Noreturn void run(char *const *argv, int wait_for)
{
	sigset_t none;
	ssize_t n;
	char byte;

	do
		n = read(wait_for, &byte, 1);
	while (n < 0 && errno == EINTR);
	if (n != 1)
		_exit(127); /* tcpwhy is not armed: the command must not run unwatched */
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	signal(SIGPIPE, SIG_DFL);
	execvp(argv[0], argv);
	fprintf(stderr, "tcpwhy: cannot run %s: %s\n", argv[0], strerror(errno));
	_exit(errno == ENOENT ? 127 : 126);
}

int command_fork(char *const *argv, struct command_run *ret)
{
	int fds[2];
	pid_t pid;

	*ret = (struct command_run){.go = -1};
	if (pipe2(fds, O_CLOEXEC) < 0)
		return -errno;
	pid = fork();
	if (pid < 0) {
		close(fds[0]);
		close(fds[1]);
		return -errno;
	}
	if (pid == 0) {
		close(fds[1]);
		run(argv, fds[0]);
	}
	close(fds[0]);
	ret->pid = pid;
	ret->go = fds[1];
	return 0;
}

void command_go(struct command_run *c)
{
	if (c->go < 0)
		return;
	(void)!write(c->go, "", 1);
	close(c->go);
	c->go = -1;
}

static void command_ended(struct command_run *c, int status)
{
	c->ended = true;
	c->status = WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

void command_reap(struct command_run *c)
{
	int status;

	if (!c->pid || c->ended || waitpid(c->pid, &status, WNOHANG) != c->pid)
		return;
	command_ended(c, status);
}

void command_wait(struct command_run *c)
{
	sigset_t all;
	int status;

	if (!c->pid || c->ended)
		return;
	/* From here on a signal ends tcpwhy, as it does anybody. */
	sigfillset(&all);
	sigprocmask(SIG_UNBLOCK, &all, NULL);
	while (waitpid(c->pid, &status, 0) < 0)
		if (errno != EINTR)
			return;
	command_ended(c, status);
}

void command_signal(const struct command_run *c, int sig)
{
	if (c->pid && !c->ended)
		kill(c->pid, sig);
}
