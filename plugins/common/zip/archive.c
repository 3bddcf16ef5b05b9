/* SPDX-License-Identifier: Apache-2.0 */
#include "common/zip/archive.h"

#include <stdlib.h>

#include <zip.h>

#define END_SIZE 22u
#define CENTRAL_SIZE 46u
#define LOCAL_SIZE 30u
#define FLAG_DESCRIPTOR 0x0008u /* sizes and CRC stand behind the data, the local header may hold zeros */

struct directory {
        uint64_t offset;
        uint64_t size;
        size_t n_entries;
};

bool archive_looks_like(const uint8_t *head, size_t head_size) {
        return head_size >= 4 && (memcmp(head, "PK\3\4", 4) == 0 || memcmp(head, "PK\5\6", 4) == 0);
}

/* The end record stands at the very end, before a comment whose length it tells. The last one that fits is taken. */
static const uint8_t *end_find(const uint8_t *tail, size_t size) {
        for (size_t at = size - END_SIZE + 1; at-- > 0;)
                if (memcmp(tail + at, "PK\5\6", 4) == 0 && source_get16(tail + at + 20) == size - END_SIZE - at)
                        return tail + at;
        return NULL;
}

static int end_parse(const uint8_t *end, uint64_t end_offset, struct directory *directory, struct gw_error *err) {
        *directory = (struct directory){source_get32(end + 16), source_get32(end + 12), source_get16(end + 10)};
        if (directory->offset == UINT32_MAX || directory->n_entries == UINT16_MAX)
                return refuse(err, "zip-invalid", "a Zip64 archive, which a firmware package never needs");
        if (source_get16(end + 4) || source_get16(end + 6) || source_get16(end + 8) != directory->n_entries)
                return refuse(err, "zip-invalid", "one of several parts of a split archive");
        if (directory->n_entries > ARCHIVE_ENTRIES_MAX)
                return refuse(err, "zip-too-many-entries", "%zu files, at most %u are read", directory->n_entries, ARCHIVE_ENTRIES_MAX);
        if (directory->offset + directory->size != end_offset)
                return refuse(err, "zip-invalid", "the directory does not end where the end record begins");
        return 0;
}

static int end_read(const struct source *source, struct directory *directory, struct gw_error *err) {
        uint8_t tail[END_SIZE + ARCHIVE_COMMENT_MAX];
        size_t size = source->size < sizeof tail ? (size_t) source->size : sizeof tail;
        const uint8_t *end;
        int r;
        if (source->size > ARCHIVE_FILE_MAX)
                return refuse(err, "file-too-large", "%llu bytes; at most %llu are read", (unsigned long long) source->size,
                              ARCHIVE_FILE_MAX);
        r = source_read(source, source->size - size, tail, size);
        if (r < 0)
                return source_failed(err, r, "reading the archive");
        end = size >= END_SIZE ? end_find(tail, size) : NULL;
        if (!end)
                return refuse(err, "zip-invalid", "the archive has no end: it was cut, or something was added to it");
        return end_parse(end, source->size - size + (uint64_t) (end - tail), directory, err);
}

/* One entry of the directory at `bytes`; its length to *ret_used. */
static int central_parse(const uint8_t *bytes, size_t size, struct archive_entry *entry, size_t *ret_used, struct gw_error *err) {
        uint8_t host;
        size_t used;
        if (size < CENTRAL_SIZE || memcmp(bytes, "PK\1\2", 4) != 0)
                return refuse(err, "zip-invalid", "the directory is damaged");
        entry->name_size = source_get16(bytes + 28);
        used = (size_t) CENTRAL_SIZE + entry->name_size + source_get16(bytes + 30) + source_get16(bytes + 32);
        if (used > size)
                return refuse(err, "zip-invalid", "the directory is damaged");
        if (entry->name_size == 0 || entry->name_size > ARCHIVE_NAME_MAX)
                return refuse(err, "zip-path", "a name of %u characters", entry->name_size);
        memcpy(entry->name, bytes + CENTRAL_SIZE, entry->name_size);
        entry->flags = source_get16(bytes + 8);
        entry->method = source_get16(bytes + 10);
        entry->crc = source_get32(bytes + 16);
        entry->packed_size = source_get32(bytes + 20);
        entry->size = source_get32(bytes + 24);
        entry->header_offset = source_get32(bytes + 42);
        host = bytes[5]; /* which system the attributes are of: 3 Unix, 19 macOS */
        entry->mode = host == 3 || host == 19 ? source_get16(bytes + 40) : 0;
        *ret_used = used;
        return 0;
}

/* What the local header says must be what the directory says: different readers trust different ones. */
static bool local_agrees(const struct archive_entry *entry, const uint8_t *local, const char *name) {
        bool described = source_get32(local + 14) == entry->crc && source_get32(local + 18) == entry->packed_size &&
                         source_get32(local + 22) == entry->size;
        bool postponed = entry->flags & FLAG_DESCRIPTOR && source_get32(local + 18) == 0 && source_get32(local + 22) == 0;
        return source_get16(local + 6) == entry->flags && source_get16(local + 8) == entry->method && (described || postponed) &&
               source_get16(local + 26) == entry->name_size && memcmp(name, entry->name, entry->name_size) == 0;
}

static int local_read(const struct source *source, uint64_t directory_offset, struct archive_entry *entry, struct gw_error *err) {
        uint8_t local[LOCAL_SIZE];
        char name[ARCHIVE_NAME_MAX];
        uint64_t data;
        int r = source_read(source, entry->header_offset, local, sizeof local);
        if (r == 0)
                r = source_read(source, (uint64_t) entry->header_offset + LOCAL_SIZE, name, entry->name_size);
        if (r == -ENODATA)
                return refuse(err, "zip-invalid", "an entry lies beyond the end of the archive");
        if (r < 0)
                return source_failed(err, r, "reading the archive");
        if (memcmp(local, "PK\3\4", 4) != 0 || !local_agrees(entry, local, name))
                return refuse(err, "zip-invalid", "the directory and the header of an entry contradict each other");
        data = (uint64_t) entry->header_offset + LOCAL_SIZE + entry->name_size + source_get16(local + 28);
        if (data + entry->packed_size > directory_offset)
                return refuse(err, "zip-invalid", "an entry reaches into the directory");
        entry->data_offset = (uint32_t) data;
        return 0;
}

/* Entries that share bytes are how a small archive unpacks to a huge one. */
static bool overlaps(const struct archive *archive, const struct archive_entry *entry) {
        for (const struct archive_entry *other = archive->entries; other < entry; other++)
                if (entry->header_offset < (uint64_t) other->data_offset + other->packed_size &&
                    other->header_offset < (uint64_t) entry->data_offset + entry->packed_size)
                        return true;
        return false;
}

static int entries_read(struct archive *archive, const struct directory *directory, const uint8_t *bytes, struct gw_error *err) {
        size_t at = 0, used = 0;
        for (size_t i = 0; i < directory->n_entries; i++, at += used) {
                struct archive_entry *entry = &archive->entries[i];
                int r = central_parse(bytes + at, (size_t) directory->size - at, entry, &used, err);
                if (r < 0)
                        return r;
                r = local_read(&archive->source, directory->offset, entry, err);
                if (r < 0)
                        return r;
                if (overlaps(archive, entry))
                        return refuse(err, "zip-bomb", "two entries of the archive share their bytes");
                archive->n_entries++;
        }
        return at == directory->size ? 0 : refuse(err, "zip-invalid", "the directory is longer than its entries");
}

static int directory_load(const struct source *source, const struct directory *directory, uint8_t **ret_bytes, struct gw_error *err) {
        size_t largest = ARCHIVE_ENTRIES_MAX * (CENTRAL_SIZE + 3u * UINT16_MAX);
        _cleanup_free_ uint8_t *bytes = NULL;
        int r;
        if (directory->size > largest)
                return refuse(err, "zip-invalid", "a directory of %llu bytes", (unsigned long long) directory->size);
        bytes = malloc((size_t) directory->size + 1);
        r = bytes ? source_read(source, directory->offset, bytes, (size_t) directory->size) : -ENOMEM;
        if (r < 0)
                return source_failed(err, r, "reading the archive");
        *ret_bytes = TAKE_PTR(bytes);
        return 0;
}

int archive_open(const struct source *source, struct archive **ret_archive, struct gw_error *err) {
        _cleanup_archive_ struct archive *archive = NULL;
        _cleanup_free_ uint8_t *bytes = NULL;
        struct directory directory;
        int r = end_read(source, &directory, err);
        if (r < 0)
                return r;
        r = directory_load(source, &directory, &bytes, err);
        if (r < 0)
                return r;
        archive = calloc(1, sizeof *archive);
        if (!archive)
                return source_failed(err, -ENOMEM, "reading the archive");
        archive->source = *source;
        r = entries_read(archive, &directory, bytes, err);
        if (r < 0)
                return r;
        *ret_archive = TAKE_PTR(archive);
        return 0;
}

void archive_free(struct archive *archive) {
        if (!archive)
                return;
        if (archive->zip)
                zip_discard(archive->zip);
        free(archive);
}

const struct archive_entry *archive_find(const struct archive *archive, const char *name) {
        size_t size = strlen(name);
        for (size_t i = 0; i < archive->n_entries; i++)
                if (archive->entries[i].name_size == size && memcmp(archive->entries[i].name, name, size) == 0)
                        return &archive->entries[i];
        return NULL;
}
