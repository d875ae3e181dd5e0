/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "cli/zst.h"

#include <zstd.h>

/* Recordings and captures become some 10 to 50 times smaller: beyond that it is meant to fill memory. */
#define RATIO_MAX 1024
#define UNPACKED_MIN (64u << 20)
#define LEVEL 3
#define CHUNK (256u << 10)

bool zst_is(const void *file, size_t size)
{
	static const uint8_t magic[] = {0x28, 0xb5, 0x2f, 0xfd};

	return size >= sizeof(magic) && memcmp(file, magic, sizeof(magic)) == 0;
}

static int write_all(int fd, const uint8_t *data, size_t n)
{
	while (n) {
		ssize_t done = write(fd, data, n);

		if (done < 0 && errno != EINTR)
			return -errno;
		data += done > 0 ? done : 0;
		n -= done > 0 ? (size_t)done : 0;
	}
	return 0;
}

/* Everything of `in`, and with `end` what closes the file. */
static int compress_chunk(ZSTD_CCtx *c, ZSTD_inBuffer *in, bool end, uint8_t *out, int to)
{
	size_t left;
	int err;

	do {
		ZSTD_outBuffer o = {out, CHUNK, 0};

		left = ZSTD_compressStream2(c, &o, in, end ? ZSTD_e_end : ZSTD_e_continue);
		if (ZSTD_isError(left))
			return -EIO;
		err = write_all(to, out, o.pos);
	} while (!err && (end ? left : in->pos < in->size));
	return err;
}

int zst_compress(int from, int to)
{
	_cleanup_free_ uint8_t *in = malloc(CHUNK), *out = malloc(CHUNK);
	ZSTD_CCtx *c = ZSTD_createCCtx();
	int err = in && out && c ? 0 : -ENOMEM;
	ssize_t n = 1;

	if (!err) {
		ZSTD_CCtx_setParameter(c, ZSTD_c_compressionLevel, LEVEL);
		ZSTD_CCtx_setParameter(c, ZSTD_c_checksumFlag, 1);
	}
	while (!err && n) {
		n = read(from, in, CHUNK);
		if (n < 0) {
			err = errno == EINTR ? 0 : -errno;
			continue;
		}
		err = compress_chunk(c, &(ZSTD_inBuffer){in, (size_t)n, 0}, !n, out, to);
	}
	ZSTD_freeCCtx(c);
	return err;
}

/* Room for more at the end of what is there. */
static int grow(uint8_t **data, size_t *cap, size_t max)
{
	size_t more = *cap ? *cap * 2 : CHUNK;
	uint8_t *bigger;

	if (*cap >= max)
		return -EFBIG;
	bigger = realloc(*data, more);
	if (!bigger)
		return -ENOMEM;
	*data = bigger;
	*cap = more;
	return 0;
}

static int unpack(ZSTD_DCtx *d, ZSTD_inBuffer *in, uint8_t **data, size_t *n, struct strbuf *why)
{
	const size_t max = in->size * RATIO_MAX + UNPACKED_MIN;
	size_t cap = 0, left, at;
	ZSTD_outBuffer out;
	int err;

	do {
		err = *n == cap ? grow(data, &cap, max) : 0;
		if (err)
			return err;
		out = (ZSTD_outBuffer){*data, cap, *n};
		at = in->pos;
		left = ZSTD_decompressStream(d, &out, in);
		if (ZSTD_isError(left)) {
			strbuf_addf(why, "the compressed file is damaged at byte %zu (%s)", in->pos,
				    ZSTD_getErrorName(left));
			return -EBADMSG;
		}
		at = in->pos - at + out.pos - *n;
		*n = out.pos;
	} while (at && (left || in->pos < in->size));
	if (!left)
		return 0;
	strbuf_add(why, "the compressed file is cut off");
	return -EBADMSG;
}

int zst_unpack(const void *file, size_t size, void **ret, size_t *ret_size, struct strbuf *why)
{
	ZSTD_inBuffer in = {file, size, 0};
	ZSTD_DCtx *d = ZSTD_createDCtx();
	uint8_t *data = NULL;
	size_t n = 0;
	int err = d ? unpack(d, &in, &data, &n, why) : -ENOMEM;

	ZSTD_freeDCtx(d);
	if (err == -EFBIG)
		strbuf_addf(why,
			    "it unpacks to more than %d times its size, as no recording does; if "
			    "you trust it, unpack it with zstd -d",
			    RATIO_MAX);
	if (err && err != -EBADMSG) {
		free(data);
		return err;
	}
	*ret = data;
	*ret_size = n;
	return err;
}
