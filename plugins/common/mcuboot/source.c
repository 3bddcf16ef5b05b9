/* SPDX-License-Identifier: Apache-2.0 */
#include "common/mcuboot/source.h"

#include <unistd.h>

int source_read(const struct source *source, uint64_t at, void *buffer, size_t size) {
        uint8_t *bytes = buffer;
        if (at > source->size || size > source->size - at)
                return -ENODATA;
        while (size > 0) {
                ssize_t n = pread(source->fd, bytes, size, (off_t) (source->offset + at));
                if (n < 0 && errno == EINTR)
                        continue;
                if (n < 0)
                        return -errno;
                if (n == 0)
                        return -ENODATA;
                bytes += n;
                at += (uint64_t) n;
                size -= (size_t) n;
        }
        return 0;
}

int source_each(const struct source *source, uint64_t from, uint64_t to, int (*piece)(void *ctx, const uint8_t *data, size_t size),
                void *ctx) {
        uint8_t data[SOURCE_PIECE];
        while (from < to) {
                size_t size = to - from < sizeof data ? (size_t) (to - from) : sizeof data;
                int r = source_read(source, from, data, size);
                if (r < 0)
                        return r;
                r = piece(ctx, data, size);
                if (r < 0)
                        return r;
                from += size;
        }
        return 0;
}

int refuse(struct gw_error *err, const char *name, const char *format, ...) {
        va_list arguments;
        va_start(arguments, format);
        gw_error_vset(err, name, format, arguments);
        va_end(arguments);
        return -EBADMSG;
}

int source_failed(struct gw_error *err, int result, const char *doing) {
        const char *name = "file-unreadable";
        if (result == -ENOMEM)
                name = "out-of-memory";
        else if (result == -ENOSPC || result == -EDQUOT)
                name = "disk-full";
        gw_error_set(err, name, "%s: %s", doing,
                     result == -ENODATA ? "the file became shorter while it was read" : strerrordesc_np(-result));
        return result;
}
