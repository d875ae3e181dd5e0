/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "sym/debug_find.h"

struct place { /* before the release, and behind it or behind the module's path */
	const char *before, *after;
};

/* Debian and Ubuntu; Fedora, RHEL and openSUSE; who builds kernels. */
static const struct place kernel_places[] = {
	{"/usr/lib/debug/boot/vmlinux-", ""},
	{"/usr/lib/debug/lib/modules/", "/vmlinux"},
	{"/usr/lib/debug/usr/lib/modules/", "/vmlinux"},
	{"/lib/modules/", "/build/vmlinux"},
	{NULL, NULL},
};

static const struct place module_places[] = {
	{"/usr/lib/debug/lib/modules/", ""},
	{"/usr/lib/debug/lib/modules/", ".debug"},
	{"/usr/lib/debug/usr/lib/modules/", ".debug"},
	{"/lib/modules/", ""},
	{NULL, NULL},
};

int debug_running_id(const struct debug_host *h, const char *module, char ret[BUILD_ID_TEXT])
{
	char path[PATH_MAX];

	if (*module)
		snprintf(path, sizeof(path), "%s/sys/module/%s/notes/.note.gnu.build-id", h->root,
			 module);
	else
		snprintf(path, sizeof(path), "%s/sys/kernel/notes", h->root);
	return build_id_of_notes(path, ret);
}

int debug_check(const char *path, const char *id, char ret[BUILD_ID_TEXT], struct strbuf *why)
{
	bool debug;
	int err = build_id_of_file(path, ret, &debug);

	if (err == -ENOEXEC)
		strbuf_addf(why, "%s is no ELF file; a vmlinux with debug information is needed",
			    path);
	else if (err == -ENODATA)
		strbuf_addf(why, "%s has no build id, so nothing tells which kernel it is of",
			    path);
	else if (err)
		strbuf_addf(why, "%s: %s", path, strerror(-err));
	if (err)
		return err;
	if (!debug) {
		strbuf_addf(why, "%s has no debug information (.debug_info)", path);
		return -ENODATA;
	}
	if (id && strcmp(id, ret) != 0) {
		strbuf_addf(why,
			    "%s is of another kernel: its build id is %.12s..., what runs has "
			    "%.12s...",
			    path, ret, id);
		return -ESTALE;
	}
	return 0;
}

/* 0, -ENOENT, or -ESTALE with the first sentence in why. */
static int look(const char *path, const char *id, struct strbuf *why)
{
	_cleanup_strbuf_ struct strbuf here = {0};
	char own[BUILD_ID_TEXT];
	int err = access(path, F_OK) ? -ENOENT : debug_check(path, id, own, &here);

	if (!err || err == -ENOENT)
		return err;
	if (!why->len && here.s)
		strbuf_add(why, here.s);
	return -ESTALE;
}

/* "nf_tables" is kernel/net/netfilter/nf_tables.ko, x_tables may be x-tables.ko. */
static bool is_module(const char *path, size_t len, const char *module)
{
	const char *name = memrchr(path, '/', len);
	size_t n = strlen(module);

	name = name ? name + 1 : path;
	len -= (size_t)(name - path);
	if (len <= n || name[n] != '.')
		return false;
	for (size_t i = 0; i < n; i++)
		if (name[i] != module[i] && !(name[i] == '-' && module[i] == '_'))
			return false;
	return true;
}

/* name: "" or a module's path, with a slash before it. 0, -ENOENT or -ESTALE. */
static int look_in(const struct debug_host *h, const struct place *place, const char *name,
		   const char *id, char ret[PATH_MAX], struct strbuf *why)
{
	int err = -ENOENT, found;

	for (; place->before; place++) {
		if (snprintf(ret, PATH_MAX, "%s%s%s%s%s", h->root, place->before, h->release, name,
			     place->after) >= PATH_MAX)
			continue;
		found = look(ret, id, why);
		if (!found)
			return 0;
		err = found == -ESTALE ? found : err;
	}
	return err;
}

/* One name may be in several folders, of which one is loaded: the build id tells. */
static int look_for_module(const struct debug_host *h, const char *module, const char *id,
			   char ret[PATH_MAX], struct strbuf *why)
{
	_cleanup_free_ char *text = NULL;
	char path[PATH_MAX];
	int err = -ENOENT, found;

	if (snprintf(path, sizeof(path), "%s/lib/modules/%s/modules.dep", h->root, h->release) >=
		    PATH_MAX ||
	    read_file(path, 16 << 20, &text) < 0)
		return -ENOENT;
	for (const char *line = text; *line;) {
		size_t end = strcspn(line, "\n"), len = strcspn(line, ":\n");
		const char *ko = memmem(line, len, ".ko", 3);
		int n = ko ? (int)(ko - line) + 3 : 0;

		if (n && line[len] == ':' && is_module(line, len, module) &&
		    snprintf(path, sizeof(path), "/%.*s", n, line) < PATH_MAX) {
			found = look_in(h, module_places, path, id, ret, why);
			if (!found)
				return 0;
			err = found == -ESTALE ? found : err;
		}
		line += end + (line[end] == '\n');
	}
	return err;
}

int debug_find(const struct debug_host *h, const char *module, const char *id, char ret[PATH_MAX],
	       struct strbuf *why)
{
	if (strlen(id) > 2 &&
	    snprintf(ret, PATH_MAX, "%s/usr/lib/debug/.build-id/%.2s/%s.debug", h->root, id,
		     id + 2) < PATH_MAX &&
	    !look(ret, id, why))
		return 0;
	return *module ? look_for_module(h, module, id, ret, why)
		       : look_in(h, kernel_places, "", id, ret, why);
}
