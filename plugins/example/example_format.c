/* SPDX-License-Identifier: Apache-2.0 */
#include "example_format.h"

#include <unistd.h>

#include "sha256.h"

#define MAGIC "gatewayd-example "
#define PIECE 16384

static void read_line(const char *head, size_t size, struct example_file *file) {
        char line[sizeof MAGIC + GW_VERSION_MAX + GW_MODEL_MAX] = { 0 };
        const char *end = memchr(head, '\n', size < sizeof line ? size : sizeof line - 1);

        if (!end || memcmp(head, MAGIC, strlen(MAGIC)) != 0)
                return;
        memcpy(line, head, (size_t) (end - head));
        if (sscanf(line + strlen(MAGIC), "%47s %63s", file->version, file->model) != 2)
                file->version[0] = file->model[0] = '\0';
}

int example_file_read(int fd, struct example_file *ret_file) {
        struct example_file file = { 0 };
        struct sha256 sha;
        char piece[PIECE];
        ssize_t n;

        sha256_init(&sha);
        while ((n = pread(fd, piece, sizeof piece, (off_t) file.size)) > 0) {
                if (file.size == 0 && (size_t) n > strlen(MAGIC))
                        read_line(piece, (size_t) n, &file);
                sha256_update(&sha, piece, (size_t) n);
                file.size += (uint64_t) n;
        }
        if (n < 0)
                return -errno;
        sha256_final(&sha, file.sha256);
        *ret_file = file;
        return 0;
}

static bool matches(const uint8_t *head, size_t head_size, int fd, uint64_t file_size) {
        (void) fd, (void) file_size;
        return head_size > strlen(MAGIC) && memcmp(head, MAGIC, strlen(MAGIC)) == 0;
}

static int read_package(int fd, uint64_t file_size, const struct gw_format_options *options, struct gw_package *ret_package,
                        struct gw_error *err) {
        struct gw_part part = { .slot = -1, .hash_size = 32, .fd = fd, .size = file_size };
        struct gw_package package = { .format = "example", .n_compatible = 1, .n_parts = 1 };
        struct example_file file;
        int r = example_file_read(fd, &file);

        (void) options; /* this format knows no signatures */
        if (r < 0 || !file.version[0]) {
                gw_error_set(err, r < 0 ? "file-unreadable" : "format-unreadable", "%s",
                             r < 0 ? strerror(-r) : "the first line is not complete");
                return r < 0 ? r : -EBADMSG;
        }
        memcpy(part.hash, file.sha256, sizeof file.sha256);
        memcpy(part.sha256, file.sha256, sizeof file.sha256);
        snprintf(part.version, sizeof part.version, "%s", file.version);
        snprintf(package.version, sizeof package.version, "%s", file.version);
        snprintf(package.compatible[0], sizeof package.compatible[0], "%s", file.model);
        package.parts[0] = part;
        *ret_package = package;
        return 0;
}

static void release(struct gw_package *package, int fd) {
        (void) package, (void) fd; /* nothing was opened */
}

const struct gw_format example_format = { "example", "File for the example driver", matches, read_package, release };
