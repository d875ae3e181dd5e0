/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * There is no kernel notion of a container: its runtime's habit of naming cgroups is all there is
 * to go by. The last container on the path is the innermost one, which is the one meant.
 */
#include "enrich/container.h"

#define ID_LEN 64   /* hex digits of a container id */
#define ID_SHOWN 12 /* as docker ps and crictl ps show them */
#define UID_MAX 36  /* of a Kubernetes pod */

/*
 * "PREFIX<64 hex digits>", as a scope of systemd or (with the cgroupfs driver) a plain directory.
 */
static const struct {
	const char *prefix, *runtime;
} id_prefixes[] = {
	{"docker-", "docker"},	 {"cri-containerd-", "containerd"}, {"nerdctl-", "containerd"},
	{"crio-", "cri-o"},	 {"libpod-payload-", "podman"},	    {"libpod-", "podman"},
	{"buildah-", "buildah"},
};

/* A bare "<64 hex digits>" below one of these directories. */
static const struct {
	const char *parent, *runtime;
} id_parents[] = {
	{"docker", "docker"},	     {"buildkit", "buildkit"},	{"ecs", "ecs"},
	{"libpod_parent", "podman"}, {"default", "containerd"}, {"k8s.io", "containerd"},
};

/*
 * "PREFIX<name>", one path component. The monitor's and conmon's cgroups are the host's part of a
 * container.
 */
static const struct {
	const char *prefix, *runtime;
} name_prefixes[] = {
	{"lxc.payload.", "lxc"},
	{"systemd-nspawn@", "nspawn"},
};

struct span {
	const char *s;
	size_t len;
};

/* What the path has told so far. */
struct found {
	const char *runtime;
	struct span id, pod;
	bool ecs; /* /ecs/<cluster>/<task>/<id>: the parent doesn't name it */
};

static bool span_is(struct span s, const char *text)
{
	return s.len == strlen(text) && !memcmp(s.s, text, s.len);
}

/* Cuts the prefix off s, if it has it. */
static bool span_skip(struct span *s, const char *prefix)
{
	size_t n = strlen(prefix);

	if (s->len < n || memcmp(s->s, prefix, n))
		return false;
	s->s += n;
	s->len -= n;
	return true;
}

static bool span_ends(struct span *s, const char *suffix)
{
	size_t n = strlen(suffix);

	if (s->len < n || memcmp(s->s + s->len - n, suffix, n))
		return false;
	s->len -= n;
	return true;
}

static bool span_is_id(struct span s)
{
	span_ends(&s, ".scope");
	return s.len == ID_LEN && strspn(s.s, "0123456789abcdef") >= ID_LEN;
}

/*
 * "kubepods-burstable-pod<uid>.slice", "pod<uid>": the uid with dashes, underscores, or (static
 * pods) neither.
 */
static bool pod_parse(struct span s, struct span *ret)
{
	const char *pod = memmem(s.s, s.len, "pod", 3);

	if (!pod || (pod != s.s && !memmem(s.s, s.len, "kubepods", 8)))
		return false;
	for (; pod; pod = memmem(pod + 1, s.len - (size_t)(pod + 1 - s.s), "pod", 3)) {
		struct span uid = {pod + 3, strspn(pod + 3, "0123456789abcdef-_")};

		if (uid.len == UID_MAX || uid.len == 32) {
			*ret = uid;
			return true;
		}
	}
	return false;
}

static bool id_parse(struct span s, struct span parent, struct found *f)
{
	for (size_t i = 0; i < ARRAY_SIZE(id_prefixes); i++) {
		struct span id = s;

		if (span_skip(&id, id_prefixes[i].prefix) && span_is_id(id)) {
			f->runtime = id_prefixes[i].runtime;
			f->id = id;
			return true;
		}
	}
	if (!span_is_id(s))
		return false;
	f->id = s;
	f->runtime = f->ecs ? "ecs" : "container";
	for (size_t i = 0; i < ARRAY_SIZE(id_parents); i++)
		if (span_is(parent, id_parents[i].parent))
			f->runtime = id_parents[i].runtime;
	return true;
}

static bool name_parse(struct span s, struct span parent, struct found *f)
{
	for (size_t i = 0; i < ARRAY_SIZE(name_prefixes); i++) {
		struct span name = s;

		if (!span_skip(&name, name_prefixes[i].prefix) || !name.len)
			continue;
		if (!span_ends(&name, ".scope"))
			span_ends(&name, ".service");
		f->runtime = name_prefixes[i].runtime;
		f->id = name;
		return true;
	}
	if (s.len && (span_is(parent, "lxc") || span_is(parent, "lxc.payload"))) {
		f->runtime = "lxc";
		f->id = s;
		return true;
	}
	return false;
}

/*
 * One path. Its components end at '/', and at ':' too: containerd with a systemd path but the
 * cgroupfs driver makes "kubepods-pod<uid>.slice:cri-containerd:<id>".
 */
static void path_parse(const char *path, const char *end, struct found *f)
{
	struct span parent = {path, 0};

	while (path < end) {
		struct span s = {path, strcspn(path, "/:\n")};

		if (span_is(s, "ecs"))
			f->ecs = true;
		if (!pod_parse(s, &f->pod) && !id_parse(s, parent, f))
			name_parse(s, parent, f);
		if (s.len)
			parent = s;
		path += s.len + 1;
	}
}

static void found_print(const struct found *f, char *ret, size_t size)
{
	bool hex = span_is_id(f->id);
	int id_len = hex ? ID_SHOWN : (int)f->id.len;

	if (!f->pod.len) {
		snprintf(ret, size, "%s %.*s", f->runtime, id_len, f->id.s);
		return;
	}
	snprintf(ret, size, "kubernetes pod %.*s%s%.*s", (int)f->pod.len, f->pod.s,
		 hex ? " container " : "", hex ? id_len : 0, hex ? f->id.s : "");
	/* systemd has no '-' in slice names but as a separator, so the kubelet writes '_'. */
	for (char *p = ret; *p; p++)
		if (*p == '_')
			*p = '-';
}

bool container_parse(const char *cgroup, char *ret, size_t size)
{
	if (size)
		ret[0] = '\0';
	/*
	 * "hierarchy:controllers:path"; cgroup v1 has a line per hierarchy, most often all with the
	 * same path.
	 */
	for (const char *line = cgroup; *line;) {
		const char *end = strchrnul(line, '\n');
		const char *path = memchr(line, '/', (size_t)(end - line));
		struct found f = {0};

		if (path)
			path_parse(path, end, &f);
		if (f.runtime || f.pod.len) {
			found_print(&f, ret, size);
			return true;
		}
		line = *end ? end + 1 : end;
	}
	return false;
}
