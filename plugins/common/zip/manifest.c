/* SPDX-License-Identifier: Apache-2.0 */
#include "common/zip/manifest.h"

#include "base/str.h"
#include "common/mcuboot/source.h"

/* One entry of `files`; `index` names it in messages. */
struct reading {
        const struct json *object;
        size_t index;
        struct gw_error *err;
};

static int wrong(const struct reading *reading, const char *key, const char *expected) {
        return refuse(reading->err, "manifest-invalid", "files[%zu].%s: expected %s", reading->index, key, expected);
}

/* A number, or a string that holds one (decimal or 0x...). -ENOENT when absent or null. */
static int get_number(const struct reading *reading, const char *key, uint64_t max, uint64_t *ret) {
        const struct json *value = json_child(reading->object, key);
        const char *text = json_string_or_null(value);
        int64_t number = 0;
        uint64_t parsed = 0;
        if (!value)
                return -ENOENT;
        if (text ? str_parse_uint64(text, 0, max, &parsed) == 0 : json_get_int(value, 0, (int64_t) max, &number) == 0) {
                *ret = text ? parsed : (uint64_t) number;
                return 0;
        }
        return wrong(reading, key, "a number within its range");
}

/* A text that fits, or a number, which is written out. -ENOENT when absent or null. */
static int get_text(const struct reading *reading, const char *key, char *text, size_t text_size) {
        const struct json *value = json_child(reading->object, key);
        const char *string = json_string_or_null(value);
        int64_t number;
        if (!value)
                return -ENOENT;
        if (string)
                return str_copy(text, text_size, string) < 0 ? wrong(reading, key, "a shorter text") : 0;
        if (json_get_int(value, 0, INT64_MAX, &number) < 0)
                return wrong(reading, key, "a text");
        return str_format(text, text_size, "%lld", (long long) number) < 0 ? wrong(reading, key, "a shorter text") : 0;
}

static int read_type(const struct reading *reading, struct manifest_file *file) {
        static const struct {
                const char *name;
                enum manifest_purpose purpose;
        } types[] = {
                {"application", MANIFEST_APPLICATION}, {"bin", MANIFEST_APPLICATION}, {"mcuboot", MANIFEST_BOOTLOADER},
                {"suit-envelope", MANIFEST_SUIT},      {"cache", MANIFEST_SUIT},
        };
        char type[32] = "application";
        int r = get_text(reading, "type", type, sizeof type);
        if (r < 0 && r != -ENOENT)
                return r;
        for (size_t i = 0; i < ARRAY_SIZE(types); i++)
                if (strcmp(types[i].name, type) == 0) {
                        file->purpose = types[i].purpose;
                        return 0;
                }
        return wrong(reading, "type", "application, bin, mcuboot, suit-envelope or cache");
}

static bool name_is_plain(const char *name) {
        for (const char *c = name; *c; c++)
                if ((unsigned char) *c < 0x20 || *c == 0x7f || *c == '/' || *c == '\\' || *c == ':')
                        return false;
        return name[0] && strcmp(name, ".") != 0 && strcmp(name, "..") != 0;
}

static int read_name(const struct reading *reading, struct manifest_file *file) {
        int r = get_text(reading, "file", file->file, sizeof file->file);
        if (r == -ENOENT)
                return wrong(reading, "file", "the name of a file in the package");
        if (r < 0)
                return r;
        if (!name_is_plain(file->file))
                return refuse(reading->err, "zip-path", "files[%zu].file is no plain file name", reading->index);
        return 0;
}

static int read_board(const struct reading *reading, struct manifest_file *file) {
        int r = get_text(reading, "board", file->board, sizeof file->board);
        if (r == -ENOENT)
                return 0;
        if (r < 0)
                return r;
        return !file->board[0] || str_is_model(file->board) ? 0 : wrong(reading, "board", "the name of a board");
}

static int read_version(const struct reading *reading, struct manifest_file *file) {
        static const char *const keys[] = {"version_MCUBOOT", "version_MCUBOOT+XIP", "version"};
        int r = -ENOENT;
        for (size_t i = 0; i < ARRAY_SIZE(keys) && r == -ENOENT; i++)
                r = get_text(reading, keys[i], file->version, sizeof file->version);
        return r == -ENOENT ? 0 : r;
}

static int read_numbers(const struct reading *reading, struct manifest_file *file) {
        uint64_t number = 0;
        int r = get_number(reading, "image_index", GW_IMAGES_MAX - 1, &number);
        if (r < 0 && r != -ENOENT)
                return r;
        file->image = r == 0 ? (uint8_t) number : 0;
        r = get_number(reading, "slot", 1, &number);
        if (r < 0 && r != -ENOENT)
                return r;
        file->slot = r == 0 ? (int8_t) number : -1;
        r = get_number(reading, "size", UINT32_MAX, &file->size);
        if (r < 0 && r != -ENOENT)
                return r;
        file->has_size = r == 0;
        return 0;
}

static int read_file(const struct json *object, size_t index, struct manifest_file *file, struct gw_error *err) {
        struct reading reading = {object, index, err};
        int r;
        if (json_kind(object) != JSON_KIND_OBJECT)
                return refuse(err, "manifest-invalid", "files[%zu]: expected an object", index);
        r = read_type(&reading, file);
        if (r == 0)
                r = read_name(&reading, file);
        if (r == 0)
                r = read_board(&reading, file);
        if (r == 0)
                r = read_version(&reading, file);
        return r < 0 ? r : read_numbers(&reading, file);
}

/* Direct-XIP packages bring an image twice, once for each slot; anything else leaves open which of the two is meant. */
static bool is_same_place(const struct manifest_file *a, const struct manifest_file *b) {
        return a->image == b->image && (a->slot == b->slot || a->slot < 0 || b->slot < 0);
}

static int duplicates_check(const struct manifest *manifest, struct gw_error *err) {
        for (size_t i = 0; i < manifest->n_files; i++)
                for (size_t j = 0; j < i; j++) {
                        const struct manifest_file *a = &manifest->files[j], *b = &manifest->files[i];
                        if (is_same_place(a, b) || strcmp(a->file, b->file) == 0)
                                return refuse(err, "part-duplicate", "%s and %s are both for image %u", a->file, b->file, b->image);
                }
        return 0;
}

static int head_read(const struct json *root, struct manifest *manifest, struct gw_error *err) {
        const struct json *files = json_child(root, "files");
        struct reading reading = {root, 0, NULL};
        uint64_t version = 0;
        if (json_kind(root) != JSON_KIND_OBJECT || json_kind(files) != JSON_KIND_ARRAY)
                return refuse(err, "manifest-invalid", "no list of files");
        if (get_number(&reading, "format-version", INT32_MAX, &version) == -EBADMSG || version > 1)
                return refuse(err, "manifest-invalid", "format-version: 0 and 1 are known");
        if (json_length(files) == 0)
                return refuse(err, "manifest-invalid", "the list of files is empty");
        if (json_length(files) > GW_PARTS_MAX)
                return refuse(err, "manifest-invalid", "%zu files, at most %d are read", json_length(files), GW_PARTS_MAX);
        if (get_text(&reading, "name", manifest->name, sizeof manifest->name) < 0)
                manifest->name[0] = '\0';
        return 0;
}

int manifest_read(const struct json *root, struct manifest *ret_manifest, struct gw_error *err) {
        const struct json *files = json_child(root, "files");
        struct manifest manifest = {};
        int r = head_read(root, &manifest, err);
        if (r < 0)
                return r;
        for (size_t i = 0; i < json_length(files); i++) {
                struct manifest_file *file = &manifest.files[manifest.n_files++];
                r = read_file(json_at(files, i), i, file, err);
                if (r < 0)
                        return r;
                if (file->purpose > manifest.purpose)
                        manifest.purpose = file->purpose;
        }
        if (manifest.purpose == MANIFEST_APPLICATION)
                r = duplicates_check(&manifest, err);
        if (r < 0)
                return r;
        *ret_manifest = manifest;
        return 0;
}

int manifest_parse(const char *text, size_t size, struct manifest *ret_manifest, struct gw_error *err) {
        _cleanup_json_ struct json *root = NULL;
        struct json_check_error where = {};
        int r = json_parse(text, size, MANIFEST_SIZE_MAX, &root, &where);
        if (r == -ENOMEM)
                return source_failed(err, r, "reading the manifest");
        if (r < 0)
                return refuse(err, "manifest-invalid", "no valid JSON, line %u column %u: %s", where.line, where.column, where.text);
        return manifest_read(root, ret_manifest, err);
}
