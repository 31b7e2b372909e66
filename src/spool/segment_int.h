/* segment_int: segment files, read and written. Blocking: on the I/O thread, or on the control thread at start. */
#ifndef SPOOL_SEGMENT_INT_H
#define SPOOL_SEGMENT_INT_H

#include "spool/format_int.h"

#define SEGMENT_NAME_SIZE 24
void segment_name(uint64_t number, char out[SEGMENT_NAME_SIZE]); /* "00000017" */
/* The number of a segment's file name; false for every other name. */
bool segment_parse_name(const char *name, uint64_t *out);

/* What the file operations count, and where tests make them fail. Of one spool; shared by threads. */
struct disk {
    _Atomic uint64_t bytes_read;
    ssize_t (*_Atomic pwrite)(int fd, const void *p, size_t n, off_t at); /* NULL: the system's */
};
/* All of it, or ERR_IO with *error set (ENODATA: the file ends before). */
enum err disk_read(struct disk *d, int fd, void *p, size_t n, uint64_t at, int *error) MUST_USE;
enum err disk_write(struct disk *d, int fd, const void *p, size_t n, uint64_t at, int *error) MUST_USE;

/* Walks the record headers of bytes [at, end) of a file through a window. */
struct segment_walk {
    struct disk *disk;
    int fd;
    uint64_t at, end;    /* the next record; where records end */
    uint64_t skipped;    /* bytes passed over in search of a header */
    uint32_t damaged;    /* how often a search was needed */
    uint64_t damaged_at; /* where the last search began */
    int error;           /* errno of a failed read; 0 none */
    struct buf window;   /* of the file from window_at on */
    uint64_t window_at;
};
void segment_walk_init(struct segment_walk *w, struct disk *disk, int fd, uint64_t at, uint64_t end);
void segment_walk_release(struct segment_walk *w);
/* The next sound header that fits before the end; *offset is where its record begins. ERR_EOF: none is left, ERR_IO:
 * the file could not be read. */
enum err segment_walk_next(struct segment_walk *w, struct record_header *h, uint64_t *offset) MUST_USE;

/* What is known of a segment without reading it. */
struct segment_info {
    uint64_t number;
    uint64_t end, file_bytes;                         /* of header and records; of the file */
    uint64_t first_seq, last_seq;                     /* 0, 0: empty */
    uint64_t requests, samples;                       /* in it */
    uint64_t requests_left, samples_left, bytes_left; /* of these, not done */
    uint64_t next_at;                                 /* offset of the first record not done */
    uint64_t last_group;                              /* of the groups in it */
    int64_t first_ms, last_ms;                        /* of the samples */
    int64_t oldest_sealed_ms, newest_sealed_ms;
    bool footer;
    bool current; /* being appended to */
};

/* ---- writing: one at a time per lane, by the I/O thread ---- */

struct segment_writer {
    int fd;                       /* -1: none is open */
    uint64_t opened_ms;           /* monotonic */
    uint64_t synced_ms;           /* monotonic, of the last sync */
    bool dirty;                   /* something was written since */
    struct segment_footer footer; /* so far; end is the offset of the next record */
};

/* Makes the file. */
enum err segment_writer_open(struct segment_writer *w, struct disk *disk, int dir, const struct segment_header *h,
                             int *error) MUST_USE;
/* Appends whole records that belong together: all or none of them. */
struct segment_piece {
    const struct record_header *header;
    struct str bytes;
    uint64_t at; /* filled in: offset in the file */
};
enum err segment_writer_append(struct segment_writer *w, struct disk *disk, struct segment_piece *pieces, size_t n,
                               int *error) MUST_USE;
void segment_writer_sync(struct segment_writer *w);
/* Footer, sync, close. A footer that cannot be written is left out: the next start walks the records. */
void segment_writer_close(struct segment_writer *w, struct disk *disk);

#endif
