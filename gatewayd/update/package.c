/* SPDX-License-Identifier: Apache-2.0 */
#include "update/internal.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "base/str.h"
#include "loop/worker.h"

#define HEAD_SIZE 4096
#define UNPACKED_MAX (256ull * 1024 * 1024)
#define KEY_FILE_MAX (64 * 1024)

/*
 *   opening (worker: find the format, read, check) -> ready or failed -> users told -> freed with the last user
 *
 * The content is immutable, the file is known by its digest, so one reading serves everybody. All data that the worker touches
 * is this struct's own; nobody frees it before the worker is done.
 */
struct package {
        struct list link; /* update.packages */
        struct update *update;
        uint8_t sha256[DIGEST_SIZE];
        int fd;
        uint64_t size;
        bool reading, ready, counted, pinned;
        struct gw_error error;
        const struct gw_format *format; /* that read it */
        struct gw_package content;
        struct list users;

        /* for the worker */
        const struct gw_format *const *formats;
        size_t n_formats;
        struct gw_public_key *keys;
        size_t n_keys;
        char *scratch_directory;
        bool require_signature;
};

static void package_free(struct package *package) {
        if (package->ready && package->format)
                package->format->release(&package->content, package->fd);
        if (package->fd >= 0)
                close(package->fd);
        for (size_t i = 0; i < package->n_keys; i++) {
                free((char *) package->keys[i].name);
                free((char *) package->keys[i].pem);
        }
        free(package->keys);
        free(package->scratch_directory);
        list_remove(&package->link);
        if (package->pinned)
                artifact_unpin(package->update->options.artifacts, package->sha256);
        free(package);
}

static int scratch_open(void *ctx) {
        struct package *package = ctx;
        int fd = open(package->scratch_directory, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
        return fd < 0 ? -errno : fd;
}

static int load_key(struct package *package, const char *path) {
        _cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
        _cleanup_free_ char *pem = NULL;
        const char *name = strrchr(path, '/');
        char *name_copy;
        ssize_t size;
        if (fd < 0)
                return -errno;
        pem = malloc(KEY_FILE_MAX + 1);
        if (!pem)
                return -ENOMEM;
        size = read(fd, pem, KEY_FILE_MAX);
        if (size < 0)
                return -errno;
        pem[size] = '\0';
        name_copy = strdup(name ? name + 1 : path);
        if (!name_copy)
                return -ENOMEM;
        package->keys[package->n_keys++] = (struct gw_public_key){ .name = name_copy, .pem = TAKE_PTR(pem), .pem_size = (size_t) size };
        return 0;
}

/* Which keys must hold is decided when the file is read, so a key that was taken out counts for the next reading. */
static int load_keys(struct package *package) {
        const struct str_list *paths = &package->update->options.settings->mcuboot.public_keys;
        package->keys = calloc(paths->n_items + 1, sizeof *package->keys);
        if (!package->keys)
                return -ENOMEM;
        for (size_t i = 0; i < paths->n_items; i++) {
                int r = load_key(package, paths->items[i]);
                if (r < 0) {
                        gw_error_set(&package->error, "key-unreadable", "public key %s cannot be read: %s", paths->items[i], strerror(-r));
                        return r;
                }
        }
        return 0;
}

static void read_package(void *ctx) {
        struct package *package = ctx;
        _cleanup_free_ uint8_t *head = malloc(HEAD_SIZE);
        struct gw_format_options options = { .size = sizeof options,
                                             .public_keys = package->keys,
                                             .n_public_keys = package->n_keys,
                                             .require_signature = package->require_signature,
                                             .scratch_open = scratch_open,
                                             .scratch_ctx = package,
                                             .unpacked_max = UNPACKED_MAX };
        ssize_t head_size = head ? pread(package->fd, head, HEAD_SIZE, 0) : -1;
        if (gw_error_is_set(&package->error)) /* a key */
                return;
        if (head_size < 0) {
                gw_error_set(&package->error, "artifact-unreadable", "the file cannot be read");
                return;
        }
        for (size_t i = 0; i < package->n_formats; i++) {
                const struct gw_format *format = package->formats[i];
                if (!format->matches(head, (size_t) head_size, package->fd, package->size))
                        continue;
                if (format->read(package->fd, package->size, &options, &package->content, &package->error) >= 0) {
                        package->format = format;
                        memset(&package->error, 0, sizeof package->error);
                } else if (!gw_error_is_set(&package->error)) {
                        gw_error_set(&package->error, "format-unreadable", "the file could not be read as %s", format->name);
                }
                return;
        }
        gw_error_set(&package->error, "format-unknown", "the file is in no format that a plugin of this gateway reads");
}

static void tell_users(struct package *package) {
        struct list told = LIST_INIT(told);
        struct list *node;
        while ((node = list_pop(&package->users)))
                list_append(&told, node);
        while ((node = list_pop(&told))) {
                struct package_user *user = LIST_ENTRY(node, struct package_user, link);
                list_append(&package->users, node);
                user->done(user->ctx, package);
        }
}

static void read_done(void *ctx, int result) {
        struct package *package = ctx;
        struct update *update = package->update;
        package->reading = false;
        package->ready = true;
        if (result < 0)
                gw_error_set(&package->error, "internal-error", "reading the file was called off");
        if (package->format)
                (void) artifact_set_format(update->options.artifacts, package->sha256, package->content.format, package->content.version);
        /* A user may put the package from inside its callback; the guard keeps it until all were told. */
        package->counted = true;
        tell_users(package);
        package->counted = false;
        if (list_is_empty(&package->users))
                package_free(package);
        update_check_stopped(update);
}

static int package_open(struct package *package) {
        struct update *update = package->update;
        struct stat status;
        int r = artifact_open(update->options.artifacts, package->sha256, &package->fd);
        if (r < 0)
                return r;
        if (fstat(package->fd, &status) < 0)
                return -errno;
        package->size = (uint64_t) status.st_size;
        package->formats = driver_registry_formats(update->options.registry, &package->n_formats);
        package->require_signature = update->options.settings->mcuboot.require_signature;
        package->scratch_directory = strdup(update->options.settings->gateway.state_dir);
        if (!package->scratch_directory)
                return -ENOMEM;
        r = load_keys(package);
        if (r == -ENOMEM)
                return r;
        return worker_start(update->options.loop, read_package, read_done, package, NULL);
}

static struct package *find_package(const struct update *update, const uint8_t sha256[DIGEST_SIZE]) {
        struct package *package;
        LIST_FOREACH(package, &update->packages, link)
                if (memcmp(package->sha256, sha256, DIGEST_SIZE) == 0)
                        return package;
        return NULL;
}

static void told_again(void *ctx) {
        struct package_user *user = ctx;
        user->deferral = NULL;
        user->done(user->ctx, user->package);
}

int package_get(struct update *update, const uint8_t sha256[DIGEST_SIZE], struct package_user *user) {
        struct package *package = find_package(update, sha256);
        int r;
        list_init(&user->link);
        user->package = NULL;
        user->deferral = NULL;
        if (package) {
                user->package = package;
                list_append(&package->users, &user->link);
                return package->reading ? 0 : loop_defer(update->options.loop, told_again, user, &user->deferral);
        }
        package = calloc(1, sizeof *package);
        if (!package)
                return -ENOMEM;
        package->update = update;
        package->fd = -1;
        memcpy(package->sha256, sha256, DIGEST_SIZE);
        list_init(&package->users);
        list_init(&package->link);
        list_append(&update->packages, &package->link);
        r = artifact_pin(update->options.artifacts, sha256);
        package->pinned = r >= 0;
        if (r >= 0)
                r = package_open(package);
        if (r < 0) {
                package_free(package);
                return r;
        }
        package->reading = true;
        user->package = package;
        list_append(&package->users, &user->link);
        return 0;
}

void package_put(struct package_user *user) {
        struct package *package = TAKE_PTR(user->package);
        if (!package)
                return;
        list_remove(&user->link);
        loop_defer_cancel(TAKE_PTR(user->deferral));
        if (!package->reading && !package->counted && list_is_empty(&package->users))
                package_free(package);
}

bool package_is_ready(const struct package *package) {
        return package && package->ready;
}

const struct gw_error *package_error(const struct package *package) {
        return gw_error_is_set(&package->error) ? &package->error : NULL;
}

const struct gw_package *package_content(const struct package *package) {
        return &package->content;
}

uint64_t package_size(const struct package *package) {
        return package->size;
}

bool packages_are_idle(const struct update *update) {
        struct package *package;
        LIST_FOREACH(package, &update->packages, link)
                if (package->reading)
                        return false;
        return true;
}

/* --- for people --- */

static int describe_part(struct json *parts, const struct gw_part *part) {
        char hex[2 * GW_HASH_MAX + 1];
        struct json *row = json_append_new_object(parts);
        if (!row)
                return -ENOMEM;
        json_set_int(row, "image", part->image);
        if (part->slot >= 0)
                json_set_int(row, "slot", part->slot);
        json_set_string(row, "version", part->version);
        if (part->hash_size > 0) {
                str_hex_encode(hex, sizeof hex, part->hash, part->hash_size);
                json_set_string(row, "hash", hex);
        }
        json_set_int(row, "size_bytes", (int64_t) part->size);
        return json_set_bool(row, "encrypted", part->encrypted);
}

int package_describe(const struct package *package, struct json **ret_json) {
        const struct gw_package *content = &package->content;
        _cleanup_json_ struct json *json = json_new_object();
        struct json *parts, *compatible, *warnings;
        if (!json)
                return -ENOMEM;
        json_set_string(json, "format", content->format);
        if (content->version[0])
                json_set_string(json, "version", content->version);
        compatible = json_set_new_array(json, "compatible");
        parts = json_set_new_array(json, "parts");
        warnings = json_set_new_array(json, "warnings");
        if (!compatible || !parts || !warnings)
                return -ENOMEM;
        for (size_t i = 0; i < content->n_compatible; i++)
                json_append_string(compatible, content->compatible[i]);
        for (size_t i = 0; i < content->n_warnings; i++)
                json_append_string(warnings, content->warnings[i]);
        for (size_t i = 0; i < content->n_parts; i++)
                if (describe_part(parts, &content->parts[i]) < 0)
                        return -ENOMEM;
        *ret_json = TAKE_PTR(json);
        return 0;
}
