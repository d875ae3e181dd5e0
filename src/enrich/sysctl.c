/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * /proc/sys/net shows the namespace of the task that looks (net/sysctl_net.c,
 * net_ctl_header_lookup).
 */
#include "enrich/sysctl.h"

#include "enrich/lookup.h"
#include "enrich/netns.h"

/*
 * What follows is an interface's name, up to the last dot (in net.ipv4 and net.ipv6, and net.mpls).
 */
static const char *const interface_dirs[] = {
	"net.ipv4.conf.", "net.ipv6.conf.", "net.ipv4.neigh.", "net.ipv6.neigh.", "net.mpls.conf.",
};

/*
 * Names come from a recording or a cause's text: nothing but a plain path below /proc/sys may come
 * of them.
 */
static bool name_is_sane(const char *name)
{
	return *name && *name != '.' && !strchr(name, '/') && !strstr(name, "..") &&
	       name[strlen(name) - 1] != '.';
}

int sysctl_path(const char *name, char *ret, size_t size)
{
	const char *last = strrchr(name, '.');
	size_t verbatim = 0; /* where the interface's name starts */
	int n;

	if (!name_is_sane(name))
		return -EINVAL;
	for (size_t i = 0; i < ARRAY_SIZE(interface_dirs); i++)
		if (!strncmp(name, interface_dirs[i], strlen(interface_dirs[i])))
			verbatim = strlen(interface_dirs[i]);
	n = snprintf(ret, size, "/proc/sys/%s", name);
	if (n < 0 || (size_t)n >= size)
		return -EINVAL;
	ret += strlen("/proc/sys/");
	for (size_t i = 0; ret[i]; i++)
		if (ret[i] == '.' && (!verbatim || i < verbatim || name + i == last))
			ret[i] = '/';
	return 0;
}

/* The first number; of tcp_rmem and the like, that is all. */
static int value_read(const char *path, int64_t *ret)
{
	_cleanup_free_ char *text = NULL;
	ssize_t n = read_file(path, 4096, &text);
	char *end;

	if (n < 0)
		return (int)n;
	errno = 0;
	*ret = strtoll(text, &end, 10);
	if (end == text)
		return -EINVAL;
	return errno ? -ERANGE : 0;
}

int sysctl_answer(struct lookup *l)
{
	struct rec_sysctl rec = {0};
	char path[128];
	int err = sysctl_path(l->q->name, path, sizeof(path));

	if (!err)
		err = netns_enter(l->netns, l->q->netns);
	if (err)
		return err;
	err = value_read(path, &rec.value);
	netns_leave(l->netns);
	if (err)
		return err;
	str_copy(rec.name, sizeof(rec.name), l->q->name);
	lookup_add(l, &rec, REC_SYSCTL, l->q->netns);
	return 0;
}
