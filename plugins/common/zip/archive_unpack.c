/* SPDX-License-Identifier: Apache-2.0 */
#include "common/zip/archive.h"

#include <stdlib.h>

#include <zip.h>

/* What libzip reads from: pread() on the lent descriptor, so that readers on several threads do not move each other. */
struct feed {
        struct source source;
        uint64_t at;
        zip_error_t error;
};

static zip_int64_t feed_read(struct feed *feed, void *data, zip_uint64_t size) {
        uint64_t left = feed->source.size - feed->at;
        size_t n = size < left ? (size_t) size : (size_t) left;
        int r = source_read(&feed->source, feed->at, data, n);
        if (r < 0) {
                zip_error_set(&feed->error, ZIP_ER_READ, -r);
                return -1;
        }
        feed->at += n;
        return (zip_int64_t) n;
}

static zip_int64_t feed_seek(struct feed *feed, void *data, zip_uint64_t size) {
        zip_int64_t at = zip_source_seek_compute_offset(feed->at, feed->source.size, data, size, &feed->error);
        if (at < 0)
                return -1;
        feed->at = (uint64_t) at;
        return 0;
}

static zip_int64_t feed_stat(const struct feed *feed, void *data, zip_uint64_t size) {
        zip_stat_t *status = data;
        if (size < sizeof *status)
                return -1;
        zip_stat_init(status);
        status->valid = ZIP_STAT_SIZE;
        status->size = feed->source.size;
        return sizeof *status;
}

static zip_int64_t feed_command(void *ctx, void *data, zip_uint64_t size, zip_source_cmd_t command) {
        struct feed *feed = ctx;
        switch ((int) command) {
        case ZIP_SOURCE_SUPPORTS:
                return zip_source_make_command_bitmap(ZIP_SOURCE_SUPPORTS, ZIP_SOURCE_OPEN, ZIP_SOURCE_READ, ZIP_SOURCE_CLOSE,
                                                      ZIP_SOURCE_STAT, ZIP_SOURCE_ERROR, ZIP_SOURCE_FREE, ZIP_SOURCE_SEEK, ZIP_SOURCE_TELL,
                                                      -1);
        case ZIP_SOURCE_OPEN:
                feed->at = 0;
                return 0;
        case ZIP_SOURCE_READ:
                return feed_read(feed, data, size);
        case ZIP_SOURCE_CLOSE:
                return 0;
        case ZIP_SOURCE_STAT:
                return feed_stat(feed, data, size);
        case ZIP_SOURCE_ERROR:
                return zip_error_to_data(&feed->error, data, size);
        case ZIP_SOURCE_SEEK:
                return feed_seek(feed, data, size);
        case ZIP_SOURCE_TELL:
                return (zip_int64_t) feed->at;
        case ZIP_SOURCE_FREE:
                free(feed);
                return 0;
        }
        zip_error_set(&feed->error, ZIP_ER_OPNOTSUPP, 0);
        return -1;
}

static int zip_open_lazily(struct archive *archive, struct gw_error *err) {
        struct feed *feed;
        zip_source_t *source;
        if (archive->zip)
                return 0;
        feed = calloc(1, sizeof *feed);
        if (!feed)
                return source_failed(err, -ENOMEM, "unpacking the archive");
        feed->source = archive->source;
        zip_error_init(&feed->error);
        source = zip_source_function_create(feed_command, feed, NULL);
        if (!source) {
                free(feed);
                return source_failed(err, -ENOMEM, "unpacking the archive");
        }
        archive->zip = zip_open_from_source(source, ZIP_RDONLY, NULL);
        if (archive->zip)
                return 0;
        zip_source_free(source);
        return refuse(err, "zip-invalid", "the archive cannot be unpacked");
}

/* Our reading of the directory and libzip's must be one, or we would check one entry and unpack another. */
static bool entry_is_same(struct zip *zip, const struct archive_entry *entry, zip_uint64_t index) {
        zip_stat_t status;
        return zip_stat_index(zip, index, 0, &status) == 0 && status.size == entry->size && status.comp_size == entry->packed_size &&
               status.crc == entry->crc && status.comp_method == entry->method;
}

static int file_each(struct zip_file *file, const struct archive_entry *entry, int (*piece)(void *ctx, const uint8_t *data, size_t size),
                     void *ctx, struct gw_error *err) {
        uint8_t data[SOURCE_PIECE];
        uint64_t total = 0;
        for (;;) {
                zip_int64_t n = zip_fread(file, data, sizeof data);
                int r;
                if (n < 0)
                        return refuse(err, "zip-invalid", "%s cannot be unpacked: it was damaged", entry->name);
                if (n == 0)
                        break;
                total += (uint64_t) n;
                if (total > entry->size)
                        return refuse(err, "zip-bomb", "%s unpacks to more than the %u bytes that the archive tells", entry->name,
                                      entry->size);
                r = piece(ctx, data, (size_t) n);
                if (r < 0)
                        return r;
        }
        if (total != entry->size)
                return refuse(err, "zip-invalid", "%s unpacks to %llu of %u bytes", entry->name, (unsigned long long) total, entry->size);
        return 0;
}

int archive_entry_each(struct archive *archive, const struct archive_entry *entry,
                       int (*piece)(void *ctx, const uint8_t *data, size_t size), void *ctx, struct gw_error *err) {
        zip_uint64_t index = (zip_uint64_t) (entry - archive->entries);
        struct zip_file *file;
        int r = zip_open_lazily(archive, err);
        if (r < 0)
                return r;
        file = entry_is_same(archive->zip, entry, index) ? zip_fopen_index(archive->zip, index, 0) : NULL;
        if (!file)
                return refuse(err, "zip-invalid", "%s cannot be unpacked", entry->name);
        r = file_each(file, entry, piece, ctx, err);
        zip_fclose(file);
        return r;
}

struct load {
        char *text;
        size_t size, room;
};

static int load_piece(void *ctx, const uint8_t *data, size_t size) {
        struct load *load = ctx;
        if (size > load->room - load->size)
                return -E2BIG;
        memcpy(load->text + load->size, data, size);
        load->size += size;
        return 0;
}

int archive_entry_load(struct archive *archive, const struct archive_entry *entry, size_t size_max, char **ret_text, struct gw_error *err) {
        _cleanup_free_ char *text = NULL;
        struct load load = {.room = entry->size};
        int r;
        if (entry->size > size_max)
                return refuse(err, "file-too-large", "%s has %u bytes, at most %zu are read", entry->name, entry->size, size_max);
        text = calloc(1, (size_t) entry->size + 1);
        if (!text)
                return source_failed(err, -ENOMEM, "unpacking the archive");
        load.text = text;
        r = archive_entry_each(archive, entry, load_piece, &load, err);
        if (r < 0)
                return r;
        *ret_text = TAKE_PTR(text);
        return 0;
}
