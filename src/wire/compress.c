/* compress: whole buffers in, whole buffers out.
 *
 * Bodies of scrapes and requests are complete in memory before they are looked at, so the block interfaces of
 * libdeflate, libsnappy and libzstd are used and nothing is streamed but zstd frames of undeclared length.
 *
 * gunzip is the largest single cost of a scrape and therefore has the only subtle loop here:
 *
 *     in   | member 1              | member 2     | ...        a body is one or more members
 *     out  | bytes of member 1     | bytes of member 2 ...     appended one after the other
 *
 * libdeflate wants the whole room for a member up front and stops, in success, at the end of the first member; so each
 * member is inflated at the current end of `out`, and on "insufficient space" the room is doubled and that member alone
 * is done again. The first guess is what the last body took (one target's pages hardly change size), or what the
 * trailer says when that is possible at all: deflate cannot expand a byte to more than 1032.
 *
 * Limits: nothing is allocated beyond `max`; a body that needs more is ERR_LIMIT, never a shorter body.
 * Threads: a struct compressor belongs to one thread at a time.
 */
#include "wire/compress.h"

#include <libdeflate.h>
#include <snappy-c.h>
#include <zstd.h>

#include "base/mem.h"

enum {
    GZIP_MIN_SIZE = 18,       /* header 10, trailer 8 */
    DEFLATE_MAX_RATIO = 1032, /* 258 bytes from 2 bits */
    GZIP_LEVEL = 1,           /* 620 MB/s against 350 with zlib; ratio 7.0 on metrics */
    ZSTD_LEVEL = 1,
    /* Messages of 60 to 200 KiB whose entries repeat at a distance: on remote write 1.0 and 2.0 of the bench a tenth
     * quicker than what the level brings, and 0 to 2 % smaller. */
    ZSTD_HASH_LOG = 15,
    ZSTD_MATCH_MIN = 5,
    ZSTD_WINDOW_LOG_MAX = 23, /* 8 MiB: what RFC 8878, section 3.1.1.1.2 lets a receiver insist on */
};

const char *compression_name(enum compression c)
{
    switch (c) {
    case COMPRESS_NONE:
        return "";
    case COMPRESS_SNAPPY:
        return "snappy";
    case COMPRESS_GZIP:
        return "gzip";
    case COMPRESS_ZSTD:
        return "zstd";
    }
    return "";
}

void compressor_release(struct compressor *c)
{
    if (c->inflate)
        libdeflate_free_decompressor(c->inflate);
    if (c->deflate)
        libdeflate_free_compressor(c->deflate);
    ZSTD_freeDCtx(c->zstd_in);
    ZSTD_freeCCtx(c->zstd_out);
    *c = (struct compressor){0};
}

/* ---- gzip ---- */

static size_t gunzip_guess(const struct compressor *c, struct str in, size_t max)
{
    const uint8_t *t = (const uint8_t *)in.p + in.n - 4;
    size_t trailer = (size_t)t[0] | (size_t)t[1] << 8 | (size_t)t[2] << 16 | (size_t)t[3] << 24;
    size_t guess = c->last_size + c->last_size / 16 + 64;
    if (trailer > guess && trailer / DEFLATE_MAX_RATIO <= in.n)
        guess = trailer;
    return guess < max ? guess : max;
}

/* Inflates the member at the head of *in to the end of out; *in moves past it. */
static enum err gunzip_member(struct libdeflate_decompressor *d, struct str *in, size_t max, struct buf *out)
{
    for (;;) {
        size_t used = 0, made = 0, room = out->cap - out->n - 1;
        if (room > max - out->n)
            room = max - out->n;
        enum libdeflate_result r = libdeflate_gzip_decompress_ex(d, in->p, in->n, out->p + out->n, room, &used, &made);
        if (r == LIBDEFLATE_SUCCESS) {
            out->n += made;
            *in = str_from(in->p + used, in->n - used);
            return OK;
        }
        if (r != LIBDEFLATE_INSUFFICIENT_SPACE)
            return ERR_CORRUPT;
        if (out->n + room >= max)
            return ERR_LIMIT;
        size_t more = 2 * (room + 64);
        buf_reserve(out, more < max - out->n ? more : max - out->n);
    }
}

enum err compress_gunzip(struct compressor *c, struct str in, size_t max, struct buf *out)
{
    buf_clear(out);
    if (in.n < GZIP_MIN_SIZE)
        return ERR_CORRUPT;
    if (!c->inflate && !(c->inflate = libdeflate_alloc_decompressor()))
        return ERR_INTERNAL;
    buf_reserve(out, gunzip_guess(c, in, max));
    while (in.n > 0) {
        enum err err = gunzip_member(c->inflate, &in, max, out);
        if (err)
            return err;
    }
    out->p[out->n] = '\0';
    c->last_size = out->n;
    return OK;
}

static enum err gzip_encode(struct compressor *c, struct str in, struct buf *out)
{
    if (!c->deflate && !(c->deflate = libdeflate_alloc_compressor(GZIP_LEVEL)))
        return ERR_INTERNAL;
    size_t bound = libdeflate_gzip_compress_bound(c->deflate, in.n);
    buf_reserve(out, bound);
    size_t n = libdeflate_gzip_compress(c->deflate, in.p, in.n, out->p + out->n, bound);
    CHECK(n > 0);
    out->n += n;
    out->p[out->n] = '\0';
    return OK;
}

/* ---- snappy: the block format, not the framed one ---- */

static enum err snappy_encode(struct str in, struct buf *out)
{
    if (in.n > UINT32_MAX)
        return ERR_LIMIT;
    size_t n = snappy_max_compressed_length(in.n);
    buf_reserve(out, n);
    CHECK(snappy_compress(in.p ? in.p : "", in.n, out->p + out->n, &n) == SNAPPY_OK);
    out->n += n;
    out->p[out->n] = '\0';
    return OK;
}

static enum err snappy_decode(struct str in, size_t max, struct buf *out)
{
    size_t n = 0;
    if (in.n == 0 || snappy_uncompressed_length(in.p, in.n, &n) != SNAPPY_OK)
        return ERR_CORRUPT;
    if (n > max)
        return ERR_LIMIT;
    buf_reserve(out, n);
    if (snappy_uncompress(in.p, in.n, out->p, &n) != SNAPPY_OK)
        return ERR_CORRUPT;
    out->n = n;
    out->p[n] = '\0';
    return OK;
}

/* ---- zstd ---- */

static ZSTD_CCtx *zstd_context(void)
{
    ZSTD_CCtx *z = ZSTD_createCCtx();
    if (!z)
        return NULL;
    CHECK(!ZSTD_isError(ZSTD_CCtx_setParameter(z, ZSTD_c_compressionLevel, ZSTD_LEVEL)));
    CHECK(!ZSTD_isError(ZSTD_CCtx_setParameter(z, ZSTD_c_strategy, ZSTD_fast)));
    CHECK(!ZSTD_isError(ZSTD_CCtx_setParameter(z, ZSTD_c_hashLog, ZSTD_HASH_LOG)));
    CHECK(!ZSTD_isError(ZSTD_CCtx_setParameter(z, ZSTD_c_minMatch, ZSTD_MATCH_MIN)));
    return z;
}

static enum err zstd_encode(struct compressor *c, struct str in, struct buf *out)
{
    if (!c->zstd_out && !(c->zstd_out = zstd_context()))
        return ERR_INTERNAL;
    size_t bound = ZSTD_compressBound(in.n);
    buf_reserve(out, bound);
    size_t n = ZSTD_compress2(c->zstd_out, out->p + out->n, bound, in.p, in.n);
    CHECK(!ZSTD_isError(n));
    out->n += n;
    out->p[out->n] = '\0';
    return OK;
}

static size_t zstd_guess(struct str in, size_t max)
{
    unsigned long long declared = ZSTD_getFrameContentSize(in.p, in.n);
    if (declared == ZSTD_CONTENTSIZE_ERROR || declared == ZSTD_CONTENTSIZE_UNKNOWN)
        declared = in.n * 4ULL + 256;
    return declared < max ? (size_t)declared : max;
}

static enum err zstd_decode(struct compressor *c, struct str in, size_t max, struct buf *out)
{
    if (in.n == 0)
        return ERR_CORRUPT;
    if (!c->zstd_in) {
        if (!(c->zstd_in = ZSTD_createDCtx()))
            return ERR_INTERNAL;
        CHECK(!ZSTD_isError(ZSTD_DCtx_setParameter(c->zstd_in, ZSTD_d_windowLogMax, ZSTD_WINDOW_LOG_MAX)));
    }
    unsigned long long declared = ZSTD_getFrameContentSize(in.p, in.n);
    if (declared == ZSTD_CONTENTSIZE_ERROR)
        return ERR_CORRUPT;
    if (declared != ZSTD_CONTENTSIZE_UNKNOWN && declared > max)
        return ERR_LIMIT;
    ZSTD_DCtx_reset(c->zstd_in, ZSTD_reset_session_only);
    buf_reserve(out, zstd_guess(in, max));
    ZSTD_inBuffer src = {in.p, in.n, 0};
    for (;;) {
        size_t room = out->cap - 1 < max ? out->cap - 1 : max;
        ZSTD_outBuffer dst = {out->p, room, out->n};
        size_t left = ZSTD_decompressStream(c->zstd_in, &dst, &src);
        if (ZSTD_isError(left))
            return ERR_CORRUPT;
        out->n = dst.pos;
        if (left == 0 && src.pos == src.size)
            break;
        if (dst.pos < dst.size) {
            if (src.pos == src.size)
                return ERR_CORRUPT; /* cut off */
            continue;               /* the next frame */
        }
        if (room == max)
            return ERR_LIMIT;
        size_t more = room + 256;
        buf_reserve(out, more < max - out->n ? more : max - out->n);
    }
    out->p[out->n] = '\0';
    return OK;
}

/* ---- by kind ---- */

enum err compress_encode(struct compressor *c, enum compression kind, struct str in, struct buf *out)
{
    switch (kind) {
    case COMPRESS_NONE:
        buf_str(out, in);
        return OK;
    case COMPRESS_SNAPPY:
        return snappy_encode(in, out);
    case COMPRESS_GZIP:
        return gzip_encode(c, in, out);
    case COMPRESS_ZSTD:
        return zstd_encode(c, in, out);
    }
    return ERR_INTERNAL;
}

enum err compress_decode(struct compressor *c, enum compression kind, struct str in, size_t max, struct buf *out)
{
    buf_clear(out);
    switch (kind) {
    case COMPRESS_NONE:
        if (in.n > max)
            return ERR_LIMIT;
        buf_str(out, in);
        return OK;
    case COMPRESS_SNAPPY:
        return snappy_decode(in, max, out);
    case COMPRESS_GZIP:
        return compress_gunzip(c, in, max, out);
    case COMPRESS_ZSTD:
        return zstd_decode(c, in, max, out);
    }
    return ERR_INTERNAL;
}
