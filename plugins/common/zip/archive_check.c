/* SPDX-License-Identifier: Apache-2.0 */
#include "common/zip/archive.h"

#include <sys/stat.h>

#include "base/str.h"

#define FLAGS_ENCRYPTED 0x2041u /* classic, strong, and a hidden directory */

/* A firmware package is flat. With nothing but plain names there is no path to play tricks with. */
static bool name_is_plain(const struct archive_entry *entry) {
        if (strlen(entry->name) != entry->name_size || !str_is_utf8(entry->name, entry->name_size))
                return false;
        if (strcmp(entry->name, ".") == 0 || strcmp(entry->name, "..") == 0)
                return false;
        for (const char *c = entry->name; *c; c++)
                if ((unsigned char) *c < 0x20 || *c == 0x7f || *c == '/' || *c == '\\' || *c == ':')
                        return false;
        return true;
}

static int path_refused(const struct archive_entry *entry, struct gw_error *err) {
        char name[80];
        str_escape(name, sizeof name, entry->name, entry->name_size);
        return refuse(err, "zip-path", "the archive holds the name \"%s\"; a firmware package has plain file names only", name);
}

static bool is_bomb(const struct archive_entry *entry) {
        return entry->size > ARCHIVE_RATIO_FROM && entry->size / ARCHIVE_RATIO_MAX > entry->packed_size;
}

static int entry_check(const struct archive_entry *entry, struct gw_error *err) {
        mode_t kind = entry->mode & S_IFMT;
        if (!name_is_plain(entry))
                return path_refused(entry, err);
        if (kind != 0 && kind != S_IFREG)
                return refuse(err, "zip-entry-special", "%s is a link or a device, not a file", entry->name);
        if (entry->flags & FLAGS_ENCRYPTED)
                return refuse(err, "zip-encrypted", "%s is protected by a password", entry->name);
        if (entry->method != ARCHIVE_STORED && entry->method != ARCHIVE_DEFLATED)
                return refuse(err, "zip-invalid", "%s is packed by method %u; only stored and deflated entries are read", entry->name,
                              entry->method);
        if (entry->method == ARCHIVE_STORED && entry->size != entry->packed_size)
                return refuse(err, "zip-invalid", "%s is stored, but its two sizes differ", entry->name);
        if (is_bomb(entry))
                return refuse(err, "zip-bomb", "%s would unpack from %u to %u bytes", entry->name, entry->packed_size, entry->size);
        return 0;
}

int archive_check(const struct archive *archive, uint64_t unpacked_max, struct gw_error *err) {
        uint64_t largest = unpacked_max && unpacked_max < ARCHIVE_UNPACKED_MAX ? unpacked_max : ARCHIVE_UNPACKED_MAX, total = 0;
        for (size_t i = 0; i < archive->n_entries; i++) {
                const struct archive_entry *entry = &archive->entries[i];
                int r = entry_check(entry, err);
                if (r < 0)
                        return r;
                if (archive_find(archive, entry->name) != entry)
                        return refuse(err, "zip-entry-duplicate", "the archive holds two files named %s", entry->name);
                total += entry->size;
        }
        if (total > largest)
                return refuse(err, "zip-bomb", "the archive would unpack to %llu bytes, at most %llu are allowed",
                              (unsigned long long) total, (unsigned long long) largest);
        return 0;
}
