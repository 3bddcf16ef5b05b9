/* SPDX-License-Identifier: Apache-2.0 */
#include "commands.h"

#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/mman.h>

#include "common/formats/formats.h"
#include "common/formats/package_inspect.h"

/* Looks at a file without a daemon and without rights: the same readers that the daemon uses. */

#define KEYS_MAX 8
#define KEY_FILE_MAX 65536
#define UNPACKED_MAX (256ull * 1024 * 1024)
#define HEAD_SHOWN 16

struct keys {
        struct gw_public_key keys[KEYS_MAX];
        char *texts[KEYS_MAX];
        struct str_list paths;
        size_t n_keys;
};

static void keys_deinit(struct keys *keys) {
        for (size_t i = 0; i < keys->n_keys; i++)
                free(keys->texts[i]);
        str_list_deinit(&keys->paths);
}

static int keys_read(const struct arguments *arguments, struct keys *keys, struct failure *failure) {
        int r = arguments_texts(arguments, "key", &keys->paths);

        if (r < 0)
                return failure_errno(failure, r);
        if (keys->paths.n_items > KEYS_MAX)
                return failure_set(failure, EXIT_CODE_USAGE, "usage", "package inspect: at most %d keys", KEYS_MAX);
        for (size_t i = 0; i < keys->paths.n_items; i++) {
                size_t size;
                r = file_read(keys->paths.items[i], KEY_FILE_MAX, &keys->texts[i], &size, failure);
                if (r < 0)
                        return r;
                keys->keys[keys->n_keys++] =
                        (struct gw_public_key){ .name = file_name(keys->paths.items[i]), .pem = keys->texts[i], .pem_size = size };
        }
        return 0;
}

static int scratch_open(void *ctx) {
        int fd = memfd_create("gatewayctl", MFD_CLOEXEC);

        (void) ctx;
        return fd < 0 ? -errno : fd;
}

/* "its first bytes are ..." tells a person that a file is not what it is called. */
static int unknown_format(int fd, const char *path, struct failure *failure) {
        char hex[2 * HEAD_SHOWN + 1] = "";
        uint8_t head[HEAD_SHOWN];
        ssize_t n = pread(fd, head, sizeof head, 0);

        if (n > 0)
                str_hex_encode(hex, sizeof hex, head, (size_t) n);
        if (n <= 0)
                return failure_set(failure, EXIT_CODE_REFUSED, "format-unknown", "%s is empty", path);
        return failure_set(failure, EXIT_CODE_REFUSED, "format-unknown", "%s is of no format that is known here; its first bytes are %s",
                           path, hex);
}

int package_read(const struct package_file *file, struct gw_package *package, struct failure *failure) {
        const struct gw_format_options options = {
                .size = sizeof options,
                .public_keys = file->keys,
                .n_public_keys = file->n_keys,
                .require_signature = file->n_keys > 0,
                .scratch_open = scratch_open,
                .unpacked_max = UNPACKED_MAX,
        };
        const struct gw_format *format = NULL;
        struct gw_error err = { 0 };
        int r = formats_find(file->fd, file->size, &format, &err);

        if (r == 0 && !format)
                return unknown_format(file->fd, file->path, failure);
        if (r == 0)
                r = formats_read(file->fd, file->size, &options, package, &err);
        if (r == 0)
                return 0;
        if (!gw_error_is_set(&err))
                return failure_errno(failure, r);
        gw_error_prefix(&err, "%s", file_name(file->path));
        return failure_from(failure, &err);
}

static int print_package(struct session *session, const struct gw_package *package, struct failure *failure) {
        _cleanup_strbuf_ struct strbuf out = STRBUF_INIT(TEXT_LIMIT);
        _cleanup_json_ struct json *json = NULL;
        int r;

        if (session->json) {
                r = package_inspect_json(package, &json);
                return r < 0 ? failure_errno(failure, r) : session_print_json(session, json, failure);
        }
        r = package_inspect_text(package, &out);
        return r < 0 ? failure_errno(failure, r) : session_print(session, &out, failure);
}

int run_package_inspect(struct session *session, struct failure *failure) {
        const char *path = arguments_at(session->arguments, 0);
        struct gw_package package = { 0 };
        struct keys keys = { 0 };
        _cleanup_close_ int fd = -1;
        uint64_t size;
        int r = file_open(path, &fd, &size, failure);

        if (r == 0)
                r = keys_read(session->arguments, &keys, failure);
        if (r == 0)
                r = package_read(&(struct package_file){ .path = path, .fd = fd, .size = size, .keys = keys.keys, .n_keys = keys.n_keys },
                                 &package, failure);
        if (r == 0) {
                r = print_package(session, &package, failure);
                formats_release(&package, fd);
        }
        keys_deinit(&keys);
        return r;
}
