/* SPDX-License-Identifier: Apache-2.0 */
#include "common/wrapped/wrapped_format.h"

#include <openssl/evp.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/str.h"

#define PIECE 16384u
#define VERSION_CHARACTERS "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789.+-_"
#define COMPATIBLE_MAX ARRAY_SIZE(((struct gw_package *) NULL)->compatible)

GW_PRINTF(2, 3) static int refuse(struct gw_error *err, const char *format, ...) {
        va_list arguments;

        va_start(arguments, format);
        gw_error_vset(err, "format-unreadable", format, arguments);
        va_end(arguments);
        return -EBADMSG;
}

static int take_version(struct gw_package *package, const char *value, struct gw_error *err) {
        if (package->version[0])
                return refuse(err, "the version stands twice in the text before the image");
        if (!value[0] || value[strspn(value, VERSION_CHARACTERS)] || str_copy(package->version, sizeof package->version, value) < 0)
                return refuse(err, "a version is 1 to %d letters, digits and . + - _", GW_VERSION_MAX - 1);
        return 0;
}

static int take_compatible(struct gw_package *package, const char *value, struct gw_error *err) {
        if (package->n_compatible == COMPATIBLE_MAX)
                return refuse(err, "more than %zu kinds of hardware", COMPATIBLE_MAX);
        if (!str_is_model(value) || str_copy(package->compatible[package->n_compatible], GW_MODEL_MAX, value) < 0)
                return refuse(err, "\"%.64s\" is no hardware such as acme,meter-2", value);
        package->n_compatible++;
        return 0;
}

static int take_line(struct gw_package *package, const char *line, struct gw_error *err) {
        if (strncmp(line, "version: ", 9) == 0)
                return take_version(package, line + 9, err);
        if (strncmp(line, "compatible: ", 12) == 0)
                return take_compatible(package, line + 12, err);
        return refuse(err, "\"%.40s\" is neither \"version: ...\" nor \"compatible: ...\"", line);
}

static int check_whole(const struct gw_package *package, struct gw_error *err) {
        if (!package->version[0])
                return refuse(err, "no line \"version: ...\" before the image");
        if (package->n_compatible == 0)
                return refuse(err, "no line \"compatible: ...\" before the image");
        return 0;
}

int wrapped_header_parse(const char *head, size_t size, struct gw_package *ret_package, size_t *ret_header_size, struct gw_error *err) {
        struct gw_package package = { .format = "wrapped" };
        size_t at = strlen(WRAPPED_MAGIC);
        int r = 0;

        if (size < at || memcmp(head, WRAPPED_MAGIC, at) != 0)
                return refuse(err, "the first line is not %.15s", WRAPPED_MAGIC);
        while (r == 0) {
                const char *end = memchr(head + at, '\n', size - at);
                char line[160] = { 0 };
                size_t length = end ? (size_t) (end - head) - at : 0;

                if (!end || memchr(head + at, '\0', length) || length >= sizeof line)
                        return refuse(err,
                                      "the text before the image does not end with an empty line within %u bytes, or a line is too long",
                                      WRAPPED_HEADER_MAX);
                memcpy(line, head + at, length);
                at += length + 1;
                if (length == 0)
                        break;
                r = take_line(&package, line, err);
        }
        if (r == 0)
                r = check_whole(&package, err);
        if (r < 0)
                return r;
        *ret_package = package;
        *ret_header_size = at;
        return 0;
}

static int hash_rest(int fd, uint64_t at, uint64_t end, EVP_MD_CTX *hash) {
        uint8_t piece[PIECE];

        while (at < end) {
                ssize_t n = pread(fd, piece, end - at < PIECE ? (size_t) (end - at) : PIECE, (off_t) at);

                if (n < 0 && errno == EINTR)
                        continue;
                if (n <= 0)
                        return n < 0 ? -errno : -ENODATA;
                if (!EVP_DigestUpdate(hash, piece, (size_t) n))
                        return -ENOMEM;
                at += (uint64_t) n;
        }
        return 0;
}

static int hash_part(struct gw_part *part) {
        EVP_MD_CTX *hash = EVP_MD_CTX_new();
        int r = hash && EVP_DigestInit_ex(hash, EVP_sha256(), NULL) ? 0 : -ENOMEM;

        if (r == 0)
                r = hash_rest(part->fd, part->offset, part->offset + part->size, hash);
        if (r == 0 && !EVP_DigestFinal_ex(hash, part->sha256, NULL))
                r = -ENOMEM;
        EVP_MD_CTX_free(hash);
        part->hash_size = sizeof part->sha256;
        memcpy(part->hash, part->sha256, sizeof part->sha256);
        return r;
}

static bool matches(const uint8_t *head, size_t head_size, int fd, uint64_t file_size) {
        (void) fd, (void) file_size;
        return head_size >= strlen(WRAPPED_MAGIC) && memcmp(head, WRAPPED_MAGIC, strlen(WRAPPED_MAGIC)) == 0;
}

static int read_package(int fd, uint64_t file_size, const struct gw_format_options *options, struct gw_package *ret_package,
                        struct gw_error *err) {
        struct gw_package package;
        char head[WRAPPED_HEADER_MAX];
        ssize_t head_size = pread(fd, head, sizeof head, 0);
        size_t header_size;
        int r = head_size < 0 ? -errno : 0;

        if (r == 0)
                r = wrapped_header_parse(head, (size_t) head_size, &package, &header_size, err);
        if (r == -EBADMSG)
                return r;
        if (r == 0 && header_size >= file_size)
                return refuse(err, "no image follows the empty line");
        if (r == 0 && options->require_signature) {
                gw_error_set(err, "image-signature-missing", "a wrapped file carries no signature, and this gateway requires one");
                return -EBADMSG;
        }
        if (r == 0) {
                package.parts[0] = (struct gw_part){ .slot = -1, .fd = fd, .offset = header_size, .size = file_size - header_size };
                (void) str_copy(package.parts[0].version, sizeof package.parts[0].version, package.version);
                package.n_parts = 1;
                r = hash_part(&package.parts[0]);
        }
        if (r < 0) {
                gw_error_set(err, r == -ENOMEM ? "out-of-memory" : "file-unreadable", "reading the file: %s", strerror(-r));
                return r;
        }
        *ret_package = package;
        return 0;
}

static void release(struct gw_package *package, int fd) {
        (void) package, (void) fd; /* nothing was opened */
}

const struct gw_format wrapped_format = { "wrapped", "File of any kind behind lines that name its version and hardware", matches,
                                          read_package, release };
