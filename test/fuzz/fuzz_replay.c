/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Any bytes as a recording or a capture, all the way: reader, timelines, causes. For libFuzzer; test/fuzz/run builds it. */
#include "cli/replay.h"

#include <sys/mman.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct watch_options silent = {.diff = true, .all = true};
	_cleanup_strbuf_ struct strbuf why = {0};
	_cleanup_close_ int fd = memfd_create("recording", MFD_CLOEXEC);
	struct replay_set set = {0};
	char path[32];
	int err;

	if (fd < 0 || write(fd, data, size) != (ssize_t)size)
		abort();
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	err = replay_load(&set, path, &why);
	if ((err == -EBADMSG || err == -ENODATA || err == -ENOTSUP) && !why.len)
		abort(); /* a failure without a sentence */
	(void)replay_play(&set, &silent);
	replay_free(&set);
	return 0;
}
