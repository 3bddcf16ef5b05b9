/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The file side of the cache. Everything here blocks and belongs on a worker thread, one call on one object at a time. A part file
 * grows from its front; its digest runs along. The size of the file is the truth about how far it is: after a crash the bytes that
 * are there are hashed again.
 */

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "trust/digest.h"

#define PART_FILE_NAME_SIZE (DIGEST_HEX_SIZE + 5) /* "<hex>.part" */
#define PART_FILE_COPY_SIZE (256u * 1024u)        /* bytes copied at once by an import */

struct part_file {
        int directory_fd; /* borrowed */
        int fd;           /* -1 = closed */
        uint8_t sha256[DIGEST_SIZE];
        uint64_t received; /* bytes in the file, all hashed */
        bool allocated;    /* the file system has set the rest aside */
        struct digest *digest;
};

void part_file_name(const uint8_t sha256[DIGEST_SIZE], bool complete, char ret_name[PART_FILE_NAME_SIZE]);

void part_file_init(struct part_file *part, int directory_fd, const uint8_t sha256[DIGEST_SIZE]);
void part_file_close(struct part_file *part); /* the file stays */

/* Opens or makes it. keep: what is there counts, up to size (0 = not known), and is hashed; otherwise it is emptied. -ENOSPC. */
int part_file_open(struct part_file *part, bool keep, uint64_t size);
int part_file_reset(struct part_file *part); /* empty, digest anew */
/* Appends. On failure `received` says how much of it arrived. */
int part_file_write(struct part_file *part, const void *data, size_t size, bool sync);
/* Digest, fdatasync, rename to the final name, fsync of the folder. -EBADMSG: another digest. Closes on success. */
int part_file_finish(struct part_file *part);

/* A copy of a whole file under a temporary name. Zero it, set the first members, copy, then keep or drop. */
struct part_copy {
        int directory_fd;     /* borrowed */
        int source_fd;        /* borrowed; regular */
        uint64_t size;        /* bytes to copy */
        unsigned number;      /* makes the temporary name */
        atomic_bool canceled; /* set by anybody: ends with -ECANCELED soon */
        uint8_t sha256[DIGEST_SIZE];
};

/* Copies, hashes, syncs, renames to its digest. -ENODATA: the source is shorter; -EREMOTEIO: it cannot be read; -ENOSPC, -EIO... */
int part_copy_run(struct part_copy *copy);
