/* SPDX-License-Identifier: Apache-2.0 */
#include "base/time_zone.h"

#include <endian.h>
#include <fcntl.h>
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>

#include "base/limits.h"
#include "base/str.h"
#include "base/time_window.h"
#include "base/time_zone_rule.h"

#define HEADER_SIZE 44
#define TYPE_SIZE 6
#define TYPES_MAX 256
#define RULE_MAX 128 /* characters of the rule at the end */

struct time_zone {
        int64_t *transitions_s; /* ascending */
        int32_t *offsets_s;     /* from each transition on */
        size_t n_transitions;
        int32_t first_offset_s; /* before all of them */
        bool has_rule;          /* behind the last one; without it the last offset stays */
        struct time_zone_rule rule;
};

void time_zone_free(struct time_zone *zone) {
        if (!zone)
                return;
        free(zone->transitions_s);
        free(zone->offsets_s);
        free(zone);
}

/* --- TZif --- */

struct bytes {
        const uint8_t *at;
        size_t size;
};

/* The counts of a header in the order of the file (RFC 9636 section 3.1), and how wide its times are. */
struct block {
        uint32_t n_ut, n_standard, n_leap, n_transitions, n_types, n_characters;
        uint8_t version;
        size_t time_size;
};

static uint32_t read_u32(const uint8_t *at) {
        uint32_t value;

        memcpy(&value, at, sizeof(value));
        return be32toh(value);
}

static int64_t read_time(const uint8_t *at, size_t time_size) {
        uint64_t value;

        if (time_size == 4)
                return (int32_t) read_u32(at);
        memcpy(&value, at, sizeof(value));
        return (int64_t) be64toh(value);
}

/* NULL when there are less bytes. */
static const uint8_t *take(struct bytes *bytes, size_t size) {
        const uint8_t *at = bytes->at;

        if (size > bytes->size)
                return NULL;
        bytes->at += size;
        bytes->size -= size;
        return at;
}

static int read_header(struct bytes *bytes, size_t time_size, struct block *ret) {
        const uint8_t *header = take(bytes, HEADER_SIZE);
        uint32_t counts[6];

        if (!header || memcmp(header, "TZif", 4) != 0)
                return -EBADMSG;
        for (size_t i = 0; i < ARRAY_SIZE(counts); i++)
                counts[i] = read_u32(header + 20 + 4 * i);
        *ret = (struct block){counts[0], counts[1], counts[2], counts[3], counts[4], counts[5], header[4], time_size};
        if (ret->version != 0 && (ret->version < '2' || ret->version > '4'))
                return -EBADMSG;
        if (ret->n_transitions > TIME_ZONE_TRANSITIONS_MAX || ret->n_types > TYPES_MAX || ret->n_ut > TYPES_MAX ||
            ret->n_standard > TYPES_MAX || ret->n_characters > TIME_ZONE_FILE_MAX || ret->n_leap > TIME_ZONE_FILE_MAX)
                return -EBADMSG;
        return 0;
}

/* Bytes of a block behind its header. */
static size_t block_size(const struct block *block) {
        return block->n_transitions * (block->time_size + 1) + block->n_types * TYPE_SIZE + block->n_characters +
               block->n_leap * (block->time_size + 4) + block->n_standard + block->n_ut;
}

static int read_transitions(struct time_zone *zone, const struct block *block, const uint8_t *data) {
        const uint8_t *types = data + block->n_transitions * block->time_size;
        const uint8_t *records = types + block->n_transitions;

        for (size_t i = 0; i < block->n_transitions; i++) {
                zone->transitions_s[i] = read_time(data + i * block->time_size, block->time_size);
                if (types[i] >= block->n_types || (i > 0 && zone->transitions_s[i] <= zone->transitions_s[i - 1]))
                        return -EBADMSG;
                zone->offsets_s[i] = (int32_t) read_u32(records + types[i] * TYPE_SIZE);
        }
        for (size_t i = 0; i < block->n_types; i++) {
                int32_t offset_s = (int32_t) read_u32(records + i * TYPE_SIZE);

                if (offset_s < -TIME_ZONE_OFFSET_MAX_S || offset_s > TIME_ZONE_OFFSET_MAX_S)
                        return -EBADMSG;
        }
        zone->n_transitions = block->n_transitions;
        zone->first_offset_s = (int32_t) read_u32(records);
        return 0;
}

static int read_block(struct time_zone *zone, const struct block *block, struct bytes *bytes) {
        const uint8_t *data = take(bytes, block_size(block));

        if (!data || block->n_types == 0 || block->n_leap > 0)
                return -EBADMSG;
        zone->transitions_s = calloc(block->n_transitions + 1, sizeof(*zone->transitions_s));
        zone->offsets_s = calloc(block->n_transitions + 1, sizeof(*zone->offsets_s));
        if (!zone->transitions_s || !zone->offsets_s)
                return -ENOMEM;
        return read_transitions(zone, block, data);
}

/* A line of its own; an empty one says nothing about what comes behind the last transition. */
static int read_rule(struct time_zone *zone, struct bytes *bytes) {
        char text[RULE_MAX + 1];
        const uint8_t *end;
        size_t size;

        if (bytes->size < 2 || bytes->at[0] != '\n')
                return -EBADMSG;
        end = memchr(bytes->at + 1, '\n', bytes->size - 1);
        if (!end)
                return -EBADMSG;
        size = (size_t) (end - bytes->at - 1);
        if (size == 0)
                return 0;
        if (size > RULE_MAX || memchr(bytes->at + 1, '\0', size))
                return -EBADMSG;
        memcpy(text, bytes->at + 1, size);
        text[size] = '\0';
        zone->has_rule = true;
        return time_zone_rule_parse(text, &zone->rule);
}

/* From version 2 on everything comes a second time with wide times, and the rule behind it. */
static int read_file(struct time_zone *zone, struct bytes bytes) {
        struct block block;
        int r;

        if (read_header(&bytes, 4, &block) < 0)
                return -EBADMSG;
        if (block.version == 0)
                return read_block(zone, &block, &bytes);
        if (!take(&bytes, block_size(&block)) || read_header(&bytes, 8, &block) < 0)
                return -EBADMSG;
        r = read_block(zone, &block, &bytes);
        return r < 0 ? r : read_rule(zone, &bytes);
}

int time_zone_parse(const void *data, size_t size, struct time_zone **ret_zone) {
        _cleanup_time_zone_ struct time_zone *zone = calloc(1, sizeof(*zone));
        int r;

        if (!zone)
                return -ENOMEM;
        if (size > TIME_ZONE_FILE_MAX)
                return -EBADMSG;
        r = read_file(zone, (struct bytes){data, size});
        if (r < 0)
                return r;
        *ret_zone = TAKE_PTR(zone);
        return 0;
}

static int read_whole(int fd, size_t size, uint8_t *data) {
        size_t n_read = 0;

        while (n_read < size) {
                ssize_t n = read(fd, data + n_read, size - n_read);

                if (n < 0 && errno == EINTR)
                        continue;
                if (n < 0)
                        return -errno;
                if (n == 0)
                        return -EBADMSG;
                n_read += (size_t) n;
        }
        return 0;
}

int time_zone_load(const char *directory, const char *name, struct time_zone **ret_zone) {
        _cleanup_close_ int fd = -1;
        _cleanup_free_ uint8_t *data = NULL;
        char path[4096];
        struct stat stat;
        int r;

        if (!time_zone_is_name(name) || str_format(path, sizeof(path), "%s/%s", directory, name) < 0)
                return -EINVAL;
        fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
        if (fd < 0)
                return errno == ENOTDIR ? -ENOENT : -errno;
        if (fstat(fd, &stat) < 0)
                return -errno;
        if (S_ISDIR(stat.st_mode))
                return -ENOENT;
        if (!S_ISREG(stat.st_mode) || stat.st_size > (off_t) TIME_ZONE_FILE_MAX)
                return -EBADMSG;
        data = malloc((size_t) stat.st_size + 1);
        if (!data)
                return -ENOMEM;
        r = read_whole(fd, (size_t) stat.st_size, data);
        return r < 0 ? r : time_zone_parse(data, (size_t) stat.st_size, ret_zone);
}

/* --- questions --- */

/* How many transitions are not behind this instant. */
static size_t transitions_until(const struct time_zone *zone, int64_t unix_s) {
        size_t low = 0, high = zone->n_transitions;

        while (low < high) {
                size_t middle = low + (high - low) / 2;

                if (zone->transitions_s[middle] <= unix_s)
                        low = middle + 1;
                else
                        high = middle;
        }
        return low;
}

struct time_zone_span time_zone_span(const struct time_zone *zone, int64_t unix_s) {
        size_t n = transitions_until(zone, unix_s);
        struct time_zone_span span = {
                .from_s = n > 0 ? zone->transitions_s[n - 1] : INT64_MIN,
                .to_s = n < zone->n_transitions ? zone->transitions_s[n] : INT64_MAX,
                .offset_s = n > 0 ? zone->offsets_s[n - 1] : zone->first_offset_s,
        };

        if (n == zone->n_transitions && zone->has_rule) {
                struct time_zone_span rule_span = time_zone_rule_span(&zone->rule, unix_s);

                rule_span.from_s = MAX(rule_span.from_s, span.from_s);
                return rule_span;
        }
        return span;
}

int64_t time_zone_from_local(const struct time_zone *zone, int64_t local_s) {
        struct time_zone_span span = time_zone_span(zone, local_s - TIME_ZONE_OFFSET_MAX_S);

        for (;;) {
                int64_t unix_s = local_s - span.offset_s;

                if (unix_s < span.from_s)
                        return span.from_s;
                if (unix_s < span.to_s)
                        return unix_s;
                span = time_zone_span(zone, span.to_s);
        }
}

/* --- what was read --- */

struct kept_zone {
        char *name;
        struct time_zone *zone;
};

struct time_zones {
        char *directory;
        struct time_zone utc;
        struct kept_zone *items;
        size_t n_items;
};

struct time_zones *time_zones_new(const char *directory) {
        _cleanup_time_zones_ struct time_zones *zones = calloc(1, sizeof(*zones));

        if (!zones)
                return NULL;
        zones->directory = strdup(directory);
        return zones->directory ? TAKE_PTR(zones) : NULL;
}

void time_zones_free(struct time_zones *zones) {
        if (!zones)
                return;
        for (size_t i = 0; i < zones->n_items; i++) {
                free(zones->items[i].name);
                time_zone_free(zones->items[i].zone);
        }
        free(zones->items);
        free(zones->directory);
        free(zones);
}

static int keep(struct time_zones *zones, const char *name, struct time_zone *zone) {
        struct kept_zone *items = reallocarray(zones->items, zones->n_items + 1, sizeof(*items));

        if (!items)
                return -ENOMEM;
        zones->items = items;
        items[zones->n_items] = (struct kept_zone){strdup(name), zone};
        if (!items[zones->n_items].name)
                return -ENOMEM;
        zones->n_items++;
        return 0;
}

int time_zones_get(struct time_zones *zones, const char *name, const struct time_zone **ret_zone) {
        _cleanup_time_zone_ struct time_zone *zone = NULL;
        int r;

        if (strcmp(name, "UTC") == 0) {
                *ret_zone = &zones->utc;
                return 0;
        }
        for (size_t i = 0; i < zones->n_items; i++)
                if (strcmp(zones->items[i].name, name) == 0) {
                        *ret_zone = zones->items[i].zone;
                        return 0;
                }
        if (zones->n_items == TIME_ZONES_MAX)
                return -ENOSPC;
        r = time_zone_load(zones->directory, name, &zone);
        if (r == 0)
                r = keep(zones, name, zone);
        if (r < 0)
                return r;
        *ret_zone = TAKE_PTR(zone);
        return 0;
}
