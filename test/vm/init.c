/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The first process of the virtual machine: mounts the host's root file system with a writable layer above it, runs one
 * command in there, hands its exit status to the host and switches the machine off. Static, alone in its initramfs.
 *
 * From the kernel's command line it gets vm_run, a folder of the host with the file "job", strings that each end with a
 * zero byte: "tty" or "pipe", the folder with the kernel's modules, the working directory, the number of words of the
 * command, the words, the environment.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/io.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#define PORT_STATUS 0xe9 /* isa-debugcon: what is written here, the host finds in a file */
#define PORT_OFF 0xf4	 /* isa-debug-exit */

static int log_fd = -1;

static void off(const char *word, int n)
{
	char text[64];

	snprintf(text, sizeof(text), "%s %d\n", word, n);
	ioperm(PORT_STATUS, 1, 1);
	ioperm(PORT_OFF, 4, 1);
	for (const char *c = text; *c; c++)
		outb(*c, PORT_STATUS);
	outl(0, PORT_OFF);
	for (;;)
		pause();
}

static void fail(const char *fmt, ...)
{
	int err = errno;
	va_list ap;

	va_start(ap, fmt);
	dprintf(log_fd, "init: ");
	vdprintf(log_fd, fmt, ap);
	dprintf(log_fd, ": %s\n", strerror(err));
	va_end(ap);
	if (log_fd >= 0)
		tcdrain(log_fd);
	off("failed", err);
}

static void mount_at(const char *type, const char *from, const char *to, unsigned long flags,
		     const char *data)
{
	mkdir(to, 0755);
	if (mount(from, to, type, flags, data))
		fail("mounting %s (%s)", to, type);
}

/* What a kernel may lack, the command may not need. */
static void mount_if_there(const char *type, const char *to)
{
	mkdir(to, 0755);
	if (mount(type, to, type, 0, NULL))
		dprintf(log_fd, "init: no %s: %s\n", type, strerror(errno));
}

/* The modules' file names begin with their place in the order of loading. */
static void load_modules(void)
{
	struct dirent **files;
	int n = scandir("/modules", &files, NULL, alphasort);

	for (int i = 0; i < n; i++) {
		char path[300];
		int fd;

		if (files[i]->d_name[0] == '.')
			continue;
		snprintf(path, sizeof(path), "/modules/%s", files[i]->d_name);
		fd = open(path, O_RDONLY | O_CLOEXEC);
		if (fd < 0 || (syscall(SYS_finit_module, fd, "", 0) && errno != EEXIST))
			fail("loading %s", path);
		close(fd);
	}
}

struct job {
	const char *mode, *modules, *dir;
	char **words, **env;
};

static char *read_all(const char *path, size_t *ret_size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct stat st;
	char *text;
	ssize_t n;

	if (fd < 0 || fstat(fd, &st) || !(text = malloc((size_t)st.st_size + 1)))
		fail("opening %s", path);
	for (*ret_size = 0; (n = read(fd, text + *ret_size, (size_t)st.st_size - *ret_size)) > 0;)
		*ret_size += (size_t)n;
	if (n < 0)
		fail("reading %s", path);
	close(fd);
	text[*ret_size] = 0;
	return text;
}

static void read_job(const char *run, struct job *job)
{
	size_t size, n = 0;
	char path[4096], *text, **all;
	int words;

	snprintf(path, sizeof(path), "/host%s/job", run);
	text = read_all(path, &size);
	all = calloc(size + 2, sizeof(*all));
	if (!all)
		fail("reading %s", path);
	for (char *c = text; c < text + size; c += strlen(c) + 1)
		all[n++] = c;
	words = n > 3 ? (int)strtol(all[3], NULL, 10) : 0;
	if (words < 1 || n < 4 + (size_t)words)
		fail("%s is malformed", path);
	job->mode = all[0];
	job->modules = all[1];
	job->dir = all[2];
	job->words = calloc((size_t)words + 1, sizeof(char *));
	if (!job->words)
		fail("reading %s", path);
	memcpy(job->words, all + 4, (size_t)words * sizeof(char *));
	job->env = all + 4 + words;
}

static void mount_root(struct job *job)
{
	char path[4096];

	mount_at("virtiofs", "hostroot", "/host", MS_RDONLY, NULL);
	read_job(getenv("vm_run") ? getenv("vm_run") : "", job);
	mount_at("tmpfs", "tmpfs", "/rw", 0, NULL);
	mkdir("/rw/upper", 0755);
	mkdir("/rw/work", 0755);
	mount_at("overlay", "overlay", "/new", 0,
		 "lowerdir=/host,upperdir=/rw/upper,workdir=/rw/work");
	snprintf(path, sizeof(path), "/host%s", job->modules);
	mkdir("/new/usr/lib/modules", 0755);
	mount_at(NULL, path, "/new/usr/lib/modules", MS_BIND, NULL);
	if (chdir("/new") || mount("/new", "/", NULL, MS_MOVE, NULL) || chroot(".") || chdir("/"))
		fail("changing to the host's root file system");
	mount_at("proc", "proc", "/proc", 0, NULL);
	mount_at("sysfs", "sysfs", "/sys", 0, NULL);
	mount_at("devtmpfs", "devtmpfs", "/dev", 0, NULL);
	mount_at("devpts", "devpts", "/dev/pts", 0, "ptmxmode=0666");
	mount_at("tmpfs", "tmpfs", "/dev/shm", 0, NULL);
	mount_at("tmpfs", "tmpfs", "/run", 0, "mode=0755");
	mount_if_there("bpf", "/sys/fs/bpf");
	mount_if_there("cgroup2", "/sys/fs/cgroup");
	mount_if_there("tracefs", "/sys/kernel/tracing");
	mount_if_there("debugfs", "/sys/kernel/debug");
	mount_if_there("securityfs", "/sys/kernel/security");
	symlink("/proc/self/fd", "/dev/fd");
	mkdir("/run/lock", 01777);
	/* Opening it loads its module; elsewhere udev makes it (Documentation/admin-guide/devices.txt). */
	mkdir("/dev/net", 0755);
	mknod("/dev/net/tun", S_IFCHR | 0666, makedev(10, 200));
}

static void loopback_up(void)
{
	struct ifreq ifr = {.ifr_name = "lo", .ifr_flags = IFF_UP};
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (fd < 0 || ioctl(fd, SIOCSIFFLAGS, &ifr))
		fail("setting the loopback interface up");
	close(fd);
}

static int open_serial(const char *path, bool cooked)
{
	int fd = open(path, O_RDWR | O_NOCTTY | O_CLOEXEC);
	struct termios t;

	if (fd < 0 || tcgetattr(fd, &t))
		fail("opening %s", path);
	if (!cooked)
		cfmakeraw(&t);
	cfsetspeed(&t, B115200);
	tcsetattr(fd, TCSANOW, &t);
	return fd;
}

static pid_t start(const struct job *job, int in, int out, bool tty, const sigset_t *unblocked)
{
	struct rlimit files = {65536, 65536};
	pid_t pid = fork();

	if (pid)
		return pid;
	sigprocmask(SIG_SETMASK, unblocked, NULL);
	setsid();
	if (tty)
		ioctl(in, TIOCSCTTY, 0);
	dup2(in, 0);
	dup2(out, 1);
	dup2(out, 2);
	setrlimit(RLIMIT_NOFILE, &files);
	environ = job->env;
	if (chdir(job->dir))
		dprintf(2, "%s: %s\n", job->dir, strerror(errno));
	else
		execvp(job->words[0], job->words);
	dprintf(2, "%s: %s\n", job->words[0], strerror(errno));
	_exit(errno == ENOENT ? 127 : 126);
}

/* Copies what is there; false at the end. */
static bool relay(int from, int to)
{
	char text[4096];
	ssize_t n = read(from, text, sizeof(text));

	for (ssize_t done = 0, k; done < n; done += k) {
		k = write(to, text + done, (size_t)(n - done));
		if (k < 0)
			fail("writing to the host");
	}
	return n > 0;
}

static volatile sig_atomic_t status = -1;
static pid_t child;

static void on_child(int sig)
{
	int s, err = errno;
	pid_t pid;

	(void)sig;
	while ((pid = waitpid(-1, &s, WNOHANG)) > 0)
		if (pid == child)
			status = WIFEXITED(s) ? WEXITSTATUS(s) : 128 + WTERMSIG(s);
	errno = err;
}

static void run(const struct job *job, int serial)
{
	bool tty = strcmp(job->mode, "tty") == 0, more = true;
	struct sigaction on = {.sa_handler = on_child};
	int null = open("/dev/null", O_RDONLY | O_CLOEXEC), ends[2] = {-1, -1};
	sigset_t blocked, unblocked;

	if (null < 0 || (!tty && pipe2(ends, O_CLOEXEC)))
		fail("preparing the command's output");
	sigaction(SIGCHLD, &on, NULL);
	sigemptyset(&blocked);
	sigaddset(&blocked, SIGCHLD);
	sigprocmask(SIG_BLOCK, &blocked, &unblocked);
	child = start(job, tty ? serial : null, tty ? serial : ends[1], tty, &unblocked);
	close(ends[1]);
	while (status < 0) {
		struct pollfd p = {.fd = more ? ends[0] : -1, .events = POLLIN};

		if (ppoll(&p, 1, NULL, &unblocked) > 0)
			more = relay(ends[0], serial);
	}
	/* What the command has left in the pipe; processes it left behind may keep it open. */
	fcntl(ends[0], F_SETFL, O_NONBLOCK);
	while (!tty && relay(ends[0], serial))
		;
	tcdrain(serial);
	off("exit", status);
}

int main(void)
{
	struct job job;
	int serial;

	mount_at("devtmpfs", "devtmpfs", "/dev", 0, NULL);
	log_fd = open_serial("/dev/ttyS1", true);
	load_modules();
	mount_root(&job);
	loopback_up();
	sethostname("vm", 2);
	serial = open_serial("/dev/ttyS0", strcmp(job.mode, "tty") == 0);
	run(&job, serial);
}
