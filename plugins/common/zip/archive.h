/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * A zip archive as foreign bytes. archive_open() reads the directory at the end and every local header by our own small reader,
 * because we need what libzip does not tell: where the bytes of a stored entry lie, names with a NUL inside, file modes.
 * archive_check() is the policy for a firmware package: plain names, no duplicates, no links, no bombs. The bytes of an entry come
 * through libzip (inflate and CRC), never to a path. Zip64 and archives with anything before or between their records are refused.
 *
 * An archive lends the descriptor of its source and never moves its file offset; archive_free() frees the rest.
 */

#include "common/mcuboot/source.h"

#include "base/cleanup.h"

#define ARCHIVE_FILE_MAX (256ull << 20)
#define ARCHIVE_ENTRIES_MAX 64u
#define ARCHIVE_NAME_MAX 255u
#define ARCHIVE_COMMENT_MAX 1024u
#define ARCHIVE_RATIO_MAX 200u /* unpacked bytes for a packed one, in entries above ARCHIVE_RATIO_FROM */
#define ARCHIVE_RATIO_FROM (64u << 10)
#define ARCHIVE_UNPACKED_MAX (256ull << 20) /* all entries together, unless the caller says less */

enum archive_method {
        ARCHIVE_STORED = 0,
        ARCHIVE_DEFLATED = 8,
};

struct archive_entry {
        char name[ARCHIVE_NAME_MAX + 1];
        uint16_t name_size; /* differs from strlen(name) when the name holds a NUL */
        uint16_t flags;     /* general purpose flags of the format */
        uint16_t method;    /* enum archive_method or another */
        uint32_t crc;
        uint32_t packed_size;
        uint32_t size;
        uint32_t header_offset; /* of the local header */
        uint32_t data_offset;   /* of the packed bytes; checked to lie before the directory */
        uint16_t mode;          /* file mode of Unix, 0 = not told */
};

struct archive {
        struct source source;
        size_t n_entries;
        struct archive_entry entries[ARCHIVE_ENTRIES_MAX];
        struct zip *zip; /* libzip's, opened when first needed */
};

/* "PK": is it worth opening? */
bool archive_looks_like(const uint8_t *head, size_t head_size);

/* zip-invalid, zip-too-many-entries, zip-path (a name too long), file-too-large: -EBADMSG. */
int archive_open(const struct source *source, struct archive **ret_archive, struct gw_error *err);
void archive_free(struct archive *archive);
DEFINE_CLEANUP(struct archive *, archive_free);
#define _cleanup_archive_ _cleanup_(archive_freep)

/* zip-path, zip-entry-duplicate, zip-entry-special, zip-encrypted, zip-bomb, zip-invalid. unpacked_max 0: ARCHIVE_UNPACKED_MAX. */
int archive_check(const struct archive *archive, uint64_t unpacked_max, struct gw_error *err);

/* NULL when there is none. The whole name counts. */
const struct archive_entry *archive_find(const struct archive *archive, const char *name);

/* The bytes of an entry, unpacked, in pieces; never more than entry->size. A result < 0 of `piece` ends it and is returned.
 * zip-invalid when it cannot be unpacked or its CRC is wrong. */
int archive_entry_each(struct archive *archive, const struct archive_entry *entry,
                       int (*piece)(void *ctx, const uint8_t *data, size_t size), void *ctx, struct gw_error *err);

/* All of a small entry, NUL-terminated; the caller frees. file-too-large above `size_max`. */
int archive_entry_load(struct archive *archive, const struct archive_entry *entry, size_t size_max, char **ret_text, struct gw_error *err);
